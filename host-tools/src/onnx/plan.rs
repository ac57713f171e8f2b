//! Which initializers a file holds, in file order, and from which tensor each is made.

use igpt_runtime::tools::{INT4_GROUP, Panels};
use igpt_runtime::{Dtype, ImageGptConfig, Task};

use super::pb::tensor_proto::DataType;
use crate::checkpoint::expected::body_tensors;

/// What a file is to be.
#[derive(Clone, Copy, Debug)]
pub struct Form {
    /// What it computes.
    pub task: Task,
    /// How the linear layers are stored and computed.
    pub dtype: Dtype,
    /// The order of int8 weights: row-major, or the panels that one kind of CPU reads where they lie.
    pub panels: Option<Panels>,
    /// In standard operators alone, without functions: for runtimes that do not expand them, and not for ours.
    pub inline: bool,
}

/// How an initializer's values follow from its tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// The values as they are.
    F32,
    /// Rounded to float16.
    F16,
    /// Transposed from `[out, in]`.
    TransposedF32,
    /// The int8 values of the matrix; `transposed` if the tensor is `[out, in]`.
    Int8 { transposed: bool },
    /// The int4 values of the matrix, two to a byte.
    Int4,
    /// The multipliers that belong to the [`Role::Int4`] before it, each less one, two to a byte.
    Multipliers,
    /// The scales that belong to the [`Role::Int8`] or [`Role::Int4`] before it.
    Scales,
    /// No tensor: zeros.
    Zeros,
}

/// One initializer.
#[derive(Clone, Debug)]
pub(super) struct Initializer {
    /// Its name in the graph.
    pub(super) name: String,
    /// The shape of its values, whatever their order in the file.
    pub(super) dims: Vec<usize>,
    /// The checkpoint's tensor, without prefix.
    pub(super) tensor: String,
    pub(super) role: Role,
    /// int8 only: the order of the values in the file, if it is not row-major.
    pub(super) panels: Option<Panels>,
}

impl Initializer {
    /// The shape in the file: a matrix in panels has four dimensions, padding included.
    pub(super) fn stored_dims(&self) -> Vec<usize> {
        match (self.panels, self.dims.as_slice()) {
            (Some(panels), [k, n]) => panels.dims(*k, *n).into(),
            _ => self.dims.clone(),
        }
    }

    pub(super) fn data_type(&self) -> DataType {
        match self.role {
            Role::F32 | Role::TransposedF32 | Role::Scales | Role::Zeros => DataType::Float,
            Role::F16 => DataType::Float16,
            Role::Int8 { .. } => DataType::Int8,
            Role::Int4 => DataType::Int4,
            Role::Multipliers => DataType::Uint4,
        }
    }

    /// Bytes of the values.
    pub(super) fn byte_len(&self) -> usize {
        let count = self.stored_dims().iter().product::<usize>();
        match self.data_type() {
            DataType::Float => 4 * count,
            DataType::Float16 => 2 * count,
            DataType::Int4 | DataType::Uint4 => count.div_ceil(2),
            _ => count,
        }
    }
}

/// Bytes of all values of a file: what is left is a graph of some tens of kilobytes.
#[cfg(test)]
pub(crate) fn weight_bytes(config: &ImageGptConfig, form: Form) -> u64 {
    let initializers = initializers(config, form, false);
    initializers.iter().map(|i| i.byte_len() as u64).sum()
}

/// Every initializer of the file; with `head_bias` a classifier's `score` has one.
pub(super) fn initializers(
    config: &ImageGptConfig,
    form: Form,
    head_bias: bool,
) -> Vec<Initializer> {
    let Form { task, dtype, .. } = form;
    let mut list = Vec::new();
    for (tensor, dims) in body_tensors(config) {
        let name = format!("transformer.{tensor}");
        let embedding = tensor.starts_with("wte.") || tensor.starts_with("wpe.");
        if dims.len() == 2 && !embedding {
            push_linear(&mut list, name, tensor, dims, form, false);
            continue;
        }
        let role = if embedding && dtype != Dtype::F32 {
            Role::F16
        } else {
            Role::F32
        };
        list.push(Initializer {
            name,
            dims,
            tensor,
            role,
            panels: None,
        });
    }
    match task {
        Task::Features => {}
        Task::Classify => {
            let mut push = |name: &str, dims| {
                list.push(Initializer {
                    name: name.into(),
                    dims,
                    tensor: name.into(),
                    role: Role::F32,
                    panels: None,
                });
            };
            push("score.weight", vec![config.num_labels(), config.n_embd]);
            if head_bias {
                push("score.bias", vec![config.num_labels()]);
            }
        }
        Task::Causal => {
            let dims = vec![config.n_embd, config.num_colors()];
            let name = "lm_head.weight".to_owned();
            push_linear(&mut list, name.clone(), name, dims, form, true);
            list.push(Initializer {
                name: "lm_head.bias".into(),
                dims: vec![config.num_colors()],
                tensor: String::new(),
                role: Role::Zeros,
                panels: None,
            });
        }
    }
    list
}

/// A linear layer's weight, after an int4 weight its multipliers, and after both kinds of integers their
/// scales.
fn push_linear(
    list: &mut Vec<Initializer>,
    name: String,
    tensor: String,
    dims: Vec<usize>,
    form: Form,
    transposed: bool,
) {
    let Form { dtype, panels, .. } = form;
    let outputs = dims.last().copied().into_iter().collect();
    let role = match (dtype, transposed) {
        // The head stays int8: it is small, and what it loses is not made good by any layer after it.
        (Dtype::Int8, _) | (Dtype::Int4, true) => Role::Int8 { transposed },
        (Dtype::Int4, false) => Role::Int4,
        (Dtype::F32, true) => Role::TransposedF32,
        (Dtype::F32, false) => Role::F32,
    };
    let (multipliers, scales) = (format!("{name}_multiplier"), format!("{name}_scale"));
    let groups = match dims.as_slice() {
        [k, n] => vec![k.div_ceil(INT4_GROUP), *n],
        _ => dims.clone(),
    };
    list.push(Initializer {
        name,
        dims,
        tensor: tensor.clone(),
        role,
        panels: panels.filter(|_| dtype == Dtype::Int8),
    });
    if role == Role::Int4 {
        list.push(Initializer {
            name: multipliers,
            dims: groups,
            tensor: tensor.clone(),
            role: Role::Multipliers,
            panels: None,
        });
    }
    if dtype != Dtype::F32 {
        list.push(Initializer {
            name: scales,
            dims: outputs,
            tensor,
            role: Role::Scales,
            panels: None,
        });
    }
}
