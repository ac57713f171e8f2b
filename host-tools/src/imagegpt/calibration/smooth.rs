//! How well a rescaling of a pair serves an ImageGPT's block.

use igpt_kernels::NonFinite;

use super::forward::{Forward, Trace};
use super::round_plainly;
use crate::calibration::smooth::{self, Rescale, maxima, rows};
use crate::calibration::{Smoothed, distance};
use crate::imagegpt::block::{BlockWeights, Pair};
use crate::quantization::outliers::PairName;

/// Sequences the candidates are measured on, if they have no more tokens than [`TOKENS`] together.
const SEQUENCES: usize = 4;

/// Every value between the block's layers is held for so many tokens.
const TOKENS: usize = 2048;

impl Rescale for BlockWeights {
    type Pair = Pair;

    fn name(pair: Pair) -> PairName {
        pair.name()
    }

    fn rescale(&mut self, pair: Pair, factors: &[f32]) {
        Self::rescale(self, pair, factors);
    }
}

/// Rescales the pairs of `block`, and says which. `x` is what the block will read.
pub(super) fn smooth(
    forward: &Forward,
    layer: usize,
    block: &mut BlockWeights,
    x: &[f32],
) -> Result<Vec<Smoothed>, NonFinite> {
    let sequences = SEQUENCES.min((TOKENS / forward.length()).max(1));
    let x = x
        .get(..sequences * forward.length() * forward.width())
        .unwrap_or(x);
    let trace = forward.trace(layer, block, x)?;
    // The error of what the block adds: the stream that passes through it is exact.
    let added: Vec<f32> = trace.output.iter().zip(x).map(|(y, x)| y - x).collect();
    let error = |block: BlockWeights| {
        let output = forward.int8(layer, &round_plainly(block, forward.products().grid()), x)?;
        let output: Vec<f32> = output.iter().zip(x).map(|(y, x)| y - x).collect();
        Ok::<f64, NonFinite>(distance(&added, &output))
    };
    let sizes = |pair, block: &BlockWeights| sizes(forward, pair, block, &trace, x);
    let pairs = Pair::all(forward.activation());
    smooth::smooth(block, pairs, sizes, error)
}

/// The largest activation and the largest weight of each channel.
fn sizes(
    forward: &Forward,
    pair: Pair,
    block: &BlockWeights,
    trace: &Trace,
    x: &[f32],
) -> (Vec<f32>, Vec<f32>) {
    let width = forward.width();
    match pair {
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
    }
}
