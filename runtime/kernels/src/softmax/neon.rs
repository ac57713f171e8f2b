//! The softmax on NEON: four rows at a time, four scores and then eight weights a vector. Nothing in it is newer than ARMv8.0.
//!
//! `fcvtnu` and `uqxtn` saturate by themselves, `sqrdmulh` is [`mul_high`](super::mul_high), and `ushl` by a negative number is a
//! shift to the right. The scales of a vector of keys are loaded once for the four rows.

use core::arch::aarch64::{
    float32x4_t, int16x8_t, int32x4_t, uint8x16_t, uint16x8_t, vaddq_s16, vandq_u16, vbslq_f32,
    vbslq_s16, vcltq_s16, vcltq_s32, vcombine_u16, vcvtnq_u32_f32, vcvtq_f32_s32, vdupq_laneq_s16,
    vdupq_n_f32, vdupq_n_s16, vdupq_n_s32, vdupq_n_u8, vdupq_n_u16, vdupq_n_u32, veorq_u8,
    vld1q_f32, vld1q_s16, vld1q_s32, vmaxq_f32, vmaxq_s16, vminq_s16, vmulq_f32, vnegq_s16,
    vpadalq_u16, vpaddq_u32, vpmaxq_f32, vpmaxq_s16, vpminq_s16, vqaddq_u16, vqmovn_u32,
    vqrdmulhq_s16, vreinterpretq_s16_u16, vreinterpretq_u8_s16, vreinterpretq_u16_s16, vshlq_n_u16,
    vshlq_u16, vshrq_n_u16, vst1q_f32, vst1q_s16, vst1q_u8, vst1q_u32, vsubq_f32, vsubq_s16,
    vuzp1q_u8,
};

use super::{C, FRACTION, FULL, Found, Keys, Rows};
use crate::dot::{Layout, MAX_MR};
use crate::interleave::GROUP;
use crate::interleave::neon::store;
use crate::kv::KV_TILE;
use crate::pack::scatter;

/// Scores in a vector.
const LANES: usize = 4;

/// Weights in a vector.
const WORDS: usize = 8;

/// Vectors of weights of a row.
const VECTORS: usize = KV_TILE / WORDS;

/// See [`Softmax`](super::Softmax).
///
/// # Safety
/// As [`Softmax`](super::Softmax).
#[inline]
#[allow(clippy::too_many_arguments, reason = "the signature of every softmax")]
#[target_feature(enable = "neon")]
pub(crate) unsafe fn softmax(
    layout: Layout,
    rows: usize,
    whole: bool,
    scores: &[[i32; KV_TILE]],
    keys: Keys<'_>,
    told: &Rows,
    found: &mut Found,
    p: &mut [u8],
) {
    if rows == 1 {
        let [row] = match whole {
            true => weigh::<1, false>(scores, keys, told, found, 0),
            false => weigh::<1, true>(scores, keys, told, found, 0),
        };
        let mut bytes = [0u8; KV_TILE];
        for (row, bytes) in row.into_iter().zip(bytes.as_chunks_mut::<16>().0) {
            // SAFETY: 16 bytes.
            unsafe { vst1q_u8(bytes.as_mut_ptr(), row) };
        }
        scatter(&bytes, p, layout.mr, 0, layout.kr);
        return;
    }
    for row in (0..rows).step_by(GROUP) {
        let scores = &scores[row..];
        let bytes = match whole {
            true => weigh::<GROUP, false>(scores, keys, told, found, row),
            false => weigh::<GROUP, true>(scores, keys, told, found, row),
        };
        let Layout { mr, kr, .. } = layout;
        for i in 0..KV_TILE / 16 {
            store(bytes.map(|row| row[i]), &mut p[i * 16 * mr..], mr, row, kr);
        }
    }
}

/// The bytes of `R` rows from row `at` of a panel on, whose scores are the first of `scores`; what is found of them beside.
#[inline]
#[target_feature(enable = "neon")]
fn weigh<const R: usize, const MASKED: bool>(
    scores: &[[i32; KV_TILE]],
    keys: Keys<'_>,
    told: &Rows,
    found: &mut Found,
    at: usize,
) -> [[uint8x16_t; 4]; R] {
    let scores: &[[i32; KV_TILE]; R] = scores.first_chunk().expect("a row of scores for each");
    let valid: &[usize; R] = told.valid[at..].first_chunk().expect("a number for each");
    let c: &[f32; R] = told.c[at..].first_chunk().expect("a factor for each");

    let mut a = [[vdupq_n_f32(0.0); 2 * VECTORS]; R];
    let mut tops = [vdupq_n_f32(f32::NEG_INFINITY); GROUP];
    for i in 0..2 * VECTORS {
        // SAFETY: a vector of 64 numbers.
        let k_scale = unsafe { vld1q_f32(keys.k_scale[i * LANES..][..LANES].as_ptr()) };
        for r in 0..R {
            // SAFETY: likewise.
            let acc = unsafe { vld1q_s32(scores[r][i * LANES..][..LANES].as_ptr()) };
            a[r][i] = vmulq_f32(vcvtq_f32_s32(acc), k_scale);
            let mut seen = a[r][i];
            if MASKED {
                let mask = vcltq_s32(numbers_s32(i * LANES), vdupq_n_s32(valid[r] as i32));
                seen = vbslq_f32(mask, seen, vdupq_n_f32(f32::NEG_INFINITY));
            }
            tops[r] = vmaxq_f32(tops[r], seen);
        }
    }
    let tops = vpmaxq_f32(vpmaxq_f32(tops[0], tops[1]), vpmaxq_f32(tops[2], tops[3]));
    let mut top = [0.0; GROUP];
    // SAFETY: four numbers.
    unsafe { vst1q_f32(top.as_mut_ptr(), tops) };
    found.top[at..at + GROUP].copy_from_slice(&top);

    let mut sums = [vdupq_n_u32(0); GROUP];
    let mut least = [vdupq_n_s16(i16::MAX); GROUP];
    let mut y = [[vdupq_n_s16(0); VECTORS]; R];
    let mut e = [[vdupq_n_s16(0); VECTORS]; R];
    for i in 0..VECTORS {
        // SAFETY: vectors of 64 numbers.
        let (mantissa, shift) = unsafe {
            (
                vld1q_s16(keys.v_mantissa[i * WORDS..][..WORDS].as_ptr()),
                vld1q_s16(keys.v_shift[i * WORDS..][..WORDS].as_ptr()),
            )
        };
        for r in 0..R {
            let z = below([a[r][2 * i], a[r][2 * i + 1]], top[r], c[r]);
            let b = exp2(z);
            let n = vqaddq_u16(z, vdupq_n_u16(1 << (FRACTION - 1)));
            let n = vshrq_n_u16::<{ FRACTION as i32 }>(n);
            let right = vnegq_s16(vreinterpretq_s16_u16(n));
            let mut p = vshlq_u16(vreinterpretq_u16_s16(b), right);
            let mut exponent = vsubq_s16(shift, right);
            if MASKED {
                let mask = vcltq_s16(numbers_s16(i * WORDS), vdupq_n_s16(valid[r] as i16));
                p = vandq_u16(p, mask);
                exponent = vbslq_s16(mask, exponent, vdupq_n_s16(i16::MAX));
            }
            sums[r] = vpadalq_u16(sums[r], p);
            y[r][i] = vqrdmulhq_s16(b, mantissa);
            e[r][i] = exponent;
            least[r] = vminq_s16(least[r], exponent);
        }
    }
    let sums = vpaddq_u32(vpaddq_u32(sums[0], sums[1]), vpaddq_u32(sums[2], sums[3]));
    let mut sum = [0u32; GROUP];
    // SAFETY: four numbers.
    unsafe { vst1q_u32(sum.as_mut_ptr(), sums) };
    let least = vpminq_s16(
        vpminq_s16(least[0], least[1]),
        vpminq_s16(least[2], least[3]),
    );
    let least = vpminq_s16(least, least);
    keep(least, &mut found.e, at);

    let mut peaks = [vdupq_n_s16(0); GROUP];
    for r in 0..R {
        let least = lane(least, r);
        for i in 0..VECTORS {
            // ushl takes the lowest byte of a shift, so it has to fit one.
            let right = vmaxq_s16(vsubq_s16(least, e[r][i]), vdupq_n_s16(-16));
            let w = vshlq_u16(vreinterpretq_u16_s16(y[r][i]), right);
            y[r][i] = vreinterpretq_s16_u16(w);
            peaks[r] = vmaxq_s16(peaks[r], y[r][i]);
        }
    }
    let peaks = vpmaxq_s16(
        vpmaxq_s16(peaks[0], peaks[1]),
        vpmaxq_s16(peaks[2], peaks[3]),
    );
    let mut peak = [0i32; MAX_MR];
    keep(vpmaxq_s16(peaks, peaks), &mut peak, 0);

    let flip = vdupq_n_u8(0x80);
    let mut bytes = [[flip; 4]; R];
    for r in 0..R {
        let inverse = if peak[r] > 0 {
            (FULL / peak[r] as f32) as i32
        } else {
            0
        };
        (found.sum[at + r], found.inverse[at + r]) = (sum[r] as i32, inverse);
        let inverse = vdupq_n_s16(inverse as i16);
        for i in 0..4 {
            let u =
                [2 * i, 2 * i + 1].map(|i| vreinterpretq_u8_s16(vqrdmulhq_s16(y[r][i], inverse)));
            bytes[r][i] = veorq_u8(vuzp1q_u8(u[0], u[1]), flip);
        }
    }
    bytes
}

/// z of eight keys.
#[inline]
#[target_feature(enable = "neon")]
fn below(a: [float32x4_t; 2], top: f32, c: f32) -> uint16x8_t {
    let (top, c) = (vdupq_n_f32(top), vdupq_n_f32(c));
    let z = a.map(|a| vcvtnq_u32_f32(vmulq_f32(vsubq_f32(top, a), c)));
    vcombine_u16(vqmovn_u32(z[0]), vqmovn_u32(z[1]))
}

/// [`exp2`](super::portable::exp2).
#[inline]
#[target_feature(enable = "neon")]
fn exp2(z: uint16x8_t) -> int16x8_t {
    let s = vreinterpretq_s16_u16(vshlq_n_u16::<5>(z));
    let c = C.map(|c| vdupq_n_s16(c));
    let b = vaddq_s16(vqrdmulhq_s16(s, c[3]), c[2]);
    let b = vaddq_s16(vqrdmulhq_s16(s, b), c[1]);
    vaddq_s16(vqrdmulhq_s16(s, b), c[0])
}

/// `first`, `first + 1`, ...
#[inline]
#[target_feature(enable = "neon")]
fn numbers_s32(first: usize) -> int32x4_t {
    let numbers = [0, 1, 2, 3].map(|i| first as i32 + i);
    // SAFETY: four numbers.
    unsafe { vld1q_s32(numbers.as_ptr()) }
}

/// `first`, `first + 1`, ...
#[inline]
#[target_feature(enable = "neon")]
fn numbers_s16(first: usize) -> int16x8_t {
    let numbers = [0, 1, 2, 3, 4, 5, 6, 7].map(|i| first as i16 + i);
    // SAFETY: eight numbers.
    unsafe { vld1q_s16(numbers.as_ptr()) }
}

/// Lane `r < 4` in every lane.
#[inline]
#[target_feature(enable = "neon")]
fn lane(v: int16x8_t, r: usize) -> int16x8_t {
    match r {
        0 => vdupq_laneq_s16::<0>(v),
        1 => vdupq_laneq_s16::<1>(v),
        2 => vdupq_laneq_s16::<2>(v),
        _ => vdupq_laneq_s16::<3>(v),
    }
}

/// Writes the first four lanes to rows `at..at + 4` of what is found.
#[inline]
#[target_feature(enable = "neon")]
fn keep(v: int16x8_t, to: &mut [i32; MAX_MR], at: usize) {
    let mut lanes = [0i16; WORDS];
    // SAFETY: eight numbers.
    unsafe { vst1q_s16(lanes.as_mut_ptr(), v) };
    for (to, lane) in to[at..at + GROUP].iter_mut().zip(lanes) {
        *to = i32::from(lane);
    }
}
