//! The rescalings of channels that change nothing a SegFormer computes, and the outlier channels that they bring into
//! line.
//!
//! A layer norm's bias goes with its gain. The norm at the end of a stage and the next patch convolution are a pair in
//! spite of the zeros around the map, which stay zeros. The depthwise convolution is one with `mlp.fc2` under ReLU; with
//! `mlp.fc1` it is one under every activation, but left alone: what lies between them is f32, and a column of
//! `mlp.fc1` has a scale of its own, so that an outlier there costs nothing.

use igpt_runtime::Activation;

use super::weights::{BlockWeights, NormWeights, Passage, beside};
use crate::calibration::smooth::Rescale;
use crate::quantization::linear_weights::LinearWeights;
use crate::quantization::outliers::{
    PairName, Rescaled, columns, factors, factors_between, factors_of_groups, summary,
};

const BEFORE: PairName = PairName {
    key: "layernorm_before",
    tensors: "layernorm_before and what reads it",
};
const REDUCTION: PairName = PairName {
    key: "sequence_reduction",
    tensors: "attention.sequence_reduction.layer_norm and keys and values",
};
const QUERY_KEY: PairName = PairName {
    key: "query_key",
    tensors: "queries and keys",
};
const VALUE: PairName = PairName {
    key: "value",
    tensors: "values and attention.o_proj",
};
const AFTER: PairName = PairName {
    key: "layernorm_after",
    tensors: "layernorm_after and mlp.fc1",
};
const INNER: PairName = PairName {
    key: "inner",
    tensors: "mlp.dwconv and mlp.fc2",
};
const PASSAGE: PairName = PairName {
    key: "patch_embeddings",
    tensors: "the layer_norm before it and patch_embeddings.proj",
};

/// A pair of a block that can be rescaled, by the channels between its two parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pair {
    /// `layernorm_before`, and the queries and the windows that read it, or where there are none keys and values.
    Before,
    /// The norm of a reduced map, and keys and values.
    Reduction,
    /// `layernorm_after` and `mlp.fc1`.
    After,
    /// The depthwise convolution and `mlp.fc2`; under ReLU only: no other activation commutes with a factor.
    Inner,
    /// Values and `attention.o_proj`.
    Value,
    /// Queries and keys, which are divided.
    QueryKey,
}

impl Pair {
    /// Those of a block, norms first: the size of a column is that of ordinary rows.
    pub(super) fn all(reduced: bool, activation: Activation) -> impl Iterator<Item = Self> {
        let reduction = reduced.then_some(Self::Reduction);
        let inner = (activation == Activation::Relu).then_some(Self::Inner);
        let norms = [Some(Self::Before), reduction, Some(Self::After), inner];
        let columns = [Self::Value, Self::QueryKey];
        norms.into_iter().flatten().chain(columns)
    }
}

impl Rescale for BlockWeights {
    type Pair = Pair;

    fn name(pair: Pair) -> PairName {
        match pair {
            Pair::Before => BEFORE,
            Pair::Reduction => REDUCTION,
            Pair::After => AFTER,
            Pair::Inner => INNER,
            Pair::Value => VALUE,
            Pair::QueryKey => QUERY_KEY,
        }
    }

    fn rescale(&mut self, pair: Pair, factors: &[f32]) {
        match (pair, &mut self.reduction) {
            (Pair::Before, reduction) => {
                self.before.multiply(factors);
                self.queries.divide_rows(factors);
                match reduction {
                    Some(reduction) => reduction.divide_channels(factors),
                    None => {
                        self.keys.divide_rows(factors);
                        self.values.divide_rows(factors);
                    }
                }
            }
            (Pair::Reduction, Some(reduction)) => {
                reduction.norm.multiply(factors);
                self.keys.divide_rows(factors);
                self.values.divide_rows(factors);
            }
            (Pair::Reduction, None) => {}
            (Pair::After, _) => {
                self.after.multiply(factors);
                self.fc1.divide_rows(factors);
            }
            (Pair::Inner, _) => {
                let rows = self.taps.chunks_exact_mut(TAPS);
                for ((row, bias), factor) in rows.zip(&mut self.taps_bias).zip(factors) {
                    row.iter_mut().for_each(|w| *w *= factor);
                    *bias *= factor;
                }
                self.fc2.divide_rows(factors);
            }
            (Pair::Value, _) => {
                self.values.multiply_columns(0, factors);
                self.output.divide_rows(factors);
            }
            (Pair::QueryKey, _) => {
                self.queries.multiply_columns(0, factors);
                let inverse: Vec<f32> = factors.iter().map(|f| 1.0 / f).collect();
                self.keys.multiply_columns(0, &inverse);
            }
        }
    }
}

impl Rescale for Passage {
    type Pair = ();

    fn name((): ()) -> PairName {
        PASSAGE
    }

    fn rescale(&mut self, (): (), factors: &[f32]) {
        if let (Some(norm), Some(patches)) = (&mut self.norm, &mut self.patches) {
            norm.multiply(factors);
            patches.divide_channels(factors);
        }
    }
}

/// Brings outlier channels of every pair of `block` into line, and says which.
pub(super) fn normalize(block: &mut BlockWeights, activation: Activation) -> Vec<Rescaled> {
    let mut report = Vec::new();
    for pair in Pair::all(block.reduction.is_some(), activation) {
        let factors = match pair {
            Pair::Before => before(block),
            Pair::Reduction => factors(None, &beside(&[&block.keys, &block.values])),
            Pair::After => factors(None, &block.fc1),
            Pair::Inner => factors(Some(&inner_sizes(block)), &block.fc2),
            Pair::Value => {
                let writers = columns(&block.values, &source(block).weight);
                factors(Some(&writers), &block.output)
            }
            Pair::QueryKey => {
                let queries = columns(&block.queries, &block.before.weight);
                let keys = columns(&block.keys, &source(block).weight);
                factors_between(&queries, &keys)
            }
        };
        if let Some(rescaled) = summary(BlockWeights::name(pair), &factors) {
            block.rescale(pair, &factors);
            report.push(rescaled);
        }
    }
    report
}

/// The norm that ends a stage, and what reads it: the next patch convolution.
pub(super) fn normalize_passage(passage: &mut Passage) -> Vec<Rescaled> {
    let Passage {
        norm: Some(norm),
        patches: Some(patches),
    } = &*passage
    else {
        return Vec::new();
    };
    let channels = norm.weight.len();
    let readers = [(patches.linear.weight.as_slice(), patches.linear.outputs())];
    let factors = factors_of_groups(channels, &readers);
    let report = summary(PASSAGE, &factors);
    if report.is_some() {
        passage.rescale((), &factors);
    }
    report.into_iter().collect()
}

/// By queries and windows, or where there are none by queries, keys and values.
fn before(block: &BlockWeights) -> Vec<f32> {
    let matrix = |linear: &LinearWeights| (linear.weight.clone(), linear.outputs());
    let readers = match &block.reduction {
        Some(reduction) => vec![matrix(&block.queries), matrix(&reduction.linear)],
        None => vec![matrix(&beside(&[
            &block.queries,
            &block.keys,
            &block.values,
        ]))],
    };
    let readers: Vec<(&[f32], usize)> = readers
        .iter()
        .map(|(weight, outputs)| (weight.as_slice(), *outputs))
        .collect();
    factors_of_groups(block.before.weight.len(), &readers)
}

/// What the keys and values of a block read.
fn source(block: &BlockWeights) -> &NormWeights {
    match &block.reduction {
        Some(reduction) => &reduction.norm,
        None => &block.before,
    }
}

/// Taps of a channel.
const TAPS: usize = 9;

/// How large what `mlp.dwconv` writes to each channel is.
fn inner_sizes(block: &BlockWeights) -> Vec<f64> {
    let written = columns(&block.fc1, &block.after.weight);
    let taps = block.taps.chunks_exact(TAPS);
    let squares = |values: &[f32]| values.iter().map(|w| f64::from(*w).powi(2)).sum::<f64>();
    taps.zip(&block.taps_bias)
        .zip(written)
        .map(|((taps, bias), size)| (squares(taps) * size.powi(2) + squares(&[*bias])).sqrt())
        .collect()
}
