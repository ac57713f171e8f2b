//! The f32 weights of one transformer block, and the rescalings of its channels that change nothing it
//! computes.
//!
//! Each takes one factor per channel: what writes the channel is multiplied by it and what reads it is
//! divided. There are four such pairs in a block of ImageGPT. The MLP's inner channels have one only under
//! ReLU: no other activation commutes with a factor. The channels of the residual stream have none: the RMS
//! norm divides by a mean over all of them.

use igpt_runtime::{Activation, ImageGptConfig};

use crate::checkpoint::{CheckpointError, Weights};
use crate::quantization::linear_weights::LinearWeights;
use crate::quantization::outliers::PairName;

/// A block's weights. C channels, inner width I.
#[derive(Clone, Debug, PartialEq)]
pub struct BlockWeights {
    /// Gain of the first norm, `[C]`.
    pub ln_1: Vec<f32>,
    /// `[C, 3C]`: queries, keys, values.
    pub c_attn: LinearWeights,
    /// `[C, C]`.
    pub attn_c_proj: LinearWeights,
    /// Gain of the second norm, `[C]`.
    pub ln_2: Vec<f32>,
    /// `[C, I]`.
    pub c_fc: LinearWeights,
    /// `[I, C]`.
    pub mlp_c_proj: LinearWeights,
}

/// A pair that can be rescaled, by the channels between its two parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pair {
    /// Gain of the first norm and rows of `attn.c_attn`.
    Ln1,
    /// Query columns of `attn.c_attn` and its key columns, which are divided.
    QueryKey,
    /// Value columns of `attn.c_attn` and rows of `attn.c_proj`.
    Value,
    /// Gain of the second norm and rows of `mlp.c_fc`.
    Ln2,
    /// Columns of `mlp.c_fc` and rows of `mlp.c_proj`; under ReLU only.
    Inner,
}

impl Pair {
    /// What reports call it.
    pub fn name(self) -> PairName {
        let (key, tensors) = match self {
            Self::Ln1 => ("ln1", "ln_1 and attn.c_attn"),
            Self::QueryKey => ("query_key", "queries and keys"),
            Self::Value => ("value", "values and attn.c_proj"),
            Self::Ln2 => ("ln2", "ln_2 and mlp.c_fc"),
            Self::Inner => ("inner", "mlp.c_fc and mlp.c_proj"),
        };
        PairName { key, tensors }
    }

    /// The pairs of a block with `activation`, in an order in which none undoes what another found.
    pub fn all(activation: Activation) -> impl Iterator<Item = Self> {
        let inner = (activation == Activation::Relu).then_some(Self::Inner);
        inner
            .into_iter()
            .chain([Self::Value, Self::QueryKey, Self::Ln1, Self::Ln2])
    }
}

impl BlockWeights {
    /// Reads block `layer`.
    ///
    /// # Errors
    /// A tensor that is missing, cannot be read or is not finite.
    pub fn read(weights: &impl Weights, layer: usize) -> Result<Self, CheckpointError> {
        let read = |name: &str| weights.to_f32(&format!("h.{layer}.{name}"));
        let linear = |name: &str| {
            Ok::<_, CheckpointError>(LinearWeights {
                weight: read(&format!("{name}.weight"))?,
                bias: read(&format!("{name}.bias"))?,
            })
        };
        Ok(Self {
            ln_1: read("ln_1.weight")?,
            c_attn: linear("attn.c_attn")?,
            attn_c_proj: linear("attn.c_proj")?,
            ln_2: read("ln_2.weight")?,
            c_fc: linear("mlp.c_fc")?,
            mlp_c_proj: linear("mlp.c_proj")?,
        })
    }

    /// A linear layer by Hugging Face's name.
    pub fn linear(&self, name: &str) -> Option<&LinearWeights> {
        match name {
            "attn.c_attn" => Some(&self.c_attn),
            "attn.c_proj" => Some(&self.attn_c_proj),
            "mlp.c_fc" => Some(&self.c_fc),
            "mlp.c_proj" => Some(&self.mlp_c_proj),
            _ => None,
        }
    }

    /// A tensor by Hugging Face's name within the block, `mlp.c_fc.bias` say.
    pub fn tensor(&self, name: &str) -> Option<&[f32]> {
        match name {
            "ln_1.weight" => return Some(&self.ln_1),
            "ln_2.weight" => return Some(&self.ln_2),
            _ => {}
        }
        let (linear, kind) = name.rsplit_once('.')?;
        self.linear(linear)?.tensor(kind)
    }

    /// Multiplies what writes each channel of `pair` by its factor and divides what reads it: a change of
    /// form alone.
    ///
    /// `factors` are positive and finite, one a channel.
    pub fn rescale(&mut self, pair: Pair, factors: &[f32]) {
        let width = self.ln_1.len();
        let gains = |gains: &mut Vec<f32>| {
            gains.iter_mut().zip(factors).for_each(|(g, f)| *g *= f);
        };
        match pair {
            Pair::Ln1 => {
                gains(&mut self.ln_1);
                self.c_attn.divide_rows(factors);
            }
            Pair::QueryKey => {
                self.c_attn.multiply_columns(0, factors);
                let inverse: Vec<f32> = factors.iter().map(|f| 1.0 / f).collect();
                self.c_attn.multiply_columns(width, &inverse);
            }
            Pair::Value => {
                self.c_attn.multiply_columns(2 * width, factors);
                self.attn_c_proj.divide_rows(factors);
            }
            Pair::Ln2 => {
                gains(&mut self.ln_2);
                self.c_fc.divide_rows(factors);
            }
            Pair::Inner => {
                self.c_fc.multiply_columns(0, factors);
                self.mlp_c_proj.divide_rows(factors);
            }
        }
    }
}

/// The layer and the name within it of `h.3.mlp.c_fc.bias`, if `config` has that layer.
pub fn block_tensor<'a>(config: &ImageGptConfig, name: &'a str) -> Option<(usize, &'a str)> {
    let (layer, rest) = name.strip_prefix("h.")?.split_once('.')?;
    let layer = layer.parse().ok()?;
    (layer < config.n_layer).then_some((layer, rest))
}
