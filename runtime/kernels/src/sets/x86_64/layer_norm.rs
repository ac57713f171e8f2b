//! LayerNorm on AVX2 and FMA, four rows at a time: what takes long, sums over lanes, divisions and a root, is done for all of them together.
//! Sixteen lanes are two vectors; those of a row's end that are not its own are masked.

use core::arch::x86_64::{
    __m128, __m256, __m256i, _mm_add_ps, _mm_div_ps, _mm_movelh_ps, _mm_set1_ps, _mm_sqrt_ps,
    _mm_storeu_ps, _mm_unpackhi_ps, _mm_unpacklo_ps, _mm256_add_ps, _mm256_and_ps,
    _mm256_and_si256, _mm256_castps_si256, _mm256_castps256_ps128, _mm256_castsi256_ps,
    _mm256_extractf128_ps, _mm256_fmadd_ps, _mm256_loadu_si256, _mm256_maskload_ps,
    _mm256_maskstore_ps, _mm256_max_epu32, _mm256_mul_ps, _mm256_permute_ps,
    _mm256_permute2f128_ps, _mm256_set1_epi32, _mm256_set1_ps, _mm256_setzero_ps,
    _mm256_setzero_si256, _mm256_shuffle_ps, _mm256_storeu_si256, _mm256_sub_ps,
};

use crate::arithmetic::lanes::LANES;
use crate::arithmetic::layer_norm::Affine;
use crate::layout::GROUP;

/// Numbers of a vector.
const VECTOR: usize = 8;

/// The two vectors of sixteen lanes.
const VECTORS: usize = LANES / VECTOR;

/// `[LANES - n..]` masks the first n lanes.
static MASKS: [i32; 2 * LANES] = {
    let mut masks = [0; 2 * LANES];
    let mut i = 0;
    while i < LANES {
        masks[i] = -1;
        i += 1;
    }
    masks
};

/// Sixteen lanes of a row after the other: where each vector begins, and which of its numbers are the row's.
#[inline]
#[target_feature(enable = "avx2")]
fn vectors(len: usize) -> impl Iterator<Item = [(usize, __m256i); VECTORS]> {
    (0..len).step_by(LANES).map(move |at| {
        let here = LANES.min(len - at);
        [0, VECTOR].map(|skipped| {
            // SAFETY: eight numbers, at most from the 24th of 32 on.
            let mask = unsafe {
                let masks = MASKS.as_ptr().add(LANES - here + skipped);
                _mm256_loadu_si256(masks.cast())
            };
            (at + skipped, mask)
        })
    })
}

/// The numbers of a vector that are the row's, and zeros.
#[inline]
#[target_feature(enable = "avx2")]
fn load(x: &[f32], at: usize, mask: __m256i) -> __m256 {
    // SAFETY: numbers that the mask leaves out are not read.
    unsafe { _mm256_maskload_ps(x.as_ptr().wrapping_add(at), mask) }
}

/// See [`InstructionSet::layer_norm`](crate::set::InstructionSet::layer_norm).
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(super) fn layer_norm(
    rows: [&[f32]; GROUP],
    affine: Affine<'_>,
    out: &mut [f32],
) -> [u32; GROUP] {
    let Affine { gain, bias, eps } = affine;
    let width = gain.len();
    assert!(bias.len() == width && out.len() >= GROUP * width);
    let rows = rows.map(|row| &row[..width]);
    let n = _mm_set1_ps(width as f32);

    let mut sums = [[_mm256_setzero_ps(); VECTORS]; GROUP];
    for vectors in vectors(width) {
        for (sums, row) in sums.iter_mut().zip(rows) {
            for (sum, (at, mask)) in sums.iter_mut().zip(vectors) {
                *sum = _mm256_add_ps(*sum, load(row, at, mask));
            }
        }
    }
    let means = each(_mm_div_ps(tree_sums(sums), n));

    let mut squares = [[_mm256_setzero_ps(); VECTORS]; GROUP];
    for vectors in vectors(width) {
        for ((sums, row), mean) in squares.iter_mut().zip(rows).zip(means) {
            for (sum, (at, mask)) in sums.iter_mut().zip(vectors) {
                let d = _mm256_sub_ps(load(row, at, mask), mean);
                let d = _mm256_and_ps(d, _mm256_castsi256_ps(mask));
                *sum = _mm256_fmadd_ps(d, d, *sum);
            }
        }
    }
    let variance = _mm_div_ps(tree_sums(squares), n);
    let root = _mm_sqrt_ps(_mm_add_ps(variance, _mm_set1_ps(eps)));
    let inverses = each(_mm_div_ps(_mm_set1_ps(1.0), root));

    let mut tops = [_mm256_setzero_si256(); GROUP];
    for (at, mask) in vectors(width).flatten() {
        let (gain, bias) = (load(gain, at, mask), load(bias, at, mask));
        let magnitude = _mm256_and_si256(mask, _mm256_set1_epi32(0x7fff_ffff));
        for r in 0..GROUP {
            let d = _mm256_sub_ps(load(rows[r], at, mask), means[r]);
            let y = _mm256_fmadd_ps(_mm256_mul_ps(d, inverses[r]), gain, bias);
            let bits = _mm256_and_si256(_mm256_castps_si256(y), magnitude);
            tops[r] = _mm256_max_epu32(tops[r], bits);
            // SAFETY: row r of `out`, which has as many, and only its own numbers.
            unsafe { _mm256_maskstore_ps(out.as_mut_ptr().add(r * width + at), mask, y) };
        }
    }
    tops.map(|top| {
        let mut bits = [0u32; VECTOR];
        // SAFETY: a vector is eight numbers.
        unsafe { _mm256_storeu_si256(bits.as_mut_ptr().cast(), top) };
        bits.into_iter().fold(0, u32::max)
    })
}

/// Each of four numbers in a vector full of it.
#[inline]
#[target_feature(enable = "avx2")]
fn each(v: __m128) -> [__m256; GROUP] {
    let mut numbers = [0.0; GROUP];
    // SAFETY: a vector is four numbers.
    unsafe { _mm_storeu_ps(numbers.as_mut_ptr(), v) };
    numbers.map(|x| _mm256_set1_ps(x))
}

/// [`tree_sum`](crate::arithmetic::lanes::tree_sum) of the lanes of each of four rows.
#[inline]
#[target_feature(enable = "avx2")]
fn tree_sums(rows: [[__m256; VECTORS]; GROUP]) -> __m128 {
    let [a, b, c, d] = rows.map(|[low, high]| _mm256_add_ps(low, high));
    let four = |a, b| {
        _mm256_add_ps(
            _mm256_permute2f128_ps::<0x20>(a, b),
            _mm256_permute2f128_ps::<0x31>(a, b),
        )
    };
    let (ab, cd) = (four(a, b), four(c, d));
    let two = _mm256_add_ps(
        _mm256_shuffle_ps::<0b01_00_01_00>(ab, cd),
        _mm256_shuffle_ps::<0b11_10_11_10>(ab, cd),
    );
    // Of a and c twice each, and of b and d.
    let one = _mm256_add_ps(two, _mm256_permute_ps::<0b10_11_00_01>(two));
    let (ac, bd) = (_mm256_castps256_ps128(one), _mm256_extractf128_ps::<1>(one));
    _mm_movelh_ps(_mm_unpacklo_ps(ac, bd), _mm_unpackhi_ps(ac, bd))
}
