//! Four pixels of a depthwise convolution on AVX-512: a vector of channels of each is summed, activated and its range taken in registers.
#![allow(
    clippy::needless_range_loop,
    reason = "pixels are counted: what iterators hand to closures is not inlined where those have these features"
)]

use core::arch::x86_64::{
    __m512, __mmask16, _mm512_castps_si512, _mm512_fmadd_ps, _mm512_loadu_ps,
    _mm512_mask_storeu_ps, _mm512_max_epi32, _mm512_max_epu32, _mm512_set1_epi32, _mm512_storeu_ps,
};

use super::quantize::{largest, largest_signed, load, vectors};
use crate::arithmetic::activation::{self, Activation};
use crate::arithmetic::lanes::{LANES, Range, RangeBits};
use crate::layout::GROUP;
use crate::set::Taps;

/// Taps of a row.
const SIDE: usize = 3;

/// See [`InstructionSet::convolve_four`](crate::set::InstructionSet::convolve_four).
///
/// # Safety
/// This machine must have AVX-512.
#[inline]
#[target_feature(enable = "avx512f,fma")]
pub(super) unsafe fn four(taps: &Taps<'_>, kind: Activation, out: &mut [f32]) -> [Range; GROUP] {
    // SAFETY: the caller's.
    unsafe {
        match kind {
            Activation::Gelu => run(taps, out, activation::coarse_gelu),
            Activation::Relu => run(taps, out, activation::relu),
            Activation::QuickGelu => run(taps, out, activation::coarse_quick_gelu),
            Activation::GeluNew => run(taps, out, activation::gelu_new),
            Activation::Silu => run(taps, out, activation::silu),
        }
    }
}

/// [`four`] with what an activation makes of a number.
///
/// # Safety
/// As there.
#[inline]
#[target_feature(enable = "avx512f,fma")]
unsafe fn run(taps: &Taps<'_>, out: &mut [f32], activate: impl Fn(f32) -> f32) -> [Range; GROUP] {
    let Taps {
        values,
        line,
        channels,
        rows,
        ends: [left, right],
        weight,
        bias,
    } = *taps;
    let pixels = GROUP + SIDE - 1 - usize::from(left) - usize::from(right);
    assert!((1..=SIDE).contains(&rows) && values.len() >= (rows - 1) * line + pixels * channels);
    assert!(weight.len() >= rows * SIDE * channels && bias.len() >= channels);
    assert!(out.len() >= GROUP * channels);
    let out = out.as_mut_ptr();
    let mut highs = [_mm512_set1_epi32(RangeBits::EMPTY.high); GROUP];
    let mut lows = [_mm512_set1_epi32(RangeBits::EMPTY.low as i32); GROUP];
    vectors!(channels, |at, mask| {
        let mut sums = [load(bias, at, mask); GROUP];
        for ky in 0..rows {
            for kx in 0..SIDE {
                let w = load(weight, (ky * SIDE + kx) * channels + at, mask);
                for n in 0..GROUP {
                    let outside = (left && n + kx == 0) || (right && n + kx == GROUP + SIDE - 2);
                    if !outside {
                        let pixel = n + kx - usize::from(left);
                        let x = load(values, ky * line + pixel * channels + at, mask);
                        sums[n] = _mm512_fmadd_ps(x, w, sums[n]);
                    }
                }
            }
        }
        let activated = each(sums, &activate);
        for n in 0..GROUP {
            let y = activated[n];
            let bits = _mm512_castps_si512(y);
            // Beyond the channels are zeros, which every range has.
            highs[n] = _mm512_max_epi32(highs[n], bits);
            lows[n] = _mm512_max_epu32(lows[n], bits);
            // SAFETY: row n of `out`, as was checked above, of which the mask leaves out what is not there.
            unsafe { _mm512_mask_storeu_ps(out.add(n * channels + at), mask, y) };
        }
    });
    let (highs, lows) = (largest_signed(highs), largest(lows));
    let mut ranges = [Range::ZERO; GROUP];
    for n in 0..GROUP {
        let (high, low) = (highs[n] as i32, lows[n]);
        ranges[n] = RangeBits { high, low }.range();
    }
    ranges
}

/// Each lane by itself, which becomes vectors again: all four, a step at a time.
#[inline]
#[target_feature(enable = "avx512f,fma")]
fn each(v: [__m512; GROUP], f: impl Fn(f32) -> f32) -> [__m512; GROUP] {
    let mut lanes = [[0.0; LANES]; GROUP];
    for n in 0..GROUP {
        // SAFETY: 16 numbers.
        unsafe { _mm512_storeu_ps(lanes[n].as_mut_ptr(), v[n]) };
    }
    for x in lanes.as_flattened_mut() {
        *x = f(*x);
    }
    let mut activated = v;
    for n in 0..GROUP {
        // SAFETY: 16 numbers.
        activated[n] = unsafe { _mm512_loadu_ps(lanes[n].as_ptr()) };
    }
    activated
}
