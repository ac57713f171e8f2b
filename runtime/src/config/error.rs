//! What can be wrong with a `config.json`.

use std::path::PathBuf;

use super::FieldError;

/// Why a `config.json` was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// Something is wrong with the file at this path.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<ConfigError>,
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
    /// A field has the wrong type or a value out of range.
    #[error(transparent)]
    Field(#[from] FieldError),
    /// The file asks for something that exists upstream and that we do not have.
    #[error("{field} = {found} is not supported: {why}")]
    Unsupported {
        /// The field that asks for it.
        field: &'static str,
        /// Its value.
        found: String,
        /// Why not.
        why: &'static str,
    },
}

impl ConfigError {
    pub(crate) fn unsupported(
        field: &'static str,
        found: impl Into<String>,
        why: &'static str,
    ) -> Self {
        Self::Unsupported {
            field,
            found: found.into(),
            why,
        }
    }
}
