//! Steps of a row that are written out, where the compiler makes too many instructions of the portable ones.
//!
//! Each does the operations of its formula in `arithmetic::rows` or `arithmetic::activation`, in that order and
//! with those roundings: the same bits in fewer instructions. Rows are the part of a block that no dot
//! product makes cheaper.

use super::quantize::{amax_bits, quantize_turn, round, round_plus, round_skewed};
use super::{gelu, norm};
use crate::arithmetic::activation::{self, Activation};
use crate::arithmetic::lanes::Range;
use crate::arithmetic::rows::{self, TINY};

/// See [`InstructionSet::norm_amax`](crate::set::InstructionSet::norm_amax).
///
/// # Safety
/// NEON must be there.
#[inline(always)]
pub(crate) unsafe fn norm_amax(x: &[f32], gain: &[f32], eps: f32, out: &mut [f32]) -> u32 {
    // SAFETY: the caller's.
    unsafe { norm::norm(x, gain, eps, out) }
}

/// See [`InstructionSet::quantize`](crate::set::InstructionSet::quantize).
///
/// # Safety
/// NEON must be there.
#[inline(always)]
pub(crate) unsafe fn quantize(x: &[f32], bytes: &mut [u8], offset: u8) -> Result<f32, f32> {
    if let (Ok(x), Some(turn)) = (x.try_into(), bytes.first_chunk_mut()) {
        // SAFETY: the caller's.
        let amax = f32::from_bits(unsafe { quantize_turn(x, turn) });
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
    // SAFETY: the caller's.
    let amax = unsafe { amax_bits(x) };
    rows::quantize_by(amax, &mut bytes[..x.len()], offset, |inverse, bytes| {
        // SAFETY: the caller's.
        unsafe { round(x, inverse, 0, bytes) };
    })
}

/// See [`InstructionSet::quantize_skewed`](crate::set::InstructionSet::quantize_skewed).
///
/// # Safety
/// NEON must be there.
#[inline(always)]
pub(crate) unsafe fn quantize_skewed(
    x: &[f32],
    range: Range,
    bytes: &mut [u8],
    offset: u8,
) -> Result<(f32, i32), f32> {
    rows::quantize_skewed_by(x, range, bytes, offset, |skew, bytes| {
        // SAFETY: the caller's.
        unsafe {
            if skew.fits {
                round_plus(x, skew.inverse, (skew.zero - 128) as u8, bytes);
            } else {
                round_skewed(x, skew.inverse, skew.zero, bytes);
            }
        }
    })
}

/// See [`InstructionSet::activate_range`](crate::set::InstructionSet::activate_range).
///
/// # Safety
/// NEON must be there.
#[inline(always)]
pub(crate) unsafe fn activate_range(kind: Activation, from: &[f32], to: &mut [f32]) -> Range {
    match kind {
        // SAFETY: the caller's.
        Activation::QuickGelu => unsafe { gelu::quick_gelu_range(from, to) },
        // SAFETY: the caller's.
        Activation::Gelu => unsafe { gelu::gelu_range(from, to) },
        kind => activation::activate_range(kind, from, to),
    }
}
