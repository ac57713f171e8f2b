//! What can be wrong with a `preprocessor_config.json`, an image or a token sequence.

use std::path::PathBuf;

use crate::config::FieldError;
use crate::image::ImageError;

/// Why a processor could not be built or an image not be turned into tokens.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProcessorError {
    /// Something is wrong with the file at this path.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<ProcessorError>,
    },
    /// The file could not be read.
    #[error("cannot be read: {0}")]
    Io(#[from] std::io::Error),
    /// What a clone without Git LFS has in the file's place.
    #[error("{}", crate::lfs::MESSAGE)]
    LfsPointer,
    /// The text is not JSON.
    #[error("is not valid JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// A field of the config has the wrong type or a value that cannot be honoured.
    #[error(transparent)]
    Field(#[from] FieldError),
    /// `do_color_quantize` is off, so there are no tokens to be had.
    #[error("do_color_quantize is false: this processor gives pixel values, not tokens")]
    NotQuantizing,
    /// The pixels are no image.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// A token sequence of another length than the image has pixels.
    #[error("{found} tokens, expected {width} * {height}")]
    TokenCount {
        /// Number of tokens.
        found: usize,
        /// Width of the image.
        width: usize,
        /// Height of the image.
        height: usize,
    },
    /// A token that is no colour of the palette; the start token is none.
    #[error(
        "token {token} at position {position}, expected less than {colors}, the palette's size"
    )]
    TokenRange {
        /// The token.
        token: u16,
        /// Its place in the sequence.
        position: usize,
        /// Number of colours in the palette.
        colors: usize,
    },
}
