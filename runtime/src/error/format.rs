//! Why a file is not a model file of ours.

/// What is wrong with a model file without an image processor, and what to do.
pub const NO_PROCESSOR: &str = "has no image processor (igpt.preprocessor), as `igpt quantize --tokens-only` makes it, so \
     that no picture can be turned into tokens: make it anew without --tokens-only, or with the processor of another \
     checkpoint: `igpt quantize CHECKPOINT --processor-config FILE.json -o MODEL.onnx`";

/// Why a file cannot be used as a model.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FormatError {
    /// What a clone without Git LFS has in the file's place.
    #[error("{}", crate::lfs::MESSAGE)]
    LfsPointer,
    /// A folder, such as a checkpoint's.
    #[error("is a folder, expected a model file; of a checkpoint `igpt quantize` makes one")]
    Folder,
    /// The checksum that ends every model file is not there: the file was cut, or is something else.
    #[error(
        "{length} bytes that do not end in an igpt.crc32 entry: truncated, or not a model file of ours"
    )]
    Unsealed {
        /// Bytes of the file.
        length: usize,
    },
    /// The file was altered after it was written.
    #[error("checksum {found}, expected {expected}: the file was altered")]
    Checksum {
        /// Of the bytes there are, in hexadecimal.
        found: String,
        /// What the file says.
        expected: String,
    },
    /// A file with a checksum and no ONNX in it.
    #[error("not an ONNX file: {0}")]
    NotOnnx(String),
    /// A file of a later version of the format, or of none.
    #[error("igpt.format is {found}, this build reads 1 to 5")]
    Version {
        /// What the file says.
        found: String,
    },
    /// A file whose operators were written out for other runtimes.
    #[error(
        "igpt.format is inline: `igpt quantize --inline` wrote it for other runtimes, in standard \
         operators that this one has no kernels for; convert the checkpoint without --inline"
    )]
    Inline,
    /// The metadata lack an entry.
    #[error("metadata has no {key}")]
    NoMetadata {
        /// The entry.
        key: &'static str,
    },
    /// An entry of the metadata has a value that means nothing.
    #[error("{key} is {found}, expected {expected}")]
    Metadata {
        /// The entry.
        key: &'static str,
        /// Its value.
        found: String,
        /// What it may be.
        expected: String,
    },
    /// A classifier that pictures cannot be given to.
    #[error("{NO_PROCESSOR}")]
    NoProcessor,
    /// What the file holds is not what its own configuration asks for.
    #[error("{0}")]
    Contents(String),
}
