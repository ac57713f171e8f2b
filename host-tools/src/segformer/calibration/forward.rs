//! One picture's way through a part of a SegFormer, in f32 and as a board's int8 kernels round it.
//!
//! The int8 form is computed in f32 on rounded operands: the integers of a dot product are the same, only its
//! sum rounds differently. The softmax's weights, which the kernels round, are left exact, and so is the activation, which they
//! approximate to far less than a step.

use igpt_kernels::{Depthwise, Heads, Map, NonFinite, Windows};
use igpt_runtime::{Activation, SegformerConfig};
use rayon::prelude::*;

use crate::calibration::products::{
    Attended, PackedLinear, Products, add, round_rows, round_skewed,
};
use crate::quantization::linear_weights::LinearWeights;
use crate::quantization::transpose;
use crate::segformer::tensors::at;
use crate::segformer::weights::{BlockWeights, NormWeights, beside};

/// A linear layer of a block, in the order of the forward pass. Keys and values read the same, and so do queries where no
/// map is reduced; their columns are rounded apart, so that one matrix of all three is the three beside each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layer {
    Reduction,
    Queries,
    KeysValues,
    Output,
    Fc1,
    Fc2,
}

/// Layers that are there so far, by [`Layer`].
pub(super) type Layers = [Option<PackedLinear>; 6];

/// Rows of a task.
const ROWS: usize = 64;

/// What the blocks of a stage have in common.
#[derive(Debug)]
pub(super) struct Stage<'a> {
    pub(super) products: &'a Products,
    pub(super) height: usize,
    pub(super) width: usize,
    pub(super) channels: usize,
    pub(super) inner: usize,
    pub(super) ratio: usize,
    pub(super) heads: Heads,
    pub(super) activation: Activation,
}

/// A block's weights on their way: norms and taps of one, linear layers of their own, and whether what they read is rounded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run<'a> {
    pub(super) stage: &'a Stage<'a>,
    pub(super) block: &'a BlockWeights,
    pub(super) layers: &'a Layers,
    pub(super) rounds: bool,
}

impl<'a> Stage<'a> {
    pub(super) fn new(
        config: &SegformerConfig,
        products: &'a Products,
        index: usize,
        (height, width): (usize, usize),
    ) -> Self {
        Self {
            products,
            height,
            width,
            channels: at(&config.hidden_sizes, index),
            inner: config.inner_dim(index),
            ratio: at(&config.sr_ratios, index),
            heads: Heads {
                count: at(&config.num_attention_heads, index),
                dim: config.head_dim(index),
            },
            activation: config.hidden_act,
        }
    }

    /// Width of queries, keys and values.
    pub(super) fn attended(&self) -> usize {
        self.heads.count * self.heads.dim
    }
}

/// The layers of a block in f32.
pub(super) fn exact_layers(block: &BlockWeights) -> Layers {
    let packed =
        |linear: &LinearWeights| Some(PackedLinear::new(&linear.weight, linear.bias.clone()));
    [
        block
            .reduction
            .as_ref()
            .and_then(|windowed| packed(&windowed.linear)),
        packed(&block.queries),
        packed(&beside(&[&block.keys, &block.values])),
        packed(&block.output),
        packed(&block.fc1),
        packed(&block.fc2),
    ]
}

impl Run<'_> {
    /// What `layer` reads of a block's input.
    pub(super) fn input(&self, layer: Layer, x: &[f32]) -> Result<Vec<f32>, NonFinite> {
        let Stage {
            products,
            height,
            width,
            channels,
            ratio,
            ..
        } = *self.stage;
        let (mut rows, row) = match layer {
            Layer::Reduction => {
                let normed = normed(products, x, &self.block.before);
                let map = map(&normed, height, width, channels);
                let windows = windows(products, map, ratio, ratio, 0);
                (windows, ratio * ratio * channels)
            }
            Layer::Queries => (normed(products, x, &self.block.before), channels),
            Layer::KeysValues => match &self.block.reduction {
                None => return self.input(Layer::Queries, x),
                Some(reduction) => {
                    let reduced = self.output(Layer::Reduction, x)?;
                    (normed(products, &reduced, &reduction.norm), channels)
                }
            },
            Layer::Output => (self.attend(x)?, self.stage.attended()),
            Layer::Fc1 => {
                let middle = self.middle(x)?;
                (normed(products, &middle, &self.block.after), channels)
            }
            Layer::Fc2 => return Ok(self.active(&self.middle(x)?)),
        };
        if self.rounds {
            round_rows(&mut rows, row);
        }
        Ok(rows)
    }

    /// What `layer` makes of that.
    pub(super) fn output(&self, layer: Layer, x: &[f32]) -> Result<Vec<f32>, NonFinite> {
        Ok(self.apply(layer, &self.input(layer, x)?))
    }

    /// The map after the attention.
    pub(super) fn middle(&self, x: &[f32]) -> Result<Vec<f32>, NonFinite> {
        let mut middle = self.output(Layer::Output, x)?;
        add(&mut middle, x);
        Ok(middle)
    }

    /// The map after the block.
    pub(super) fn whole(&self, x: &[f32]) -> Result<Vec<f32>, NonFinite> {
        let middle = self.middle(x)?;
        let mut output = self.apply(Layer::Fc2, &self.active(&middle));
        add(&mut output, &middle);
        Ok(output)
    }

    fn apply(&self, layer: Layer, rows: &[f32]) -> Vec<f32> {
        match self.layers.get(layer as usize) {
            Some(Some(packed)) => self.stage.products.apply(packed, rows),
            _ => Vec::new(),
        }
    }

    fn attend(&self, x: &[f32]) -> Result<Vec<f32>, NonFinite> {
        let (heads, width) = (self.stage.heads, self.stage.attended());
        let mut queries = self.output(Layer::Queries, x)?;
        let mut keys_values = self.output(Layer::KeysValues, x)?;
        if self.rounds {
            round_rows(&mut queries, heads.dim);
            round_rows(&mut keys_values, heads.dim);
        }
        let keys = keys_values.len() / (2 * width).max(1);
        let of = Attended {
            queries: (&queries, width),
            keys: (&keys_values, 2 * width),
            values: (keys_values.get(width..).unwrap_or_default(), 2 * width),
        };
        let scale = 1.0 / (heads.dim as f32).sqrt();
        let rows = queries.len() / width.max(1);
        self.stage
            .products
            .attend(heads, scale, rows, of, |_| (0, keys))
    }

    /// What `mlp.fc2` reads of the map after the attention.
    fn active(&self, middle: &[f32]) -> Vec<f32> {
        let stage = self.stage;
        let mut rows = normed(stage.products, middle, &self.block.after);
        if self.rounds {
            round_rows(&mut rows, stage.channels);
        }
        let inner = self.apply(Layer::Fc1, &rows);
        let taps = transpose(&self.block.taps, 9);
        let mut active = vec![0.0; inner.len()];
        let chunks = active.par_chunks_mut(ROWS * stage.inner.max(1)).enumerate();
        chunks.for_each(|(chunk, out)| {
            let first = chunk * ROWS;
            let job = Depthwise {
                map: map(&inner, stage.height, stage.width, stage.inner),
                weight: &taps,
                bias: &self.block.taps_bias,
                activation: stage.activation.into(),
                tokens: first..first + out.len() / stage.inner.max(1),
            };
            stage.products.kernels().depthwise_f32(job, out);
        });
        if self.rounds {
            round_skewed(&mut active, stage.inner);
        }
        active
    }
}

pub(super) fn map(values: &[f32], height: usize, width: usize, channels: usize) -> Map<'_> {
    Map {
        values,
        height,
        width,
        channels,
    }
}

/// Rows of a norm.
pub(super) fn normed(products: &Products, x: &[f32], norm: &NormWeights) -> Vec<f32> {
    let mut out = vec![0.0; x.len()];
    let chunk = ROWS * norm.weight.len().max(1);
    out.par_chunks_mut(chunk)
        .zip(x.par_chunks(chunk))
        .for_each(|(out, x)| {
            let eps = SegformerConfig::EPSILON;
            products
                .kernels()
                .layer_norm(x, &norm.weight, &norm.bias, eps, out);
        });
    out
}

/// A map's windows, a row each.
pub(super) fn windows(
    products: &Products,
    map: Map<'_>,
    kernel: usize,
    stride: usize,
    padding: usize,
) -> Vec<f32> {
    let windows = Windows {
        map,
        kernel,
        stride,
        padding,
    };
    let (down, across) = windows.grid();
    let width = windows.width().max(1);
    let mut out = vec![0.0; down * across * width];
    let chunks = out.par_chunks_mut(ROWS * width).enumerate();
    chunks.for_each(|(chunk, out)| {
        let first = chunk * ROWS;
        products
            .kernels()
            .gather(windows, first..first + out.len() / width, out);
    });
    out
}
