//! The rescalings of channels that change nothing a SegFormer computes, and the outlier channels that they bring into
//! line.
//!
//! A layer norm's bias goes with its gain. The norm at the end of a stage and the next patch convolution are a pair in
//! spite of the zeros around the map, which stay zeros. The depthwise convolution is one with `mlp.fc2` under ReLU; with
//! `mlp.fc1` it is one under every activation, but left alone: what lies between them is f32, and a column of
//! `mlp.fc1` has a scale of its own, so that an outlier there costs nothing.

use igpt_runtime::Activation;

use super::weights::{BlockWeights, NormWeights, Passage, beside};
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

/// Brings outlier channels of every pair of `block` into line, and says which.
pub(super) fn normalize(block: &mut BlockWeights, activation: Activation) -> Vec<Rescaled> {
    // Norms first: the size of a column is that of ordinary rows.
    let steps = [
        before(block),
        reduction(block),
        after(block),
        inner(block, activation),
        value(block),
        query_key(block),
    ];
    steps.into_iter().flatten().collect()
}

/// The norm that ends a stage, and what reads it: the next patch convolution.
pub(super) fn normalize_passage(passage: &mut Passage) -> Vec<Rescaled> {
    let Passage {
        norm: Some(norm),
        patches: Some(patches),
    } = passage
    else {
        return Vec::new();
    };
    let channels = norm.weight.len();
    let readers = [(patches.linear.weight.as_slice(), patches.linear.outputs())];
    let factors = factors_of_groups(channels, &readers);
    let report = summary(PASSAGE, &factors);
    if report.is_some() {
        norm.multiply(&factors);
        patches.divide_channels(&factors);
    }
    report.into_iter().collect()
}

/// Read by the queries and by the windows, or where there are none by keys and values.
fn before(block: &mut BlockWeights) -> Option<Rescaled> {
    let channels = block.before.weight.len();
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
    let factors = factors_of_groups(channels, &readers);
    let report = summary(BEFORE, &factors)?;
    block.before.multiply(&factors);
    block.queries.divide_rows(&factors);
    match &mut block.reduction {
        Some(reduction) => reduction.divide_channels(&factors),
        None => {
            block.keys.divide_rows(&factors);
            block.values.divide_rows(&factors);
        }
    }
    Some(report)
}

fn reduction(block: &mut BlockWeights) -> Option<Rescaled> {
    let reduction = block.reduction.as_mut()?;
    let factors = factors(None, &beside(&[&block.keys, &block.values]));
    let report = summary(REDUCTION, &factors)?;
    reduction.norm.multiply(&factors);
    block.keys.divide_rows(&factors);
    block.values.divide_rows(&factors);
    Some(report)
}

fn after(block: &mut BlockWeights) -> Option<Rescaled> {
    let factors = factors(None, &block.fc1);
    let report = summary(AFTER, &factors)?;
    block.after.multiply(&factors);
    block.fc1.divide_rows(&factors);
    Some(report)
}

/// What the keys and values of a block read.
fn source(block: &BlockWeights) -> &NormWeights {
    match &block.reduction {
        Some(reduction) => &reduction.norm,
        None => &block.before,
    }
}

fn value(block: &mut BlockWeights) -> Option<Rescaled> {
    let writers = columns(&block.values, &source(block).weight);
    let factors = factors(Some(&writers), &block.output);
    let report = summary(VALUE, &factors)?;
    block.values.multiply_columns(0, &factors);
    block.output.divide_rows(&factors);
    Some(report)
}

/// Columns both, that have a scale each.
fn query_key(block: &mut BlockWeights) -> Option<Rescaled> {
    let queries = columns(&block.queries, &block.before.weight);
    let keys = columns(&block.keys, &source(block).weight);
    let factors = factors_between(&queries, &keys);
    let report = summary(QUERY_KEY, &factors)?;
    block.queries.multiply_columns(0, &factors);
    let inverse: Vec<f32> = factors.iter().map(|f| 1.0 / f).collect();
    block.keys.multiply_columns(0, &inverse);
    Some(report)
}

/// Under ReLU alone: no other activation commutes with a factor.
fn inner(block: &mut BlockWeights, activation: Activation) -> Option<Rescaled> {
    if activation != Activation::Relu {
        return None;
    }
    let factors = factors(Some(&inner_sizes(block)), &block.fc2);
    let report = summary(INNER, &factors)?;
    let rows = block.taps.chunks_exact_mut(TAPS);
    for ((row, bias), factor) in rows.zip(&mut block.taps_bias).zip(&factors) {
        row.iter_mut().for_each(|w| *w *= factor);
        *bias *= factor;
    }
    block.fc2.divide_rows(&factors);
    Some(report)
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
