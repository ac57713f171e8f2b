//! Four rows at a time from numbers to the panel of a tile, on AVX-512, with no bytes of theirs in between.
//!
//! Saturating packs work within 128 bits: of 16 columns of four rows two rounds of them leave, in every 128 bits, four columns of each row,
//! which is a group of a panel and what its four slots want.
#![allow(
    clippy::needless_range_loop,
    reason = "rows are counted: what iterators and arrays hand to closures is not inlined where they have these features"
)]

use core::arch::x86_64::{
    __m512, __m512i, __mmask16, _mm_storeu_si128, _mm512_add_epi32, _mm512_add_ps,
    _mm512_and_si512, _mm512_castps_si512, _mm512_castsi512_si128, _mm512_maskz_loadu_ps,
    _mm512_max_epi32, _mm512_max_epu32, _mm512_mul_ps, _mm512_packs_epi16, _mm512_packs_epi32,
    _mm512_packus_epi16, _mm512_packus_epi32, _mm512_permutexvar_epi32, _mm512_set1_epi8,
    _mm512_set1_epi32, _mm512_set1_ps, _mm512_setr_epi32, _mm512_setzero_ps, _mm512_setzero_si512,
    _mm512_shuffle_epi32, _mm512_shuffle_i32x4, _mm512_xor_si512,
};

use super::interleave::quarters;
use super::tile::LAYOUT;
use crate::arithmetic::lanes::LANES;
use crate::arithmetic::math::ROUND;
use crate::layout::GROUP;
use crate::operands::rows::Slots;

/// `$body` for every vector of a row of `$len` numbers: where it begins, and which of its numbers are the row's. All of them, of all but the last:
/// there the compiler knows it.
macro_rules! vectors {
    ($len:expr, |$at:ident, $mask:ident| $body:block) => {{
        let len: usize = $len;
        let whole = len - len % LANES;
        for $at in (0..whole).step_by(LANES) {
            let $mask: __mmask16 = !0;
            $body
        }
        if whole < len {
            let ($at, $mask): (usize, __mmask16) = (whole, (1 << (len - whole)) - 1);
            $body
        }
    }};
}
pub(super) use vectors;

/// The numbers of a vector that are the row's, and zeros.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn load(x: &[f32], at: usize, mask: __mmask16) -> __m512 {
    debug_assert!(at + mask.count_ones() as usize <= x.len());
    // SAFETY: numbers that the mask leaves out are not read.
    unsafe { _mm512_maskz_loadu_ps(mask, x.as_ptr().wrapping_add(at)) }
}

/// The bits of each magnitude.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn magnitude(x: __m512) -> __m512i {
    _mm512_and_si512(_mm512_castps_si512(x), _mm512_set1_epi32(0x7fff_ffff))
}

/// See [`InstructionSet::amax_four`](crate::set::InstructionSet::amax_four).
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn amax(rows: [&[f32]; GROUP]) -> [u32; GROUP] {
    let width = rows[0].len();
    assert!(rows.iter().all(|row| row.len() == width));
    let mut tops = [_mm512_setzero_si512(); GROUP];
    vectors!(width, |at, mask| {
        for r in 0..GROUP {
            tops[r] = _mm512_max_epu32(tops[r], magnitude(load(rows[r], at, mask)));
        }
    });
    largest(tops)
}

/// The largest lane of each of four vectors, as unsigned numbers.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn largest(v: [__m512i; GROUP]) -> [u32; GROUP] {
    folded(v, |a, b| _mm512_max_epu32(a, b))
}

/// The same as signed ones.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn largest_signed(v: [__m512i; GROUP]) -> [u32; GROUP] {
    folded(v, |a, b| _mm512_max_epi32(a, b))
}

/// All lanes of each of four vectors, folded.
#[inline]
#[target_feature(enable = "avx512f")]
fn folded(
    [a, b, c, d]: [__m512i; GROUP],
    fold: impl Fn(__m512i, __m512i) -> __m512i,
) -> [u32; GROUP] {
    let halves = |a, b| {
        fold(
            _mm512_shuffle_i32x4::<0b01_00_01_00>(a, b),
            _mm512_shuffle_i32x4::<0b11_10_11_10>(a, b),
        )
    };
    let (ab, cd) = (halves(a, b), halves(c, d));
    let four = fold(
        _mm512_shuffle_i32x4::<0b10_00_10_00>(ab, cd),
        _mm512_shuffle_i32x4::<0b11_01_11_01>(ab, cd),
    );
    let two = fold(four, _mm512_shuffle_epi32::<0b01_00_11_10>(four));
    let one = fold(two, _mm512_shuffle_epi32::<0b10_11_00_01>(two));
    let firsts = _mm512_setr_epi32(0, 4, 8, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
    let folded = _mm512_castsi512_si128(_mm512_permutexvar_epi32(firsts, one));
    let mut lanes = [0; GROUP];
    // SAFETY: four numbers of 32 bits are 128 bits.
    unsafe { _mm_storeu_si128(lanes.as_mut_ptr().cast(), folded) };
    lanes
}

/// See [`InstructionSet::round_four`](crate::set::InstructionSet::round_four).
///
/// # Safety
/// This machine must have AVX-512.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
pub(super) unsafe fn round(rows: [&[f32]; GROUP], inverses: [f32; GROUP], slots: Slots<'_>) {
    let zeros = [-(ROUND.to_bits() as i32); GROUP];
    // SAFETY: the caller's.
    unsafe { to_slots::<false>(rows, inverses, zeros, slots) };
}

/// See [`InstructionSet::round_skewed_four`](crate::set::InstructionSet::round_skewed_four).
///
/// # Safety
/// This machine must have AVX-512.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
pub(super) unsafe fn round_skewed(
    rows: [&[f32]; GROUP],
    skews: [(f32, i32); GROUP],
    slots: Slots<'_>,
) {
    let (mut inverses, mut zeros) = ([0.0; GROUP], [0; GROUP]);
    for r in 0..GROUP {
        inverses[r] = skews[r].0;
        zeros[r] = skews[r].1.wrapping_sub(ROUND.to_bits() as i32);
    }
    // SAFETY: the caller's.
    unsafe { to_slots::<true>(rows, inverses, zeros, slots) };
}

/// Stores numbers times `inverses`, rounded to integers in their low bits, with `zeros` added: as signed bytes, or as unsigned ones if `SKEWED`.
///
/// # Safety
/// This machine must have AVX-512.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
unsafe fn to_slots<const SKEWED: bool>(
    rows: [&[f32]; GROUP],
    inverses: [f32; GROUP],
    zeros: [i32; GROUP],
    slots: Slots<'_>,
) {
    // A signed value XOR this is what the tile takes, and u - 128 XOR this is u itself.
    const { assert!(LAYOUT.offset == 0x80) };
    let offset = _mm512_set1_epi8(LAYOUT.offset as i8);
    let Slots { panel, slots, slot } = slots;
    let width = rows[0].len();
    let (kr, step) = (LAYOUT.kr, slots * LAYOUT.kr);
    assert!(rows.iter().all(|row| row.len() == width));
    assert!(slot + GROUP <= slots && panel.len() >= width.div_ceil(kr) * step);
    let to = panel[slot * kr..].as_mut_ptr();
    let (mut multiply, mut add) = (
        [_mm512_setzero_ps(); GROUP],
        [_mm512_setzero_si512(); GROUP],
    );
    for r in 0..GROUP {
        multiply[r] = _mm512_set1_ps(inverses[r]);
        add[r] = _mm512_set1_epi32(zeros[r]);
    }
    vectors!(width, |at, mask| {
        let mut of = [_mm512_setzero_si512(); GROUP];
        for r in 0..GROUP {
            let product = _mm512_mul_ps(load(rows[r], at, mask), multiply[r]);
            let rounded = _mm512_add_ps(product, _mm512_set1_ps(ROUND));
            of[r] = _mm512_add_epi32(_mm512_castps_si512(rounded), add[r]);
        }
        let [a, b, c, d] = of;
        let bytes = if SKEWED {
            // 256, of two roundings up at once, becomes 255; nothing is below 0, where the smallest number lies.
            _mm512_packus_epi16(_mm512_packus_epi32(a, b), _mm512_packus_epi32(c, d))
        } else {
            let bytes = _mm512_packs_epi16(_mm512_packs_epi32(a, b), _mm512_packs_epi32(c, d));
            _mm512_xor_si512(bytes, offset)
        };
        let groups = quarters(bytes);
        for (i, group) in groups.into_iter().enumerate() {
            if i * kr < width - at {
                // SAFETY: four slots of group `at / kr + i`, which holds columns of the rows and is in the panel.
                unsafe { _mm_storeu_si128(to.add((at / kr + i) * step).cast(), group) };
            }
        }
    });
}
