//! LayerNorm on AVX-512, four rows at a time: what takes long, sums over lanes, divisions and a root, is done for all of them together. The last
//! vector of a row is masked.
#![allow(
    clippy::needless_range_loop,
    reason = "rows are counted: what iterators and arrays hand to closures is not inlined where they have these features"
)]

use core::arch::x86_64::{
    __m128, __m512, __mmask16, _mm_add_ps, _mm_div_ps, _mm_set1_ps, _mm_sqrt_ps, _mm512_add_ps,
    _mm512_castps128_ps512, _mm512_castps512_ps128, _mm512_fmadd_ps, _mm512_mask_storeu_ps,
    _mm512_maskz_fmadd_ps, _mm512_maskz_sub_ps, _mm512_max_epu32, _mm512_mul_ps, _mm512_permute_ps,
    _mm512_permutexvar_ps, _mm512_set1_epi32, _mm512_setr_epi32, _mm512_setzero_ps,
    _mm512_setzero_si512, _mm512_shuffle_f32x4, _mm512_sub_ps,
};

use super::quantize::{largest, load, magnitude, vectors};
use crate::arithmetic::lanes::LANES;
use crate::arithmetic::layer_norm::Affine;
use crate::layout::GROUP;

/// See [`InstructionSet::layer_norm`](crate::set::InstructionSet::layer_norm).
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn layer_norm(
    rows: [&[f32]; GROUP],
    affine: Affine<'_>,
    out: &mut [f32],
) -> [u32; GROUP] {
    let Affine { gain, bias, eps } = affine;
    let width = gain.len();
    assert!(bias.len() == width && out.len() >= GROUP * width);
    assert!(rows.iter().all(|row| row.len() == width));
    let n = _mm_set1_ps(width as f32);

    let mut sums = [_mm512_setzero_ps(); GROUP];
    vectors!(width, |at, mask| {
        for r in 0..GROUP {
            sums[r] = _mm512_add_ps(sums[r], load(rows[r], at, mask));
        }
    });
    let means = each(_mm_div_ps(tree_sums(sums), n));

    let mut squares = [_mm512_setzero_ps(); GROUP];
    vectors!(width, |at, mask| {
        for r in 0..GROUP {
            let d = _mm512_maskz_sub_ps(mask, load(rows[r], at, mask), means[r]);
            squares[r] = _mm512_fmadd_ps(d, d, squares[r]);
        }
    });
    let variance = _mm_div_ps(tree_sums(squares), n);
    let root = _mm_sqrt_ps(_mm_add_ps(variance, _mm_set1_ps(eps)));
    let inverses = each(_mm_div_ps(_mm_set1_ps(1.0), root));

    let mut tops = [_mm512_setzero_si512(); GROUP];
    vectors!(width, |at, mask| {
        let (gain, bias) = (load(gain, at, mask), load(bias, at, mask));
        for r in 0..GROUP {
            let d = _mm512_sub_ps(load(rows[r], at, mask), means[r]);
            let y = _mm512_maskz_fmadd_ps(mask, _mm512_mul_ps(d, inverses[r]), gain, bias);
            tops[r] = _mm512_max_epu32(tops[r], magnitude(y));
            // SAFETY: row r of `out`, which has as many, and only its own numbers.
            unsafe { _mm512_mask_storeu_ps(out.as_mut_ptr().add(r * width + at), mask, y) };
        }
    });
    largest(tops)
}

/// Each of four numbers in a vector full of it.
#[inline]
#[target_feature(enable = "avx512f")]
fn each(v: __m128) -> [__m512; GROUP] {
    let v = _mm512_castps128_ps512(v);
    let mut each = [_mm512_setzero_ps(); GROUP];
    for r in 0..GROUP {
        each[r] = _mm512_permutexvar_ps(_mm512_set1_epi32(r as i32), v);
    }
    each
}

/// [`tree_sum`](crate::arithmetic::lanes::tree_sum) of the lanes of each of four rows.
#[inline]
#[target_feature(enable = "avx512f")]
fn tree_sums([a, b, c, d]: [__m512; GROUP]) -> __m128 {
    let eight = |a, b| {
        _mm512_add_ps(
            _mm512_shuffle_f32x4::<0b01_00_01_00>(a, b),
            _mm512_shuffle_f32x4::<0b11_10_11_10>(a, b),
        )
    };
    let (ab, cd) = (eight(a, b), eight(c, d));
    let four = _mm512_add_ps(
        _mm512_shuffle_f32x4::<0b10_00_10_00>(ab, cd),
        _mm512_shuffle_f32x4::<0b11_01_11_01>(ab, cd),
    );
    let two = _mm512_add_ps(four, _mm512_permute_ps::<0b01_00_11_10>(four));
    let one = _mm512_add_ps(two, _mm512_permute_ps::<0b10_11_00_01>(two));
    let firsts = _mm512_setr_epi32(0, 4, 8, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
    _mm512_castps512_ps128(_mm512_permutexvar_ps(firsts, one))
}
