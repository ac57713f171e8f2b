//! The constants of a transformer block.

use anyhow::{Context as _, ensure};
use igpt_kernels::{Activation, Depthwise, Heads, Map};
use tract_onnx::prelude::TractResult;

use super::Take;
use super::arithmetic::Arithmetic;
use super::norm::LayerNorm;
use crate::ops::constants::Constants;
use crate::ops::kind::Attributes;

/// A block whose linear layers are `L`.
#[derive(Debug)]
pub(super) struct Block<L> {
    pub(super) heads: Heads,
    pub(super) scale: f32,
    pub(super) before: LayerNorm,
    pub(super) projections: Projections<L>,
    pub(super) o_proj: L,
    pub(super) after: LayerNorm,
    pub(super) fc1: L,
    pub(super) convolution: Convolution,
    pub(super) fc2: L,
}

/// Where queries, keys and values come from.
#[derive(Debug)]
pub(super) enum Projections<L> {
    /// All from the same rows.
    Together(L),
    /// Keys and values from a reduced map.
    Reduced {
        ratio: usize,
        reduction: L,
        norm: LayerNorm,
        q: L,
        kv: L,
    },
}

/// The depthwise convolution of the MLP, and the activation after it.
#[derive(Debug)]
pub(super) struct Convolution {
    /// `[9, channels]`.
    weight: Vec<f32>,
    bias: Vec<f32>,
    activation: Activation,
}

impl Convolution {
    /// Its weight comes as Hugging Face has it, `[channels, 1, 3, 3]`.
    fn new(attributes: &Attributes, constants: &mut Constants<'_>) -> TractResult<Self> {
        let (taps, bias) = (constants.f32s()?, constants.f32s()?);
        let channels = bias.len();
        ensure!(
            taps.len() == 9 * channels,
            "{} depthwise weights for {channels} channels",
            taps.len()
        );
        let weight = (0..9)
            .flat_map(|tap| taps.iter().skip(tap).step_by(9).copied())
            .collect();
        Ok(Self {
            weight,
            bias,
            activation: attributes.activation()?,
        })
    }

    /// The job of convolving these tokens of `map`.
    pub(super) fn job<'a>(&'a self, map: Map<'a>, tokens: std::ops::Range<usize>) -> Depthwise<'a> {
        Depthwise {
            map,
            weight: &self.weight,
            bias: &self.bias,
            activation: self.activation,
            tokens,
        }
    }
}

impl<L: Arithmetic> Block<L> {
    /// In the order of the operator's inputs.
    pub(super) fn new<'a>(
        attributes: &Attributes,
        constants: &mut Constants<'a>,
        linear: Take<'a, L>,
    ) -> TractResult<Self> {
        let before = LayerNorm::new(attributes, constants)?;
        let (projections, width) = match attributes.int_opt("sr_ratio")? {
            None => {
                let qkv = linear(constants)?;
                let width = qkv.columns() / 3;
                (Projections::Together(qkv), width)
            }
            Some(ratio) => {
                let reduction = linear(constants)?;
                let norm = LayerNorm::new(attributes, constants)?;
                let q = linear(constants)?;
                let kv = linear(constants)?;
                let width = q.columns();
                let reduced = Projections::Reduced {
                    ratio,
                    reduction,
                    norm,
                    q,
                    kv,
                };
                (reduced, width)
            }
        };
        let count: usize = attributes.int("num_heads")?;
        let dim = width.checked_div(count).context("no heads")?;
        ensure!(count * dim == width, "{count} heads of {width} columns");
        Ok(Self {
            heads: Heads { count, dim },
            scale: attributes.float("scale")?,
            before,
            projections,
            o_proj: linear(constants)?,
            after: LayerNorm::new(attributes, constants)?,
            fc1: linear(constants)?,
            convolution: Convolution::new(attributes, constants)?,
            fc2: linear(constants)?,
        })
    }
}
