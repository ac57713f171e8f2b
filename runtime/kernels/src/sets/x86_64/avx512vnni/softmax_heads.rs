//! The softmax of one query against a kv tile, several heads at once, on AVX-512: the steps of [`softmax`](super::softmax), of which each
//! ends in a reduction that four rows share, with keys of its own for each row.

use core::arch::x86_64::{__m512, _mm512_setzero_ps};

use super::softmax::store_row;
use super::softmax_weights::{Values, below, quantize, weigh};
use crate::arithmetic::softmax::{QueryRows, RowStats};
use crate::layout::KV_TILE;

/// What the softmax needs of `R` heads.
#[derive(Clone, Copy)]
pub(crate) struct Heads<const R: usize> {
    /// Scores, as keys scale them.
    pub(crate) a: [[__m512; 4]; R],
    pub(crate) values: [Values; R],
}

impl<const R: usize> Heads<R> {
    #[inline]
    #[target_feature(enable = "avx512f")]
    pub(crate) fn zero() -> Self {
        Self {
            a: [[_mm512_setzero_ps(); 4]; R],
            values: [Values::zero(); R],
        }
    }
}

/// Weights of a query in `R` heads, which are rows of `query_rows` and `stats`; bytes are in the order of their keys. If `whole`, every key is
/// seen, whatever `query_rows` says of it.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
pub(crate) fn softmax<const R: usize>(
    whole: bool,
    heads: &Heads<R>,
    query_rows: &QueryRows,
    stats: &mut RowStats,
    p: &mut [[u8; KV_TILE]; R],
) {
    match whole {
        true => bytes_of::<R, false>(heads, query_rows, stats, p),
        false => bytes_of::<R, true>(heads, query_rows, stats, p),
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn bytes_of<const R: usize, const MASKED: bool>(
    heads: &Heads<R>,
    query_rows: &QueryRows,
    stats: &mut RowStats,
    p: &mut [[u8; KV_TILE]; R],
) {
    let z = below::<R, MASKED>(heads.a, query_rows, stats, 0);
    let weights = weigh::<R, MASKED>(z, heads.values, query_rows, stats, 0);
    for (bytes, p) in quantize(weights, stats, 0).into_iter().zip(p) {
        store_row(bytes, p);
    }
}
