//! What an initializer of a file is, and from which tensor it is made.

use igpt_runtime::tools::pb::tensor_proto::DataType;
use igpt_runtime::tools::{INT4_GROUP, Panels};
use igpt_runtime::{Dtype, Task};

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
pub enum Role {
    /// The values as they are.
    F32,
    /// Rounded to float16.
    F16,
    /// Transposed from `[out, in]`.
    TransposedF32,
    /// The int8 values of the matrix; `transposed` if the tensor is `[out, in]`.
    Int8 {
        /// Whether the tensor has an output channel in each row.
        transposed: bool,
    },
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
pub struct Initializer {
    /// Its name in the graph.
    pub name: String,
    /// The shape of its values, whatever their order in the file.
    pub dims: Vec<usize>,
    /// The checkpoint's tensor, without prefix.
    pub tensor: String,
    /// How its values follow from the tensor.
    pub role: Role,
    /// int8 only: the order of the values in the file, if it is not row-major.
    pub panels: Option<Panels>,
}

impl Initializer {
    /// A tensor that is stored as it is, in f32.
    pub fn f32(name: impl Into<String>, tensor: impl Into<String>, dims: Vec<usize>) -> Self {
        Self {
            name: name.into(),
            dims,
            tensor: tensor.into(),
            role: Role::F32,
            panels: None,
        }
    }

    /// The shape in the file: a matrix in panels has four dimensions, padding included.
    pub fn stored_dims(&self) -> Vec<usize> {
        match (self.panels, self.dims.as_slice()) {
            (Some(panels), [k, n]) => panels.dims(*k, *n).into(),
            _ => self.dims.clone(),
        }
    }

    /// Its element type.
    pub fn data_type(&self) -> DataType {
        match self.role {
            Role::F32 | Role::TransposedF32 | Role::Scales | Role::Zeros => DataType::Float,
            Role::F16 => DataType::Float16,
            Role::Int8 { .. } => DataType::Int8,
            Role::Int4 => DataType::Int4,
            Role::Multipliers => DataType::Uint4,
        }
    }

    /// Bytes of the values.
    pub fn byte_len(&self) -> usize {
        let count = self.stored_dims().iter().product::<usize>();
        match self.data_type() {
            DataType::Float => 4 * count,
            DataType::Float16 => 2 * count,
            DataType::Int4 | DataType::Uint4 => count.div_ceil(2),
            _ => count,
        }
    }
}

/// A linear layer's weight, after an int4 weight its multipliers, and after both kinds of integers their
/// scales.
pub fn push_linear(
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
