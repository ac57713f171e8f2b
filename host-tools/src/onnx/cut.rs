//! A model file up to one of its blocks with another head: what a linear probe leaves to run on a board.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use half::f16;
use igpt_heads::LinearHead;
use igpt_kernels::Int4Matrix;
use igpt_runtime::processor::Backend;
use prost::Message as _;

use super::Preprocessor;
use super::pb::tensor_proto::DataType;
use super::pb::{ModelProto, TensorProto};
use crate::checkpoint::{CheckpointError, Weights};
use crate::quantization::{QuantizationError, QuantizedMatrix};

/// What a family calls its tensors in a file.
#[derive(Clone, Copy, Debug)]
pub struct CutNames {
    /// What the body's have before their names.
    pub prefix: &'static str,
    /// The head's weight and bias.
    pub head: [&'static str; 2],
    /// A gain that becomes 1 throughout, if one does: that of a norm whose features were normalised without it.
    pub unit_gain: Option<&'static str>,
}

/// The weights of a model file that ends earlier, its head a [`LinearHead`].
#[derive(Debug)]
pub struct CutModel {
    path: PathBuf,
    names: CutNames,
    tensors: BTreeMap<String, TensorProto>,
    metadata: BTreeMap<String, String>,
    head: LinearHead,
}

impl CutModel {
    /// Reads the file at `path`, which the runtime has loaded before and so found whole. It is in memory
    /// once, as protobuf.
    ///
    /// # Errors
    /// A file that cannot be read or decoded, or whose weights are in a CPU's order.
    pub fn open(path: &Path, names: CutNames, head: LinearHead) -> anyhow::Result<Self> {
        Self::read(path, names, Some(head))
    }

    /// The same with the classification head that the file has.
    ///
    /// # Errors
    /// As [`CutModel::open`], and a file without such a head.
    pub fn whole(path: &Path, names: CutNames) -> anyhow::Result<Self> {
        Self::read(path, names, None)
    }

    fn read(path: &Path, names: CutNames, head: Option<LinearHead>) -> anyhow::Result<Self> {
        let at = || path.display().to_string();
        let bytes = fs::read(path).with_context(at)?;
        let proto = ModelProto::decode(bytes.as_slice()).with_context(at)?;
        drop(bytes);
        let metadata: BTreeMap<_, _> = proto
            .metadata_props
            .into_iter()
            .map(|entry| (entry.key, entry.value))
            .collect();
        // Which formats there are, loading has checked.
        ensure!(
            !metadata.contains_key("igpt.panels"),
            "{}: its weights are packed for a CPU: cut the file that `igpt quantize` writes without --pack",
            at()
        );
        let tensors = proto.graph.unwrap_or_default().initializer;
        let own = head.is_none();
        let mut model = Self {
            path: path.to_owned(),
            tensors: tensors.into_iter().map(|t| (t.name.clone(), t)).collect(),
            metadata,
            head: head.unwrap_or_else(|| LinearHead {
                weight: Vec::new(),
                bias: Vec::new(),
            }),
            names,
        };
        if own {
            let [weight, bias] = names.head;
            let labels = model.tensor(weight)?.dims.first().copied();
            model.head = LinearHead {
                weight: model.floats(weight)?,
                // Hugging Face's head of an ImageGPT has none.
                bias: match model.tensors.contains_key(bias) {
                    true => model.floats(bias)?,
                    false => vec![0.0; labels.and_then(|n| n.try_into().ok()).unwrap_or_default()],
                },
            };
        }
        Ok(model)
    }

    /// An entry of the file's metadata.
    pub fn metadata(&self, key: &str) -> Option<&str> {
        self.metadata.get(key).map(String::as_str)
    }

    /// How an image becomes tokens, if the file says it.
    pub fn preprocessor(&self) -> Option<Preprocessor> {
        let json = self.metadata("igpt.preprocessor")?.to_owned();
        // Absent in files from before there was a choice.
        let backend = self.metadata("igpt.processor").map(str::parse);
        Some(Preprocessor {
            json,
            backend: backend.and_then(Result::ok).unwrap_or(Backend::Pil),
        })
    }

    /// A tensor's name in the file.
    fn full(&self, name: &str) -> String {
        format!("{}{name}", self.names.prefix)
    }

    fn tensor(&self, name: &str) -> Result<&TensorProto, CheckpointError> {
        let no_tensor = || CheckpointError::NoTensor {
            folder: self.path.clone(),
            tensor: name.to_owned(),
        };
        self.tensors.get(name).ok_or_else(no_tensor)
    }

    /// The int8 matrix that an int4 one is.
    fn int4(&self, name: &str, tensor: &TensorProto) -> Result<Vec<i8>, CheckpointError> {
        let multipliers = self.tensor(&format!("{name}_multiplier"))?;
        let [k, n] = [0, 1].map(|i| {
            let dim = tensor.dims.get(i).copied().unwrap_or_default();
            usize::try_from(dim).unwrap_or_default()
        });
        Int4Matrix::new(&tensor.raw_data, &multipliers.raw_data, k, n)
            .map(|matrix| matrix.to_int8())
            .map_err(|error| CheckpointError::Tensor {
                path: self.path.clone(),
                tensor: name.to_owned(),
                message: error.to_string(),
            })
    }

    /// A tensor of the file as f32.
    fn floats(&self, name: &str) -> Result<Vec<f32>, CheckpointError> {
        let tensor = self.tensor(name)?;
        let raw = &tensor.raw_data;
        if tensor.data_type == DataType::Float16 as i32 {
            let (halves, _) = raw.as_chunks::<2>();
            return Ok(halves
                .iter()
                .map(|bytes| f16::from_le_bytes(*bytes).to_f32())
                .collect());
        }
        if tensor.data_type == DataType::Float as i32 {
            let (floats, _) = raw.as_chunks::<4>();
            return Ok(floats
                .iter()
                .map(|bytes| f32::from_le_bytes(*bytes))
                .collect());
        }
        Err(CheckpointError::Tensor {
            path: self.path.clone(),
            tensor: name.to_owned(),
            message: format!("data type {}, expected float or float16", tensor.data_type),
        })
    }
}

impl Weights for CutModel {
    fn to_f32(&self, name: &str) -> Result<Vec<f32>, CheckpointError> {
        let [weight, bias] = self.names.head;
        if name == weight {
            return Ok(self.head.weight.clone());
        }
        if name == bias {
            return Ok(self.head.bias.clone());
        }
        let mut values = self.floats(&self.full(name))?;
        if self.names.unit_gain == Some(name) {
            values.fill(1.0);
        }
        Ok(values)
    }

    fn quantized(&self, name: &str) -> Result<Option<QuantizedMatrix>, CheckpointError> {
        let name = self.full(name);
        let tensor = self.tensor(&name)?;
        let values = if tensor.data_type == DataType::Int8 as i32 {
            bytemuck::cast_slice(&tensor.raw_data).to_vec()
        } else if tensor.data_type == DataType::Int4 as i32 {
            self.int4(&name, tensor)?
        } else {
            return Ok(None);
        };
        Ok(Some(QuantizedMatrix {
            values,
            multipliers: None,
            scales: self.floats(&format!("{name}_scale"))?,
            // Against the file, which is what is copied.
            error: QuantizationError::default(),
        }))
    }

    fn head_bias(&self) -> bool {
        true
    }

    fn place(&self, name: &str) -> (PathBuf, String) {
        (self.path.clone(), self.full(name))
    }
}
