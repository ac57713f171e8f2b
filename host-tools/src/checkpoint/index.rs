//! `*.index.json`: which shard holds which tensor.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use super::error::CheckpointError;

#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

/// Reads an index and returns `tensor name -> shard file name`.
pub(crate) fn read(path: &Path) -> Result<BTreeMap<String, String>, CheckpointError> {
    let text = std::fs::read(path).map_err(|source| CheckpointError::Io {
        path: path.to_owned(),
        source,
    })?;
    if igpt_runtime::tools::lfs::is_pointer(&text) {
        return Err(CheckpointError::LfsPointer {
            path: path.to_owned(),
        });
    }
    let malformed = |message: String| CheckpointError::Malformed {
        path: path.to_owned(),
        message,
    };
    let index: Index =
        serde_json::from_slice(&text).map_err(|e| malformed(format!("not a weight index: {e}")))?;
    for (tensor, file) in &index.weight_map {
        // A shard lies beside its index; anything else would let a checkpoint read other files.
        let plain = Path::new(file)
            .file_name()
            .is_some_and(|name| name == file.as_str());
        if !plain {
            return Err(malformed(format!(
                "`{tensor}` is in `{file}`, expected a plain file name"
            )));
        }
    }
    Ok(index.weight_map)
}
