//! The softmax on AVX-512: four rows at a time, 16 scores and then 32 weights a vector, from the scores to the panel in registers.
//!
//! `vpackuswb` interleaves its operands by 128-bit lanes. Nothing is shuffled back: the dwords of its result, one a group of four
//! keys, are stored to where they belong.
//!
//! ```text
//! scores   keys 0..16, 16..32, 32..48, 48..64
//! words    keys 0..32, 32..64
//! bytes    keys 0..8, 32..40 | 8..16, 40..48 | ...       dword s of lane l is group s / 2 * 8 + 2 l + s % 2
//! ```

use core::arch::x86_64::{
    __m512, __m512i, _mm_storeu_si128, _mm512_cvtepi32_ps, _mm512_loadu_ps, _mm512_loadu_si512,
    _mm512_mul_ps, _mm512_permutexvar_epi32, _mm512_setr_epi32, _mm512_setzero_ps,
    _mm512_setzero_si512, _mm512_storeu_si512,
};

use super::interleave::{quarters, transpose};
use super::softmax_steps::LANES;
use super::softmax_weights::{Values, below, quantize, weigh};
use crate::arithmetic::interleave::scatter;
use crate::arithmetic::softmax::{Keys, RowStats, Scores};
use crate::isa::Isa;
use crate::layout::{GROUP, KV_TILE, Layout};

/// Of the tile for which the bytes are meant; weights are unsigned there, as they are here.
const LAYOUT: Layout = Layout::of(Isa::Avx512Vnni);

/// The keys of a tile.
struct Loaded {
    k_scale: [__m512; 4],
    values: Values,
}

/// See [`InstructionSet::softmax`](crate::set::InstructionSet::softmax).
///
/// # Safety
/// As there.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
pub(super) unsafe fn softmax(of: &Scores<'_>, stats: &mut RowStats, p: &mut [u8]) {
    assert!(!of.signed && p.len() >= LAYOUT.mr * KV_TILE);
    let keys = load(of.keys);
    match of.whole {
        true => panel::<false>(of, &keys, stats, p),
        false => panel::<true>(of, &keys, stats, p),
    }
}

/// [`softmax`]; some keys are not seen by some rows only if `MASKED`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn panel<const MASKED: bool>(of: &Scores<'_>, keys: &Loaded, stats: &mut RowStats, p: &mut [u8]) {
    let Scores {
        rows,
        scores,
        query_rows,
        ..
    } = *of;
    if rows == 1 {
        let z = below::<1, MASKED>(scaled(scores, keys), query_rows, stats, 0);
        let weights = weigh::<1, MASKED>(z, [keys.values], query_rows, stats, 0);
        let [bytes] = quantize(weights, stats, 0);
        let mut row = [0; KV_TILE];
        store_row(bytes, &mut row);
        scatter(&row, p, LAYOUT.mr, 0, LAYOUT.kr);
        return;
    }
    // Each step ends in a reduction, a long chain of short instructions, beside which the next rows' scores have room. Every step is
    // called in one place, so that all of them are inlined into this loop.
    let mut z = [[_mm512_setzero_si512(); 2]; GROUP];
    let mut row = 0;
    loop {
        let weights = (row > 0).then(|| {
            weigh::<GROUP, MASKED>(z, [keys.values; GROUP], query_rows, stats, row - GROUP)
        });
        if row < rows {
            z = below::<GROUP, MASKED>(scaled(&scores[row..], keys), query_rows, stats, row);
        }
        if let Some(weights) = weights {
            store(quantize(weights, stats, row - GROUP), row - GROUP, p);
        }
        if row >= rows {
            return;
        }
        row += GROUP;
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn load(keys: Keys<'_>) -> Loaded {
    let k_scale = |i: usize| {
        // SAFETY: i < 4, and a quarter of 64 numbers fills a vector.
        unsafe { _mm512_loadu_ps(keys.k_scale.as_ptr().add(i * LANES)) }
    };
    Loaded {
        k_scale: [k_scale(0), k_scale(1), k_scale(2), k_scale(3)],
        values: Values::load(keys.v_mantissa, keys.v_shift),
    }
}

/// Scores, as keys scale them.
#[inline]
#[target_feature(enable = "avx512f")]
fn scaled<const R: usize>(scores: &[[i32; KV_TILE]], keys: &Loaded) -> [[__m512; 4]; R] {
    let scores: &[[i32; KV_TILE]; R] = scores.first_chunk().expect("a row of scores for each");
    let mut a = [[_mm512_setzero_ps(); 4]; R];
    for (a, scores) in a.iter_mut().zip(scores) {
        for (i, a) in a.iter_mut().enumerate() {
            // SAFETY: i < 4, and a quarter of 64 numbers fills a vector.
            let acc = unsafe { _mm512_loadu_si512(scores.as_ptr().add(i * LANES).cast()) };
            *a = _mm512_mul_ps(_mm512_cvtepi32_ps(acc), keys.k_scale[i]);
        }
    }
    a
}

/// Stores the bytes of a row, in the order of [`weigh`], in the order of their keys.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn store_row(bytes: __m512i, to: &mut [u8; KV_TILE]) {
    let natural = _mm512_setr_epi32(0, 1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14, 15);
    let bytes = _mm512_permutexvar_epi32(natural, bytes);
    // SAFETY: a row is a vector of 64 bytes.
    unsafe { _mm512_storeu_si512(to.as_mut_ptr().cast(), bytes) };
}

/// Stores the bytes of four rows, in the order of [`weigh`], as rows `row..row + 4` of a panel.
#[inline]
#[target_feature(enable = "avx512f")]
fn store(rows: [__m512i; GROUP], row: usize, p: &mut [u8]) {
    let Layout { mr, kr, .. } = LAYOUT;
    assert!(row + GROUP <= mr && p.len() >= mr * KV_TILE);
    for (s, group) in transpose(rows).into_iter().enumerate() {
        for (l, lane) in quarters(group).into_iter().enumerate() {
            let at = s / 2 * 8 + 2 * l + s % 2;
            // SAFETY: group `at` < KV_TILE / kr of the panel has mr * kr bytes, and row + 4 <= mr.
            unsafe {
                let to = p.as_mut_ptr().add((at * mr + row) * kr);
                _mm_storeu_si128(to.cast(), lane);
            }
        }
    }
}
