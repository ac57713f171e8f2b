//! A checkpoint folder in Hugging Face's layout, whatever its weights are stored as.
//!
//! The weights are mapped into memory and nothing of them is read before it is asked for, nor kept once it
//! has been converted, so the memory of a conversion is that of the tensor being converted, whatever the
//! checkpoint's size.

mod elsewhere;
mod error;
pub mod expected;
mod index;
mod names;
mod pickle;
mod pickle_calls;
mod pickle_globals;
mod pickle_value;
mod safetensors_file;
pub(crate) mod spelling;
mod state_dict;
mod tensor;
mod torch_file;
mod weight_file;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::quantization::QuantizedMatrix;
pub use error::CheckpointError;
pub(crate) use index::read as read_index;
pub use tensor::{Dtype, TensorView};
use weight_file::WeightFile;

/// An opened checkpoint. Tensor names are Hugging Face's without the prefix of the body (`transformer.`,
/// `segformer.`), which the heads' checkpoints have and a bare model's has not, and without what training tools
/// put before it; of two spellings the newer one.
pub struct Checkpoint {
    folder: PathBuf,
    files: Vec<WeightFile>,
    /// Name without prefix -> (file, name in the file).
    tensors: BTreeMap<String, (usize, String)>,
}

impl std::fmt::Debug for Checkpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Checkpoint")
            .field("folder", &self.folder)
            .field("tensors", &self.tensors.len())
            .finish()
    }
}

/// Where a conversion takes its weights from: a checkpoint folder, or anything else that can name every
/// tensor.
pub trait Weights {
    /// One tensor's elements as f32, row-major, all of them finite. Names are without the body's prefix.
    ///
    /// # Errors
    /// As [`Checkpoint::to_f32`].
    fn to_f32(&self, name: &str) -> Result<Vec<f32>, CheckpointError>;

    /// A matrix that is already on its int8 grid, `[in, out]`; without one the writer rounds what
    /// [`Weights::to_f32`] gives.
    ///
    /// # Errors
    /// As [`Weights::to_f32`].
    fn quantized(&self, name: &str) -> Result<Option<QuantizedMatrix>, CheckpointError> {
        let _ = name;
        Ok(None)
    }

    /// Whether the `score` of an ImageGPT has a bias, which transformers' has not and a linear probe's has.
    fn head_bias(&self) -> bool {
        false
    }

    /// The file and the name in it of a tensor, for messages.
    fn place(&self, name: &str) -> (PathBuf, String);
}

impl Weights for Checkpoint {
    fn to_f32(&self, name: &str) -> Result<Vec<f32>, CheckpointError> {
        self.to_f32(name)
    }

    fn place(&self, name: &str) -> (PathBuf, String) {
        self.place(name)
    }
}

/// The error for an element of `name` that float16 cannot hold.
pub(crate) fn beyond_f16(
    weights: &impl Weights,
    name: &str,
    index: usize,
    values: &[f32],
) -> CheckpointError {
    let value = values.get(index).copied().unwrap_or(f32::NAN);
    let (path, tensor) = weights.place(name);
    let message = format!("{value} at flat index {index} exceeds float16's range of 65504");
    CheckpointError::Tensor {
        path,
        tensor,
        message,
    }
}

/// The file of the weights, or (`true`) the index of the files that hold them, in the order Hugging Face
/// looks for them.
pub(crate) const WEIGHTS: [(&str, bool); 4] = [
    ("model.safetensors", false),
    ("model.safetensors.index.json", true),
    ("pytorch_model.bin", false),
    ("pytorch_model.bin.index.json", true),
];

impl Checkpoint {
    /// Opens the weights of `folder`: headers only.
    ///
    /// # Errors
    /// No weights, a malformed or unreadable file, a pickle that is more than a state dict, an index that
    /// disagrees with its shards.
    pub fn open(folder: &Path) -> Result<Self, CheckpointError> {
        // An unreadable or missing folder is an error of its own, not a lack of weights.
        std::fs::read_dir(folder).map_err(|source| CheckpointError::Io {
            path: folder.to_owned(),
            source,
        })?;
        let found = WEIGHTS.iter().find(|(name, _)| folder.join(name).exists());
        let Some((name, is_index)) = found else {
            return Err(CheckpointError::NoWeights {
                folder: folder.to_owned(),
                hint: elsewhere::hint(folder),
            });
        };
        let mut checkpoint = Self {
            folder: folder.to_owned(),
            files: Vec::new(),
            tensors: BTreeMap::new(),
        };
        if *is_index {
            checkpoint.open_shards(&folder.join(name))?;
        } else {
            checkpoint.open_file(&folder.join(name), None)?;
        }
        checkpoint.enter_tensors()?;
        Ok(checkpoint)
    }

    fn open_shards(&mut self, index: &Path) -> Result<(), CheckpointError> {
        let weight_map = index::read(index)?;
        let shards: BTreeSet<&String> = weight_map.values().collect();
        // Before any is opened: the others may have tensors that the index says are in the missing one.
        if let Some(missing) = shards.iter().find(|name| !self.folder.join(name).exists()) {
            let tensors = weight_map.values().filter(|file| file == missing).count();
            return Err(CheckpointError::Malformed {
                path: self.folder.join(missing),
                message: format!(
                    "is not there, and {} says that it holds {tensors} of {} tensors: fetch it, or the whole \
                     checkpoint again",
                    index.display(),
                    weight_map.len()
                ),
            });
        }
        for shard in shards {
            let listed = weight_map
                .iter()
                .filter(|(_, file)| *file == shard)
                .map(|(name, _)| name.as_str());
            self.open_file(&self.folder.join(shard), Some(&listed.collect()))?;
        }
        Ok(())
    }

    /// Maps one file; with an index, its tensors must be those that it lists.
    fn open_file(
        &mut self,
        path: &Path,
        listed: Option<&BTreeSet<&str>>,
    ) -> Result<(), CheckpointError> {
        let file = WeightFile::open(path)?;
        if let Some(listed) = listed {
            let names = file.names();
            let there: BTreeSet<&str> = names.iter().map(String::as_str).collect();
            if let Some(name) = listed.symmetric_difference(&there).next() {
                let (has, other) = if there.contains(name) {
                    ("shard", "index")
                } else {
                    ("index", "shard")
                };
                let message = format!(
                    "tensor `{name}` is in the {has} but not in the {other}: the two are of different checkpoints; \
                     fetch or save them again"
                );
                return Err(CheckpointError::Malformed {
                    path: path.to_owned(),
                    message,
                });
            }
        }
        self.files.push(file);
        Ok(())
    }

    /// Enters the tensors of all files by their short names.
    fn enter_tensors(&mut self) -> Result<(), CheckpointError> {
        let found: Vec<(usize, String)> = self
            .files
            .iter()
            .enumerate()
            .flat_map(|(index, file)| file.names().into_iter().map(move |name| (index, name)))
            .collect();
        let full: Vec<String> = found.iter().map(|(_, name)| name.clone()).collect();
        let malformed = |index: usize, message: String| CheckpointError::Malformed {
            path: self
                .files
                .get(index)
                .map_or_else(|| self.folder.clone(), |file| file.path.clone()),
            message,
        };
        let short = names::short(&full).map_err(|message| malformed(0, message))?;
        let mut tensors = BTreeMap::new();
        for (short, (index, name)) in short.into_iter().zip(found) {
            let Some(short) = short else {
                continue;
            };
            if let Some((_, other)) = tensors.insert(short, (index, name.clone())) {
                let message = names::twice(&other, &name);
                return Err(malformed(index, message));
            }
        }
        self.tensors = tensors;
        Ok(())
    }

    /// The folder the checkpoint was opened from.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The weight files, in the order they were opened.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(|file| file.path.as_path())
    }

    /// Total size of the weight files in bytes.
    pub fn file_bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes()).sum()
    }

    /// All tensors, sorted by name; causal-mask buffers of old checkpoints are left out.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// A tensor's shape, without reading its bytes.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        let (file, full) = self.tensors.get(name)?;
        self.files.get(*file)?.shape(full)
    }

    /// One tensor, mapped where the file allows it.
    ///
    /// # Errors
    /// No such tensor, an element type other than f64, f32, f16 and bf16, bytes that do not fit its shape, or
    /// a checksum that does not match.
    pub fn tensor(&self, name: &str) -> Result<TensorView<'_>, CheckpointError> {
        let no_tensor = || CheckpointError::NoTensor {
            folder: self.folder.clone(),
            tensor: name.to_owned(),
        };
        let (file, full) = self.tensors.get(name).ok_or_else(no_tensor)?;
        let file = self.files.get(*file).ok_or_else(no_tensor)?;
        let view = file.tensor(full).ok_or_else(no_tensor)?;
        view.map_err(|message| CheckpointError::Tensor {
            path: file.path.clone(),
            tensor: full.clone(),
            message,
        })
    }

    /// One tensor's elements as f32, row-major, all of them finite. Its pages of the mapped file are let go.
    ///
    /// # Errors
    /// As [`Checkpoint::tensor`], and an element that is infinite, not a number, or too large for f32.
    pub fn to_f32(&self, name: &str) -> Result<Vec<f32>, CheckpointError> {
        let view = self.tensor(name)?;
        let values = view.to_f32();
        let wrong = values.iter().position(|value| !value.is_finite());
        let stored = wrong
            .and_then(|index| view.stored(index))
            .unwrap_or_default();
        drop(view);
        let (file, _) = self.tensors.get(name).cloned().unwrap_or_default();
        if let Some(file) = self.files.get(file) {
            file.release();
        }
        match wrong {
            None => Ok(values),
            Some(index) if stored.is_finite() => {
                let (path, tensor) = self.place(name);
                let message = format!("{stored:e} at flat index {index} exceeds float32's range");
                Err(CheckpointError::Tensor {
                    path,
                    tensor,
                    message,
                })
            }
            Some(index) => {
                let value = values.get(index).copied().unwrap_or(f32::NAN);
                let (path, tensor) = self.place(name);
                Err(CheckpointError::NonFinite {
                    path,
                    tensor,
                    index,
                    value,
                })
            }
        }
    }

    /// The file and the name in it of a tensor.
    fn place(&self, name: &str) -> (PathBuf, String) {
        let (file, tensor) = self.tensors.get(name).cloned().unwrap_or_default();
        (
            self.files
                .get(file)
                .map_or_else(|| self.folder.clone(), |file| file.path.clone()),
            tensor,
        )
    }
}
