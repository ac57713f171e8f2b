//! The constants of a transformer block, whatever its linear layers are stored in.

use anyhow::ensure;
use igpt_kernels::{Activation, Heads};
use tract_onnx::prelude::TractResult;

use crate::ops::constants::Constants;
use crate::ops::kind::Attributes;

/// A block with linear layers `L`.
#[derive(Debug)]
pub(crate) struct Block<L> {
    pub(crate) heads: Heads,
    pub(crate) eps: f32,
    pub(crate) scale: f32,
    pub(crate) activation: Activation,
    pub(crate) ln_1: Vec<f32>,
    pub(crate) c_attn: L,
    pub(crate) attn_c_proj: L,
    pub(crate) ln_2: Vec<f32>,
    pub(crate) c_fc: L,
    pub(crate) mlp_c_proj: L,
}

impl<L> Block<L> {
    /// With linear layers that `linear` takes, in the order of the operator's inputs.
    pub(super) fn new<'a>(
        attributes: &Attributes,
        constants: &mut Constants<'a>,
        linear: fn(&mut Constants<'a>) -> TractResult<L>,
    ) -> TractResult<Self> {
        let ln_1 = constants.f32s()?;
        let (count, width) = (attributes.int("num_heads")?, ln_1.len());
        ensure!(
            count > 0 && width.is_multiple_of(count),
            "{count} heads do not divide {width}"
        );
        Ok(Self {
            heads: Heads {
                count,
                dim: width / count,
            },
            eps: attributes.float("epsilon")?,
            scale: attributes.float("scale")?,
            activation: attributes.activation()?,
            ln_1,
            c_attn: linear(constants)?,
            attn_c_proj: linear(constants)?,
            ln_2: constants.f32s()?,
            c_fc: linear(constants)?,
            mlp_c_proj: linear(constants)?,
        })
    }
}
