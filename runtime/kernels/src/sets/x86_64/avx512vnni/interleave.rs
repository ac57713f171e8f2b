//! Interleaving on AVX-512: 64 bytes of four rows are a transposition of 4 x 16 dwords.

use core::arch::x86_64::{
    __m128i, __m512i, _mm_storeu_si128, _mm512_castsi512_si128, _mm512_extracti32x4_epi32,
    _mm512_loadu_si512, _mm512_unpackhi_epi32, _mm512_unpackhi_epi64, _mm512_unpacklo_epi32,
    _mm512_unpacklo_epi64,
};

use crate::arithmetic::interleave::scatter;
use crate::layout::GROUP;

/// Bytes of a row in a vector.
const BLOCK: usize = 64;

/// The only kr of this instruction set.
const KR: usize = 4;

/// See [`Packing::interleave`](crate::operands::packing::Packing::interleave).
///
/// # Safety
/// As there.
#[inline]
#[target_feature(enable = "avx512f")]
pub(crate) unsafe fn interleave(rows: &[u8], panel: &mut [u8], slots: usize, slot: usize) {
    let len = rows.len() / GROUP;
    assert!(slot + GROUP <= slots && panel.len() >= len * slots);
    let whole = len - len % BLOCK;
    for start in (0..whole).step_by(BLOCK) {
        let load = |row: usize| {
            // SAFETY: a block within row `row < 4` of `rows`.
            unsafe { _mm512_loadu_si512(rows.as_ptr().add(row * len + start).cast()) }
        };
        let columns = transpose([load(0), load(1), load(2), load(3)]);
        for (s, column) in columns.into_iter().enumerate() {
            for (l, bytes) in quarters(column).into_iter().enumerate() {
                // SAFETY: group `start / 4 + 4 l + s` is within the panel, and so are four of its slots.
                unsafe {
                    let group = start / KR + 4 * l + s;
                    let to = panel.as_mut_ptr().add((group * slots + slot) * KR);
                    _mm_storeu_si128(to.cast(), bytes);
                }
            }
        }
    }
    if whole < len {
        let panel = &mut panel[whole * slots..];
        for i in 0..GROUP {
            scatter(&rows[i * len..][whole..len], panel, slots, slot + i, KR);
        }
    }
}

/// Lane l of result s holds dword 4 l + s of the four rows.
#[inline]
#[target_feature(enable = "avx512f")]
pub(crate) fn transpose([a, b, c, d]: [__m512i; GROUP]) -> [__m512i; GROUP] {
    let (ab, cd) = (_mm512_unpacklo_epi32(a, b), _mm512_unpacklo_epi32(c, d));
    let (ab_high, cd_high) = (_mm512_unpackhi_epi32(a, b), _mm512_unpackhi_epi32(c, d));
    [
        _mm512_unpacklo_epi64(ab, cd),
        _mm512_unpackhi_epi64(ab, cd),
        _mm512_unpacklo_epi64(ab_high, cd_high),
        _mm512_unpackhi_epi64(ab_high, cd_high),
    ]
}

/// The 128-bit lanes of a vector.
#[inline]
#[target_feature(enable = "avx512f")]
pub(crate) fn quarters(v: __m512i) -> [__m128i; 4] {
    [
        _mm512_castsi512_si128(v),
        _mm512_extracti32x4_epi32::<1>(v),
        _mm512_extracti32x4_epi32::<2>(v),
        _mm512_extracti32x4_epi32::<3>(v),
    ]
}
