//! SmoothQuant's factors for every exact pair of a block, each for the exponent that serves the block's
//! output best.

use super::forward::{Forward, NotFinite, Trace};
use super::{Smoothed, distance, round_plainly};
use crate::imagegpt::block::{BlockWeights, Pair};
use crate::quantization::linear_weights::LinearWeights;

/// How much of the spread moves from the activations into the weights: 0 leaves rows of weights that are all
/// alike, 1 channels of activations that are all alike.
const ALPHAS: [f32; 4] = [0.25, 0.5, 0.75, 1.0];

/// Sequences the candidates are measured on, if they have no more tokens than [`TOKENS`] together.
const SEQUENCES: usize = 4;

/// Every value between the block's layers is held for so many tokens.
const TOKENS: usize = 2048;

/// A candidate must be better by so much than the form that is there: less is noise.
const WORTHWHILE: f64 = 0.98;

/// Rescales the pairs of `block`, greedily one after the other, and says which. `x` is what the block will
/// read.
pub(super) fn smooth(
    forward: &Forward,
    layer: usize,
    block: &mut BlockWeights,
    x: &[f32],
) -> Result<Vec<Smoothed>, NotFinite> {
    let sequences = SEQUENCES.min((TOKENS / forward.length()).max(1));
    let x = x
        .get(..sequences * forward.length() * forward.width())
        .unwrap_or(x);
    let trace = forward.trace(layer, block, x)?;
    // The error of what the block adds: the stream that passes through it is exact.
    let added: Vec<f32> = trace.output.iter().zip(x).map(|(y, x)| y - x).collect();
    let error = |block: BlockWeights| {
        let output = forward.int8(layer, &round_plainly(block, forward.grid()), x)?;
        let output: Vec<f32> = output.iter().zip(x).map(|(y, x)| y - x).collect();
        Ok::<f64, NotFinite>(distance(&added, &output))
    };
    let mut best = error(block.clone())?;
    let mut smoothed = Vec::new();
    for pair in Pair::all(forward.activation()) {
        let mut chosen = None;
        for alpha in ALPHAS {
            let factors = factors(forward, pair, block, &trace, x, alpha);
            let mut candidate = block.clone();
            candidate.rescale(pair, &factors);
            let found = error(candidate)?;
            if found < best * WORTHWHILE {
                best = found;
                chosen = Some((
                    Smoothed {
                        pair: pair.name(),
                        alpha,
                    },
                    factors,
                ));
            }
        }
        if let Some((what, factors)) = chosen {
            smoothed.push(what);
            block.rescale(pair, &factors);
        }
    }
    Ok(smoothed)
}

/// What each channel's writer is multiplied by: `largest weight^(1 - alpha) / largest activation^alpha`.
fn factors(
    forward: &Forward,
    pair: Pair,
    block: &BlockWeights,
    trace: &Trace,
    x: &[f32],
    alpha: f32,
) -> Vec<f32> {
    let width = forward.width();
    let (activations, weights) = match pair {
        Pair::Ln1 => (
            maxima(&forward.norm(x, &block.ln_1), width),
            rows(&block.c_attn),
        ),
        Pair::Value => (maxima(&trace.heads, width), rows(&block.attn_c_proj)),
        Pair::Ln2 => (
            maxima(&forward.norm(&trace.middle, &block.ln_2), width),
            rows(&block.c_fc),
        ),
        Pair::Inner => {
            let mut active = trace.inner.clone();
            forward.activate(&mut active);
            (maxima(&active, forward.inner()), rows(&block.mlp_c_proj))
        }
        Pair::QueryKey => {
            let largest = maxima(&trace.qkv, 3 * width);
            let (queries, rest) = largest.split_at(width.min(largest.len()));
            (queries.to_vec(), rest.iter().take(width).copied().collect())
        }
    };
    let factor = |(a, w): (&f32, &f32)| {
        let factor = w.powf(1.0 - alpha) / a.powf(alpha);
        // A channel that is never written or never read stays as it is.
        if *a > 0.0 && *w > 0.0 && factor.is_normal() {
            factor
        } else {
            1.0
        }
    };
    activations.iter().zip(&weights).map(factor).collect()
}

/// The largest magnitude of each column.
fn maxima(values: &[f32], columns: usize) -> Vec<f32> {
    let mut largest = vec![0f32; columns];
    for row in values.chunks_exact(columns.max(1)) {
        for (largest, value) in largest.iter_mut().zip(row) {
            *largest = largest.max(value.abs());
        }
    }
    largest
}

/// The largest magnitude of each row.
fn rows(linear: &LinearWeights) -> Vec<f32> {
    linear
        .rows()
        .map(|row| row.iter().fold(0f32, |a, w| a.max(w.abs())))
        .collect()
}
