//! Which operator a node is, and what its attributes say.

use igpt_kernels::Activation;

/// Which operator a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Embedding,
    BlockInt8,
    BlockInt4,
    BlockF32,
    Norm,
    LinearInt8,
    LinearF32,
    ClassificationHead,
}

/// Attributes of a node, those of a block or a norm.
#[derive(Clone, Debug, Default)]
pub(crate) struct Attributes {
    pub(crate) num_heads: usize,
    pub(crate) epsilon: f32,
    pub(crate) scale: f32,
    pub(crate) activation: Option<Activation>,
    /// Names of the constants, in the order of the node's inputs.
    pub(super) constants: Vec<String>,
    /// Width of the output, if it is not the input's.
    pub(super) width: Option<usize>,
}
