//! Outlier channels, from the weights alone: a channel that is written large and read small costs every other
//! its bits.
//!
//! One scale serves a whole row of activations, and one a whole column of weights. A channel whose norm gain
//! is a hundred times its neighbours' and whose weights are a hundredth therefore leaves all others a
//! hundredth of the int8 range, though the pair computes what an ordinary one would. How large the rows of
//! the reading matrix are shows it: they are as alike as the channels' contributions are, so a row far from
//! the median is brought to it, and its writer compensates.
//!
//! Where a matrix writes the channel, its columns show it too: in a trained model what writes a channel and
//! what reads it grow together (weight decay balances them), and the quotients of the two are more alike than
//! either. On the shipped models and two of another training they lie within 2^0.36 of their median, the rows
//! within 2^1.06. A norm's gain is no such witness: it is also large where its channel of the residual stream
//! is small, and is then right.
//!
//! What this cannot see are activations. A channel of ordinary weights whose values are large stays as it is;
//! so does an outlier among the MLP's inner channels behind quick_gelu, for which no exact pair exists.

use serde::{Serialize, Serializer};

use super::linear_weights::LinearWeights;
use super::{lattice, sizes};

/// Channels within this factor of the median are left alone: trained models' differ by less, and a conversion
/// that changes nothing needs no explanation.
const TOLERATED: f64 = 4.0;

/// What reports call an exact pair of a family's blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PairName {
    /// In JSON.
    pub key: &'static str,
    /// Its tensors, for people.
    pub tensors: &'static str,
}

impl Serialize for PairName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.key)
    }
}

/// A pair of one layer that was rescaled.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Rescaled {
    /// Which.
    pub pair: PairName,
    /// How many channels.
    pub channels: usize,
    /// The factor furthest from one, by which a channel's writer was multiplied.
    pub factor: f32,
}

/// What a set of factors did, if anything.
pub fn summary(pair: PairName, factors: &[f32]) -> Option<Rescaled> {
    let channels = factors.iter().filter(|f| **f != 1.0).count();
    let furthest = |a: f32, b: &f32| if b.ln().abs() > a.ln().abs() { *b } else { a };
    (channels > 0).then(|| Rescaled {
        pair,
        channels,
        factor: factors.iter().fold(1.0, furthest),
    })
}

/// For each channel the factor that brings it into line, or one where it is near enough: by the rows of what
/// reads it and, if they are known, the sizes of what writes it.
pub fn factors(writers: Option<&[f64]>, reader: &LinearWeights) -> Vec<f32> {
    factors_of(writers, &reader.weight, reader.outputs())
}

/// As [`factors`], of a matrix `[in, out]` with so many columns.
pub fn factors_of(writers: Option<&[f64]>, weight: &[f32], outputs: usize) -> Vec<f32> {
    let mut factors = vec![1.0; weight.len() / outputs.max(1)];
    // An outlier's size shows once its columns' sizes are known without it: three rounds are enough for a
    // single one.
    for _ in 0..8 {
        let rows = sizes::of_rows(weight, outputs, &factors);
        let mut logs = sizes::spread(rows.iter().copied());
        if let Some(writers) = writers {
            let quotients = rows.iter().zip(writers).map(|(r, w)| (r / w).sqrt());
            let quotients = sizes::spread(quotients);
            if sizes::width(&quotients) < sizes::width(&logs) {
                logs = quotients;
            }
        }
        let found: Vec<f64> = logs.into_iter().map(factor).collect();
        let moved = |(a, b): (&f64, &f64)| (a / b - 1.0).abs() > 0.01;
        let settled = !found.iter().zip(&factors).any(moved);
        factors = found;
        if settled {
            break;
        }
    }
    lattice::refine(weight, outputs, &mut factors);
    factors.into_iter().map(|factor| factor as f32).collect()
}

/// As [`factors`], by several readers of the same channels at once: matrices with so many columns, whose rows are
/// those of one channel after the other, over and over for a convolution's pixels.
pub fn factors_of_groups(channels: usize, readers: &[(&[f32], usize)]) -> Vec<f32> {
    let columns: usize = readers.iter().map(|(weight, _)| weight.len()).sum();
    let mut rows = Vec::with_capacity(columns);
    for channel in 0..channels {
        for (weight, outputs) in readers {
            let of_channel = weight.chunks_exact((*outputs).max(1)).skip(channel);
            rows.extend(of_channel.step_by(channels).flatten());
        }
    }
    factors_of(None, &rows, columns / channels.max(1))
}

/// The factor for a channel that is larger than the median by `2^log`.
fn factor(log: Option<f64>) -> f64 {
    match log {
        // Far from f32's limits.
        Some(log) if log.abs() > TOLERATED.log2() => log.clamp(-20.0, 20.0).exp2(),
        // Also a channel that nothing writes or reads, which has no size to correct.
        _ => 1.0,
    }
}

/// What brings queries and keys, say, into line: columns both, of these sizes, that have a scale each. The first
/// are to be multiplied and the second divided.
pub fn factors_between(first: &[f64], second: &[f64]) -> Vec<f32> {
    let ratios = first.iter().zip(second).map(|(q, k)| (k / q).sqrt());
    let factors = sizes::spread(ratios).into_iter().map(factor);
    factors.map(|factor| factor as f32).collect()
}

/// How large the columns of what reads a norm of these gains are.
pub fn columns(linear: &LinearWeights, gains: &[f32]) -> Vec<f64> {
    sizes::of_columns(&linear.weight, &linear.bias, gains)
}
