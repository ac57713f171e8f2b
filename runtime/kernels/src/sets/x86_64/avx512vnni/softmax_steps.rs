//! Steps of the softmax on AVX-512 (`softmax`) that know nothing of it: words out of numbers, shifts, reductions of four rows at once.

use core::arch::asm;
use core::arch::x86_64::{
    __m128i, __m512i, _mm_storeu_si128, _mm512_loadu_si512, _mm512_permutex2var_epi16,
    _mm512_shuffle_epi32, _mm512_shuffle_i64x2, _mm512_unpackhi_epi32, _mm512_unpackhi_epi64,
    _mm512_unpacklo_epi32, _mm512_unpacklo_epi64,
};

use crate::layout::{GROUP, MAX_MR};

/// Numbers of 32 bits in a vector.
pub(super) const LANES: usize = 16;

/// The high halves of 32 numbers, in order.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
pub(super) fn high_words(a: __m512i, b: __m512i) -> __m512i {
    const ODD: [i16; 2 * LANES] = {
        let mut odd = [0; 2 * LANES];
        let mut i = 0;
        while i < odd.len() {
            odd[i] = 2 * i as i16 + 1;
            i += 1;
        }
        odd
    };
    // SAFETY: 32 words fill a vector.
    let odd = unsafe { _mm512_loadu_si512(ODD.as_ptr().cast()) };
    _mm512_permutex2var_epi16(a, odd, b)
}

/// `x >> n`, 0 where n is 16 or more: `_mm512_srlv_epi16`, of which the compiler makes a shift and a comparison, as if the instruction
/// did not see to that itself.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
pub(super) fn shift_right(x: __m512i, n: __m512i) -> __m512i {
    let shifted;
    // SAFETY: the instruction is there, as this function's target features say, and it touches only these registers.
    unsafe {
        asm!(
            "vpsrlvw {shifted}, {x}, {n}",
            shifted = lateout(zmm_reg) shifted,
            x = in(zmm_reg) x,
            n = in(zmm_reg) n,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    shifted
}

/// Folds the 16 lanes of each of four vectors; the four results are in every 128-bit lane.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn fold(v: [__m512i; GROUP], op: impl Fn(__m512i, __m512i) -> __m512i) -> __m512i {
    let ab = op(
        _mm512_unpacklo_epi32(v[0], v[1]),
        _mm512_unpackhi_epi32(v[0], v[1]),
    );
    let cd = op(
        _mm512_unpacklo_epi32(v[2], v[3]),
        _mm512_unpackhi_epi32(v[2], v[3]),
    );
    let all = op(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd));
    let all = op(all, _mm512_shuffle_i64x2::<0b01_00_11_10>(all, all));
    op(all, _mm512_shuffle_i64x2::<0b10_11_00_01>(all, all))
}

/// What [`fold`] gives, each of the four results in a vector full of it.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn spread(v: __m512i) -> [__m512i; GROUP] {
    [
        _mm512_shuffle_epi32::<0b00_00_00_00>(v),
        _mm512_shuffle_epi32::<0b01_01_01_01>(v),
        _mm512_shuffle_epi32::<0b10_10_10_10>(v),
        _mm512_shuffle_epi32::<0b11_11_11_11>(v),
    ]
}

/// Writes the four results in `v` to rows `at..at + 4` of what is stats.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn keep<T>(v: __m128i, to: &mut [T; MAX_MR], at: usize) {
    const { assert!(size_of::<T>() == 4) };
    let to: &mut [T; GROUP] = to[at..].first_chunk_mut().expect("rows of a panel");
    // SAFETY: four numbers of four bytes, of a type that any bits are one of (f32 and i32 are all there are).
    unsafe { _mm_storeu_si128(to.as_mut_ptr().cast(), v) };
}
