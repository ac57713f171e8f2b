//! Outlier channels, from the weights alone: a channel that is written large and read small costs every other its bits.
//!
//! One scale serves a whole row of activations, and one a whole column of weights. A channel whose norm gain is a hundred
//! times its neighbours' and whose weights are a hundredth therefore leaves all others a hundredth of the int8 range, though
//! the pair computes what an ordinary one would. How large the rows of the reading matrix are shows it: they are as alike as
//! the channels' contributions are, so a row far from the median is brought to it, and its writer compensates. The factors
//! are powers of two: not a bit of what the block computes in f32 changes.
//!
//! What this cannot see are activations. A channel of ordinary weights whose values are large stays as it is; so does
//! an outlier among the MLP's inner channels behind quick_gelu, for which no exact pair exists.

use igpt_runtime::Activation;

use super::block::{BlockWeights, LinearWeights, Pair};

/// Rows within this factor of the median are left alone: trained models' channels differ by 2, and a conversion that
/// changes nothing needs no explanation.
const TOLERATED: f64 = 4.0;

/// A pair of one layer that was rescaled.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Rescaled {
    /// Which.
    pub pair: Pair,
    /// How many channels.
    pub channels: usize,
    /// The factor furthest from one, by which a channel's writer was multiplied.
    pub factor: f32,
}

/// Brings outlier channels of every pair of `block` into line, and says which.
pub fn normalize(block: &mut BlockWeights, activation: Activation) -> Vec<Rescaled> {
    let mut report = Vec::new();
    for pair in Pair::all(activation) {
        let sizes = match pair {
            Pair::Ln1 => row_sizes(&block.c_attn),
            Pair::Ln2 => row_sizes(&block.c_fc),
            Pair::Value => row_sizes(&block.attn_c_proj),
            Pair::Inner => row_sizes(&block.mlp_c_proj),
            Pair::QueryKey => query_key_ratios(block),
        };
        let factors = factors(&sizes);
        if let Some(rescaled) = summary(pair, &factors) {
            block.rescale(pair, &factors);
            report.push(rescaled);
        }
    }
    report
}

/// Brings outlier channels of `gain` and the rows of a head's `weight` (`[in, out]`) into line: whether any was.
pub fn normalize_head(gain: &mut [f32], weight: &mut [f32], outputs: usize) -> bool {
    let factors = factors(&sizes_of_rows(weight, outputs));
    let outliers = factors.iter().any(|f| *f != 1.0);
    if outliers {
        for ((row, gain), factor) in weight
            .chunks_exact_mut(outputs.max(1))
            .zip(gain)
            .zip(&factors)
        {
            *gain *= factor;
            row.iter_mut().for_each(|w| *w /= factor);
        }
    }
    outliers
}

/// What a set of factors did, if anything.
pub fn summary(pair: Pair, factors: &[f32]) -> Option<Rescaled> {
    let channels = factors.iter().filter(|f| **f != 1.0).count();
    let furthest = |a: f32, b: &f32| if b.ln().abs() > a.ln().abs() { *b } else { a };
    (channels > 0).then(|| Rescaled {
        pair,
        channels,
        factor: factors.iter().fold(1.0, furthest),
    })
}

/// For each channel the power of two that brings its size to the median, or one where it is near enough.
fn factors(sizes: &[f64]) -> Vec<f32> {
    let mut sorted: Vec<f64> = sizes.iter().copied().filter(|s| *s > 0.0).collect();
    sorted.sort_by(f64::total_cmp);
    let median = sorted.get(sorted.len() / 2).copied().unwrap_or(1.0);
    let factor = |size: &f64| {
        let ratio = size / median;
        // A channel that nothing reads has no size to correct.
        if *size <= 0.0 || (1.0 / TOLERATED..=TOLERATED).contains(&ratio) {
            1.0
        } else {
            // Far from f32's limits, so that neither factor nor inverse is anything but exact.
            ratio.log2().round().clamp(-20.0, 20.0).exp2() as f32
        }
    };
    sizes.iter().map(factor).collect()
}

/// Root mean square of each row, every column counted relative to its own size, as its scale will store it.
fn row_sizes(linear: &LinearWeights) -> Vec<f64> {
    sizes_of_rows(&linear.weight, linear.outputs())
}

fn sizes_of_rows(weight: &[f32], outputs: usize) -> Vec<f64> {
    let outputs = outputs.max(1);
    let mut columns = vec![0f64; outputs];
    for row in weight.chunks_exact(outputs) {
        for (sum, w) in columns.iter_mut().zip(row) {
            *sum += f64::from(*w) * f64::from(*w);
        }
    }
    let size = |row: &[f32]| {
        let squares = row
            .iter()
            .zip(&columns)
            .filter(|(_, column)| **column > 0.0);
        let relative = squares.map(|(w, column)| f64::from(*w) * f64::from(*w) / column);
        relative.sum::<f64>().sqrt()
    };
    weight.chunks_exact(outputs).map(size).collect()
}

/// How much larger each key channel is than its query channel; the square root, since a factor moves both.
fn query_key_ratios(block: &BlockWeights) -> Vec<f64> {
    let width = block.ln_1.len();
    // The bias is what a channel of small weights may consist of.
    let mut squares = vec![0f64; 2 * width];
    let one = [1.0];
    let gains = block.ln_1.iter().chain(&one);
    let rows = block
        .c_attn
        .rows()
        .chain(std::iter::once(block.c_attn.bias.as_slice()));
    for (row, gain) in rows.zip(gains) {
        for (sum, w) in squares.iter_mut().zip(row) {
            *sum += f64::from(w * gain) * f64::from(w * gain);
        }
    }
    let (queries, keys) = squares.split_at(width);
    let ratio = |(q, k): (&f64, &f64)| {
        if *q > 0.0 && *k > 0.0 {
            (k / q).sqrt().sqrt()
        } else {
            0.0
        }
    };
    queries.iter().zip(keys).map(ratio).collect()
}
