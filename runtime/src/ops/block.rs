//! The constants of a transformer block, whatever its linear layers are stored in.

use igpt_kernels::{Activation, Heads};

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
