//! What the functions, the nodes and the initializers of a file have in common: the constants of each node, in order.

use igpt_runtime::{Dtype, SegformerConfig};

use super::tensors::at;

/// A constant of a patch convolution, of a block or of a head, by its name within that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Constant {
    /// Stored in f32.
    Plain(&'static str),
    /// A matrix `[in, out]`, in an int8 file followed by its scales.
    Matrix(&'static str),
}

impl Constant {
    /// Its name, and that of its scales if it has some.
    pub(crate) fn names(self, dtype: Dtype) -> Vec<String> {
        match self {
            Self::Matrix(name) if dtype != Dtype::F32 => {
                vec![name.to_owned(), format!("{name}_scale")]
            }
            Self::Plain(name) | Self::Matrix(name) => vec![name.to_owned()],
        }
    }
}

/// Those of a patch convolution and its norm.
pub(crate) const PATCHES: [Constant; 4] = [
    Constant::Matrix("proj.weight"),
    Constant::Plain("proj.bias"),
    Constant::Plain("layer_norm.weight"),
    Constant::Plain("layer_norm.bias"),
];

/// Those of a block; of a reduced one keys and values come from a smaller map.
pub(crate) fn block_constants(reduced: bool) -> Vec<Constant> {
    use Constant::{Matrix, Plain};
    let mut list = vec![
        Plain("layernorm_before.weight"),
        Plain("layernorm_before.bias"),
    ];
    if reduced {
        list.extend([
            Matrix("attention.sequence_reduction.sequence_reduction.weight"),
            Plain("attention.sequence_reduction.sequence_reduction.bias"),
            Plain("attention.sequence_reduction.layer_norm.weight"),
            Plain("attention.sequence_reduction.layer_norm.bias"),
            Matrix("attention.q_proj.weight"),
            Plain("attention.q_proj.bias"),
            Matrix("attention.kv_proj.weight"),
            Plain("attention.kv_proj.bias"),
        ]);
    } else {
        list.extend([
            Matrix("attention.qkv_proj.weight"),
            Plain("attention.qkv_proj.bias"),
        ]);
    }
    list.extend([
        Matrix("attention.o_proj.weight"),
        Plain("attention.o_proj.bias"),
        Plain("layernorm_after.weight"),
        Plain("layernorm_after.bias"),
        Matrix("mlp.fc1.weight"),
        Plain("mlp.fc1.bias"),
        Plain("mlp.dwconv.dwconv.weight"),
        Plain("mlp.dwconv.dwconv.bias"),
        Matrix("mlp.fc2.weight"),
        Plain("mlp.fc2.bias"),
    ]);
    list
}

/// The constants of a block of this stage.
pub(crate) fn block(config: &SegformerConfig, stage: usize) -> Vec<Constant> {
    block_constants(is_reduced(config, stage))
}

/// Whether the stage's keys and values come from a reduced map.
pub(crate) fn is_reduced(config: &SegformerConfig, stage: usize) -> bool {
    at(&config.sr_ratios, stage) > 1
}

/// Shape in the file of a constant of a patch convolution or a block of `stage`, by its name within that.
pub(crate) fn dims(config: &SegformerConfig, stage: usize, name: &str) -> Vec<usize> {
    let width = at(&config.hidden_sizes, stage);
    let (attended, inner) = (config.attention_width(stage), config.inner_dim(stage));
    let before = match stage {
        0 => config.num_channels,
        stage => at(&config.hidden_sizes, stage - 1),
    };
    let windows = |side: usize, channels: usize| side * side * channels;
    match name {
        "proj.weight" => vec![windows(at(&config.patch_sizes, stage), before), width],
        "attention.sequence_reduction.sequence_reduction.weight" => {
            vec![windows(at(&config.sr_ratios, stage), width), width]
        }
        "attention.q_proj.weight" => vec![width, attended],
        "attention.q_proj.bias" => vec![attended],
        "attention.kv_proj.weight" => vec![width, 2 * attended],
        "attention.kv_proj.bias" => vec![2 * attended],
        "attention.qkv_proj.weight" => vec![width, 3 * attended],
        "attention.qkv_proj.bias" => vec![3 * attended],
        "attention.o_proj.weight" => vec![attended, width],
        "mlp.fc1.weight" => vec![width, inner],
        "mlp.fc1.bias" | "mlp.dwconv.dwconv.bias" => vec![inner],
        "mlp.dwconv.dwconv.weight" => vec![inner, 1, 3, 3],
        "mlp.fc2.weight" => vec![inner, width],
        // Norms, and the biases of what writes the stream.
        _ => vec![width],
    }
}
