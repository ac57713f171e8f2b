//! RMS norm and quantisation on NEON, 16 numbers a turn.
//!
//! `fcvtns` rounds to the nearest even integer as adding 1.5 * 2^23 does, and `sqxtn` clamps to a byte while
//! it narrows. A magnitude that is too large for either belongs to a row that is refused, or to none.

use core::arch::aarch64::{
    float32x4_t, int16x8_t, uint32x4_t, vabsq_f32, vaddq_s16, vcombine_s8, vcvtnq_s32_f32,
    vdupq_n_f32, vdupq_n_s16, vdupq_n_u32, vfmaq_f32, vld1q_f32, vmaxq_u32, vmaxvq_u32, vmulq_f32,
    vmulq_n_f32, vqmovn_s16, vreinterpretq_s8_s16, vreinterpretq_s16_s32, vreinterpretq_u32_f32,
    vst1q_f32, vst1q_s8, vuzp1q_s8, vuzp1q_s16,
};

use crate::portable::lanes::{LANES, tree_sum};
use crate::portable::math::{ROUND, fma, sqrt};

/// Numbers in a vector.
const VECTOR: usize = 4;

/// Vectors of a turn.
const VECTORS: usize = LANES / VECTOR;

/// The sum of squares of a row: `lanes::dot` of it with itself.
#[inline]
#[target_feature(enable = "neon")]
fn sum_of_squares(x: &[f32]) -> f32 {
    let (chunks, tail) = x.as_chunks::<LANES>();
    let mut sums = [vdupq_n_f32(0.0); VECTORS];
    for chunk in chunks {
        for (sum, x) in sums.iter_mut().zip(load(chunk)) {
            *sum = vfmaq_f32(*sum, x, x);
        }
    }
    let mut lanes = [0.0; LANES];
    store(sums, &mut lanes);
    for (lane, x) in lanes.iter_mut().zip(tail) {
        *lane = fma(*x, *x, *lane);
    }
    tree_sum(lanes)
}

/// `portable::rows::norm`, and the bits of the largest magnitude it wrote.
#[inline]
#[target_feature(enable = "neon")]
pub(crate) fn norm(x: &[f32], gain: &[f32], eps: f32, out: &mut [f32]) -> u32 {
    let inverse = 1.0 / sqrt(sum_of_squares(x) / x.len() as f32 + eps);
    let (chunks, tail) = x.as_chunks::<LANES>();
    let (gains, gain_tail) = gain.as_chunks::<LANES>();
    let (outs, out_tail) = out.as_chunks_mut::<LANES>();
    let mut tops = [vdupq_n_u32(0); VECTORS];
    for ((x, gain), out) in chunks.iter().zip(gains).zip(outs) {
        let (x, gain) = (load(x), load(gain));
        let mut y = [vdupq_n_f32(0.0); VECTORS];
        for i in 0..VECTORS {
            y[i] = vmulq_f32(vmulq_n_f32(x[i], inverse), gain[i]);
            tops[i] = vmaxq_u32(tops[i], magnitude(y[i]));
        }
        store(y, out);
    }
    let mut top = largest(tops);
    for ((x, gain), out) in tail.iter().zip(gain_tail).zip(out_tail) {
        *out = (x * inverse) * gain;
        top = top.max(out.to_bits() & 0x7fff_ffff);
    }
    top
}

/// `portable::lanes::amax_bits`.
#[inline]
#[target_feature(enable = "neon")]
pub(crate) fn amax_bits(x: &[f32]) -> u32 {
    let (chunks, tail) = x.as_chunks::<LANES>();
    let mut tops = [vdupq_n_u32(0); VECTORS];
    for chunk in chunks {
        for (top, x) in tops.iter_mut().zip(load(chunk)) {
            *top = vmaxq_u32(*top, magnitude(x));
        }
    }
    tail.iter()
        .fold(largest(tops), |top, x| top.max(x.to_bits() & 0x7fff_ffff))
}

/// `round_ties_even(x * inverse)` as bytes, where that is -127..=127.
#[inline]
#[target_feature(enable = "neon")]
pub(crate) fn round(x: &[f32], inverse: f32, bytes: &mut [u8]) {
    let (chunks, tail) = x.as_chunks::<LANES>();
    let (blocks, bytes_tail) = bytes.as_chunks_mut::<LANES>();
    for (x, bytes) in chunks.iter().zip(&mut *blocks) {
        let [low, high] = words(load(x), inverse);
        let narrow = vuzp1q_s8(vreinterpretq_s8_s16(low), vreinterpretq_s8_s16(high));
        // SAFETY: 16 bytes.
        unsafe { vst1q_s8(bytes.as_mut_ptr().cast(), narrow) };
    }
    // The bytes may be padded: the tail's may then be a whole block of theirs.
    let bytes_tail = match blocks.get_mut(chunks.len()) {
        Some(block) => &mut block[..],
        None => bytes_tail,
    };
    for (byte, x) in bytes_tail.iter_mut().zip(tail) {
        *byte = (x * inverse + ROUND).to_bits() as u8;
    }
}

/// `clamp(round_ties_even(x * inverse) + zero, 0, 255) - 128` as bytes, where `x * inverse` is at most 2^14
/// in magnitude and `zero` is 0..=255.
#[inline]
#[target_feature(enable = "neon")]
pub(crate) fn round_skewed(x: &[f32], inverse: f32, zero: i32, bytes: &mut [u8]) {
    let (chunks, tail) = x.as_chunks::<LANES>();
    let (blocks, bytes_tail) = bytes.as_chunks_mut::<LANES>();
    let shift = vdupq_n_s16((zero - 128) as i16);
    for (x, bytes) in chunks.iter().zip(&mut *blocks) {
        let [low, high] = words(load(x), inverse).map(|w| vqmovn_s16(vaddq_s16(w, shift)));
        // SAFETY: 16 bytes.
        unsafe { vst1q_s8(bytes.as_mut_ptr().cast(), vcombine_s8(low, high)) };
    }
    let bytes_tail = match blocks.get_mut(chunks.len()) {
        Some(block) => &mut block[..],
        None => bytes_tail,
    };
    for (byte, x) in bytes_tail.iter_mut().zip(tail) {
        let steps = (x * inverse + ROUND).to_bits() as i32 - ROUND.to_bits() as i32;
        *byte = (steps + zero).clamp(0, 255) as u8 ^ 0x80;
    }
}

/// 16 numbers times `inverse`, rounded to 16-bit integers.
#[inline]
#[target_feature(enable = "neon")]
fn words(x: [float32x4_t; VECTORS], inverse: f32) -> [int16x8_t; 2] {
    let [a, b, c, d] = x.map(|x| vreinterpretq_s16_s32(vcvtnq_s32_f32(vmulq_n_f32(x, inverse))));
    [vuzp1q_s16(a, b), vuzp1q_s16(c, d)]
}

#[inline]
#[target_feature(enable = "neon")]
fn magnitude(x: float32x4_t) -> uint32x4_t {
    vreinterpretq_u32_f32(vabsq_f32(x))
}

#[inline]
#[target_feature(enable = "neon")]
fn largest(tops: [uint32x4_t; VECTORS]) -> u32 {
    let [a, b, c, d] = tops;
    vmaxvq_u32(vmaxq_u32(vmaxq_u32(a, b), vmaxq_u32(c, d)))
}

#[inline]
#[target_feature(enable = "neon")]
fn load(x: &[f32; LANES]) -> [float32x4_t; VECTORS] {
    // SAFETY: four vectors of four.
    core::array::from_fn(|i| unsafe { vld1q_f32(x.as_ptr().add(i * VECTOR)) })
}

#[inline]
#[target_feature(enable = "neon")]
fn store(x: [float32x4_t; VECTORS], to: &mut [f32; LANES]) {
    for (i, x) in x.into_iter().enumerate() {
        // SAFETY: four vectors of four.
        unsafe { vst1q_f32(to.as_mut_ptr().add(i * VECTOR), x) };
    }
}
