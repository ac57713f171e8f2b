//! LayerNorm, of some rows at once: a row is short, and what it waits for, two sums over lanes, two divisions and a root, is long.
//!
//! In two passes: the variance is that of the differences from the mean, which a mean of squares less the square of the mean would lose where
//! rows have an offset.
#![allow(
    clippy::needless_range_loop,
    reason = "rows and lanes are counted, so that each loop reads as the vector operations it becomes"
)]

use super::lanes::{LANES, tree_sum};
use super::math::{fma, sqrt};

/// What every row is given.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Affine<'a> {
    pub(crate) gain: &'a [f32],
    pub(crate) bias: &'a [f32],
    /// Added to the variance.
    pub(crate) eps: f32,
}

/// LayerNorm of `R` rows as wide as the gain into rows that follow each other, and the bits of the largest magnitude that it leaves of each.
#[inline(always)]
pub(crate) fn layer_norm<const R: usize>(
    rows: [&[f32]; R],
    affine: Affine<'_>,
    out: &mut [f32],
) -> [u32; R] {
    let Affine { gain, bias, eps } = affine;
    let width = gain.len();
    let n = width as f32;
    let rows = rows.map(|row| &row[..width]);
    let means = sums(rows, |lane, x, _| lane + x).map(|sum| sum / n);
    let squares = sums(rows, |lane, x, r| {
        let d = x - means[r];
        fma(d, d, lane)
    });
    let inverses = squares.map(|sum| 1.0 / sqrt(sum / n + eps));
    let mut tops = [0; R];
    for (r, out) in out.chunks_exact_mut(width).enumerate().take(R) {
        let (x, mean, inverse) = (rows[r], means[r], inverses[r]);
        for (((out, x), gain), bias) in out.iter_mut().zip(x).zip(gain).zip(bias) {
            *out = fma((*x - mean) * inverse, *gain, *bias);
            tops[r] = tops[r].max(out.to_bits() & 0x7fff_ffff);
        }
    }
    tops
}

/// Lane sums of rows of one width, where `add` takes a number of row r into its lane.
#[inline(always)]
fn sums<const R: usize>(rows: [&[f32]; R], add: impl Fn(f32, f32, usize) -> f32) -> [f32; R] {
    let width = rows[0].len();
    let chunks = rows.map(|row| &row.as_chunks::<LANES>().0[..width / LANES]);
    let mut lanes = [[0.0; LANES]; R];
    for c in 0..width / LANES {
        for r in 0..R {
            for i in 0..LANES {
                lanes[r][i] = add(lanes[r][i], chunks[r][c][i], r);
            }
        }
    }
    if width.is_multiple_of(LANES) {
        return lanes.map(tree_sum);
    }
    // Only lanes that a tail counts have to lie in memory.
    let mut counted = lanes;
    for r in 0..R {
        for (lane, x) in counted[r].iter_mut().zip(rows[r].as_chunks::<LANES>().1) {
            *lane = add(*lane, *x, r);
        }
    }
    counted.map(tree_sum)
}
