//! What happens to one row between two matrices: RMS norm, activation, quantisation.

use super::activation::{Activation, activate, activate_range};
use super::lanes::{Range, amax_bits, dot};
use super::math::{ROUND, sqrt};
use crate::dot::Dot;
use crate::kernels::{NonFinite, Prepare};
use crate::pack::PackedRows;
#[cfg(target_arch = "aarch64")]
use crate::{
    isa::Isa,
    rows::{neon, norm},
};

/// Rows whose largest magnitude is below this are zeros: 127 / amax would overflow not far below.
pub const TINY: f32 = 7.888_609e-31; // 2^-100

/// RMS norm of one row: `(x * (1 / sqrt(mean(x^2) + eps))) * gain`.
#[inline(always)]
pub(crate) fn norm(x: &[f32], gain: &[f32], eps: f32, out: &mut [f32]) {
    let inverse = 1.0 / sqrt(dot(x, x) / x.len() as f32 + eps);
    for ((out, x), gain) in out.iter_mut().zip(x).zip(gain) {
        *out = (*x * inverse) * *gain;
    }
}

/// [`norm`], and the bits of the largest magnitude it leaves.
#[inline(always)]
pub(crate) fn norm_amax(dot: &Dot, x: &[f32], gain: &[f32], eps: f32, out: &mut [f32]) -> u32 {
    #[cfg(target_arch = "aarch64")]
    if has_neon(dot) {
        // SAFETY: it has NEON.
        return unsafe { norm::norm(x, gain, eps, out) };
    }
    let _ = dot;
    norm(x, gain, eps, out);
    amax_bits(out)
}

/// Whether the steps that are written out for NEON may be taken: by every instruction set of this architecture but the reference.
#[cfg(target_arch = "aarch64")]
#[inline(always)]
fn has_neon(dot: &Dot) -> bool {
    dot.isa != Isa::Scalar
}

/// Quantises a row to `bytes` (value XOR `offset`) and gives its scale; the bits of the largest magnitude on NaN or infinity.
#[inline(always)]
pub(crate) fn quantize(dot: &Dot, x: &[f32], bytes: &mut [u8], offset: u8) -> Result<f32, f32> {
    #[cfg(target_arch = "aarch64")]
    if has_neon(dot) {
        if let (Ok(x), Some(turn)) = (x.try_into(), bytes.first_chunk_mut()) {
            // SAFETY: it has NEON.
            let amax = f32::from_bits(unsafe { neon::quantize_turn(x, turn) });
            return match amax {
                // Nothing was made of these.
                ..TINY => {
                    turn.fill(offset);
                    Ok(0.0)
                }
                amax if amax.is_finite() => Ok(amax / 127.0),
                amax => Err(amax),
            };
        }
        // SAFETY: it has NEON.
        let amax = unsafe { neon::amax_bits(x) };
        return quantize_to(dot, x, amax, bytes, offset);
    }
    quantize_to(dot, x, amax_bits(x), bytes, offset)
}

/// [`quantize`] where the bits of the largest magnitude are known.
#[inline(always)]
fn quantize_to(
    dot: &Dot,
    x: &[f32],
    amax_bits: u32,
    bytes: &mut [u8],
    offset: u8,
) -> Result<f32, f32> {
    let amax = f32::from_bits(amax_bits);
    if !amax.is_finite() {
        return Err(amax);
    }
    if amax < TINY {
        bytes[..x.len()].fill(offset);
        return Ok(0.0);
    }
    let inverse = 127.0 / amax;
    #[cfg(target_arch = "aarch64")]
    if has_neon(dot) {
        // SAFETY: it has NEON.
        unsafe { neon::round(x, inverse, 0, bytes) };
        return Ok(amax / 127.0);
    }
    let _ = dot;
    for (byte, x) in bytes.iter_mut().zip(x) {
        // Rounds to nearest even and leaves the integer in the low byte.
        *byte = (*x * inverse + ROUND).to_bits() as u8 ^ offset;
    }
    Ok(amax / 127.0)
}

/// Quantises a row that may be one-sided, as what an activation leaves is, to u in 0..=255: `bytes` (u - 128 XOR `offset`), its
/// scale, and `128 - zero`, where `u - zero` steps is the value; the offending magnitude on NaN or infinity.
#[inline(always)]
pub(crate) fn quantize_skewed(
    dot: &Dot,
    x: &[f32],
    range: Range,
    bytes: &mut [u8],
    offset: u8,
) -> Result<(f32, i32), f32> {
    let Range { low, high, amax } = range;
    let span = high - low;
    if !amax.is_finite() || !span.is_finite() {
        return Err(if amax.is_finite() { span } else { amax });
    }
    if span < TINY {
        bytes[..x.len()].fill(offset);
        return Ok((0.0, 0));
    }
    let inverse = 255.0 / span;
    let steps = |x: f32| (x * inverse + ROUND).to_bits() as i32 - ROUND.to_bits() as i32;
    let zero = steps(-low);
    #[cfg(target_arch = "aarch64")]
    if has_neon(dot) {
        // Only two roundings up at once leave the range, by one.
        let fits = steps(high) + zero <= 255;
        // SAFETY: it has NEON.
        unsafe {
            if fits {
                neon::round_plus(x, inverse, (zero - 128) as u8, bytes);
            } else {
                neon::round_skewed(x, inverse, zero, bytes);
            }
        }
        return Ok((span / 255.0, 128 - zero));
    }
    let _ = dot;
    let flip = offset ^ 0x80;
    for (byte, x) in bytes.iter_mut().zip(x) {
        *byte = (steps(*x) + zero).clamp(0, 255) as u8 ^ flip;
    }
    Ok((span / 255.0, 128 - zero))
}

/// Prepares and quantises `rows` rows of `x` (row stride `ldx`) into packed panels.
#[inline(always)]
pub(crate) fn prepare(
    dot: &Dot,
    x: &[f32],
    ldx: usize,
    rows: usize,
    k: usize,
    how: Prepare<'_>,
    out: &mut PackedRows,
) -> Result<(), NonFinite> {
    let offset = dot.layout.offset;
    out.reshape(dot.layout, rows, k);
    for row in 0..rows {
        let x = &x[row * ldx..][..k];
        let (bytes, values) = out.row(row);
        let quantized = match how {
            Prepare::Plain => quantize(dot, x, bytes, offset).map(|scale| (scale, 0)),
            Prepare::Norm { gain, eps } => {
                let amax = norm_amax(dot, x, gain, eps, values);
                quantize_to(dot, values, amax, bytes, offset).map(|scale| (scale, 0))
            }
            Prepare::Activate(kind) => {
                let range = activate_range(dot, kind, x, values);
                quantize_skewed(dot, values, range, bytes, offset)
            }
        };
        (out.scales[row], out.shifts[row]) = quantized.map_err(|found| NonFinite { row, found })?;
        out.store(dot, row);
    }
    Ok(())
}

/// RMS norm of many rows.
#[inline(always)]
pub(crate) fn norm_rows(x: &[f32], gain: &[f32], eps: f32, out: &mut [f32]) {
    let n = gain.len();
    for (x, out) in x.chunks_exact(n).zip(out.chunks_exact_mut(n)) {
        norm(x, gain, eps, out);
    }
}

/// Activation in place.
#[inline(always)]
pub(crate) fn activate_rows(kind: Activation, rows: &mut [f32]) {
    activate(kind, rows);
}

/// Adds each row of `x` to `sums`, in order.
#[inline(always)]
pub(crate) fn add_rows(x: &[f32], sums: &mut [f32]) {
    for x in x.chunks_exact(sums.len()) {
        for (sum, x) in sums.iter_mut().zip(x) {
            *sum += *x;
        }
    }
}
