//! The softmax of one query against a kv tile, several heads at once, on AVX-512: the steps of [`avx512`](super::avx512), of which each
//! ends in a reduction that four rows share, with keys of its own for each row.

use core::arch::x86_64::{__m512, _mm512_setzero_ps};

use super::avx512::store_row;
pub(crate) use super::avx512_weights::Values;
use super::avx512_weights::{below, quantize, weigh};
use super::{Found, Rows};
use crate::kv::KV_TILE;

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

/// Weights of a query in `R` heads, which are rows of `told` and `found`; bytes are in the order of their keys. If `whole`, every key is
/// seen, whatever `told` says of it.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
pub(crate) fn softmax<const R: usize>(
    whole: bool,
    heads: &Heads<R>,
    told: &Rows,
    found: &mut Found,
    p: &mut [[u8; KV_TILE]; R],
) {
    match whole {
        true => bytes_of::<R, false>(heads, told, found, p),
        false => bytes_of::<R, true>(heads, told, found, p),
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn bytes_of<const R: usize, const MASKED: bool>(
    heads: &Heads<R>,
    told: &Rows,
    found: &mut Found,
    p: &mut [[u8; KV_TILE]; R],
) {
    let z = below::<R, MASKED>(heads.a, told, found, 0);
    let weights = weigh::<R, MASKED>(z, heads.values, told, found, 0);
    for (bytes, p) in quantize(weights, found, 0).into_iter().zip(p) {
        store_row(bytes, p);
    }
}
