//! What can be wrong with a checkpoint folder, said so that the culprit can be found.

use std::path::PathBuf;

use thiserror::Error;

/// Why a checkpoint cannot be used. Each message names the file, the tensor or field, what was found and
/// what was expected.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// A file cannot be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// What a clone without Git LFS has in a file's place.
    #[error("{}: {}", path.display(), igpt_runtime::tools::lfs::MESSAGE)]
    LfsPointer {
        /// The file.
        path: PathBuf,
    },
    /// The folder holds no weights under any of the names Hugging Face uses.
    #[error(
        "{}: no weights: expected model.safetensors, model.safetensors.index.json, pytorch_model.bin or \
         pytorch_model.bin.index.json{hint}",
        folder.display()
    )]
    NoWeights {
        /// The folder that was searched.
        folder: PathBuf,
        /// What is there instead and what to do with it; empty for nothing.
        hint: String,
    },
    /// A file's structure is broken or of a kind that is not read here.
    #[error("{}: {message}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What was found and what was expected.
        message: String,
    },
    /// A pickle asks for something outside the allow-list. Nothing of it was executed.
    #[error(
        "{}: the pickle refers to `{global}`, which is not among what a state dict of tensors needs; \
         refused, nothing was executed. If you trust the file, load it with PyTorch and save the weights \
         alone: torch.save(model.state_dict(), \"pytorch_model.bin\")",
        path.display()
    )]
    ForbiddenGlobal {
        /// The file.
        path: PathBuf,
        /// `module.name` as the pickle has it.
        global: String,
    },
    /// A pickle is malformed or uses an opcode that a state dict does not need.
    #[error("{}: data.pkl at byte {offset}: {message}", path.display())]
    Pickle {
        /// The file.
        path: PathBuf,
        /// Position in the pickle.
        offset: usize,
        /// What was found.
        message: String,
    },
    /// A tensor was asked for that the checkpoint does not have.
    #[error("{}: no tensor `{tensor}`", folder.display())]
    NoTensor {
        /// The checkpoint.
        folder: PathBuf,
        /// The name asked for.
        tensor: String,
    },
    /// One tensor's record is unusable.
    #[error("{}: tensor `{tensor}`: {message}", path.display())]
    Tensor {
        /// The file that holds it.
        path: PathBuf,
        /// The tensor's name in the file.
        tensor: String,
        /// What was found and what was expected.
        message: String,
    },
    /// The tensors are not those that the configuration describes.
    #[error("{}: the tensors do not fit config.json:\n{}", folder.display(), problems.join("\n"))]
    Mismatch {
        /// The checkpoint.
        folder: PathBuf,
        /// One line per missing, unexpected or wrongly shaped tensor.
        problems: Vec<String>,
    },
    /// A weight is not a finite number.
    #[error(
        "{}: tensor `{tensor}` holds {value} at flat index {index}; weights must be finite",
        path.display()
    )]
    NonFinite {
        /// The file that holds it.
        path: PathBuf,
        /// The tensor's name in the file.
        tensor: String,
        /// Position in row-major order.
        index: usize,
        /// The value found.
        value: f32,
    },
    /// Calibration images met a value that is not finite.
    #[error("{}: {message}", path.display())]
    Calibration {
        /// The file with the weights that were reached.
        path: PathBuf,
        /// Where.
        message: String,
    },
    /// `config.json` or `preprocessor_config.json` is unusable.
    #[error("{}: {message}", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// What was found and what was expected.
        message: String,
    },
}
