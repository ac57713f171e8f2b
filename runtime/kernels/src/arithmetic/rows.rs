//! What happens to one row between two matrices: norms, and the roundings to bytes.

use super::lanes::{Range, amax_bits, dot};
use super::math::{ROUND, sqrt};

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
pub(crate) fn norm_amax(x: &[f32], gain: &[f32], eps: f32, out: &mut [f32]) -> u32 {
    norm(x, gain, eps, out);
    amax_bits(out)
}

/// A row times a number, rounded to `bytes` (value XOR `offset`).
#[inline(always)]
pub(crate) fn round(x: &[f32], inverse: f32, bytes: &mut [u8], offset: u8) {
    for (byte, x) in bytes.iter_mut().zip(x) {
        // Rounds to nearest even and leaves the integer in the low byte.
        *byte = (*x * inverse + ROUND).to_bits() as u8 ^ offset;
    }
}

/// Quantises a row to `bytes`, where the bits of its largest magnitude are known, and gives its scale; that magnitude if it is NaN or infinity.
/// `round` is to multiply the row by a number and to round it to the bytes; where that is not called, they become `offset`, a zero each.
#[inline(always)]
pub(crate) fn quantize_by(
    amax_bits: u32,
    bytes: &mut [u8],
    offset: u8,
    round: impl FnOnce(f32, &mut [u8]),
) -> Result<f32, f32> {
    let amax = f32::from_bits(amax_bits);
    if !amax.is_finite() {
        return Err(amax);
    }
    if !scaled(amax) {
        bytes.fill(offset);
        return Ok(0.0);
    }
    round(127.0 / amax, bytes);
    Ok(amax / 127.0)
}

/// Whether a row with this largest magnitude is multiplied and rounded: else it is refused, or zeros.
#[inline(always)]
pub(crate) fn scaled(amax: f32) -> bool {
    amax.is_finite() && amax >= TINY
}

/// Quantises a row that may be one-sided, as what an activation leaves is, to u in 0..=255: `bytes` (u - 128 XOR `offset`), its
/// scale, and `128 - zero`, where `u - zero` steps is the value; the offending magnitude on NaN or infinity.
#[inline(always)]
pub(crate) fn quantize_skewed(
    x: &[f32],
    range: Range,
    bytes: &mut [u8],
    offset: u8,
) -> Result<(f32, i32), f32> {
    quantize_skewed_by(x, range, bytes, offset, |skew, bytes| {
        let flip = offset ^ 0x80;
        for (byte, x) in bytes.iter_mut().zip(x) {
            *byte = (steps(*x, skew.inverse) + skew.zero).clamp(0, 255) as u8 ^ flip;
        }
    })
}

/// How a row becomes bytes by [`quantize_skewed`].
#[allow(dead_code, reason = "read by instruction sets of one architecture")]
pub(crate) struct Skew {
    /// What it is multiplied by before it is rounded.
    pub(crate) inverse: f32,
    /// What is added then, 0 to 255.
    pub(crate) zero: i32,
    /// Whether that needs no clamping: only two roundings up at once leave the range, by one.
    pub(crate) fits: bool,
}

/// [`quantize_skewed`], with `round` to do the rounding.
#[inline(always)]
pub(crate) fn quantize_skewed_by(
    x: &[f32],
    range: Range,
    bytes: &mut [u8],
    offset: u8,
    round: impl FnOnce(Skew, &mut [u8]),
) -> Result<(f32, i32), f32> {
    let (amax, span) = (range.amax, range.span());
    if !amax.is_finite() || !span.is_finite() {
        return Err(if amax.is_finite() { span } else { amax });
    }
    if !skewed(&range) {
        bytes[..x.len()].fill(offset);
        return Ok((0.0, 0));
    }
    let skew = range.skew();
    let zero = skew.zero;
    round(skew, bytes);
    Ok((span / 255.0, 128 - zero))
}

/// Whether a row with this range is multiplied and rounded: else it is refused, or zeros.
#[inline(always)]
pub(crate) fn skewed(range: &Range) -> bool {
    let span = range.span();
    range.amax.is_finite() && span.is_finite() && span >= TINY
}

impl Range {
    /// From the smallest to the largest.
    #[inline(always)]
    pub(crate) fn span(&self) -> f32 {
        self.high - self.low
    }

    /// How a row becomes bytes that has this range, for which [`skewed`] is true.
    #[inline(always)]
    pub(crate) fn skew(&self) -> Skew {
        let inverse = 255.0 / self.span();
        let zero = steps(-self.low, inverse);
        Skew {
            inverse,
            zero,
            fits: steps(self.high, inverse) + zero <= 255,
        }
    }
}

/// `round_ties_even(x * inverse)`.
#[inline(always)]
fn steps(x: f32, inverse: f32) -> i32 {
    (x * inverse + ROUND).to_bits() as i32 - ROUND.to_bits() as i32
}
