//! What a model file says of itself, without loading it.

use std::collections::BTreeMap;
use std::path::Path;

use tract_onnx::pb;

use crate::error::Error;
use crate::kind::{Dtype, Task};
use crate::onnx::ModelFile;

pub use crate::onnx::Family;

/// What a model file says of itself, checked as loading checks it, without the values of its weights.
#[derive(Debug)]
pub struct Description {
    /// What the file is for.
    pub task: Task,
    /// How its linear layers are stored.
    pub dtype: Dtype,
    /// Its family, and of that configuration and image processor.
    pub family: Family,
    /// The file with its initializers' values left out.
    pub proto: pb::ModelProto,
    /// Bytes of the values of each initializer, by its name.
    pub weight_bytes: BTreeMap<String, usize>,
}

/// Reads what a model file says of itself. Its weights stay in the file.
///
/// # Errors
/// As [`crate::AutoModel::load`], but for what is wrong with the weights' values.
pub fn describe(path: &Path) -> Result<Description, Error> {
    let file = ModelFile::open(path)?;
    let constants = file.weights.constants.into_iter();
    Ok(Description {
        task: file.task,
        dtype: file.dtype,
        family: file.family,
        proto: file.proto,
        weight_bytes: constants
            .map(|(name, constant)| (name, constant.bytes.len()))
            .collect(),
    })
}
