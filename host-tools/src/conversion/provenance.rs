//! What the file says of how it came about: its recipe, and the checkpoint with its files' checksums.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::Context;
use indicatif::ProgressBar;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::checkpoint::Checkpoint;
use crate::hub::HubName;
use crate::onnx::Dtype;

/// `igpt.recipe` of an ImageGPT: enough to know how the numbers came about. `calibration` says on how much, if on anything.
pub(crate) fn recipe(dtype: Dtype, calibration: Option<Value>) -> String {
    let producer = concat!("igpt ", env!("CARGO_PKG_VERSION"));
    let grid = match dtype {
        Dtype::F32 => return json!({ "producer": producer }).to_string(),
        Dtype::Int8 => "int8, symmetric per output channel",
        Dtype::Int4 => {
            "int4, symmetric, times 1 to 16 for every 32 inputs, per output channel; lm_head int8"
        }
    };
    let chosen = rounding(calibration.is_some());
    let mut recipe = json!({
        "producer": producer,
        "weights": format!("{grid}, {chosen}"),
        "activations": "int8 per row, dynamic; symmetric, and with a zero of its own after the activation",
        "embeddings": "float16",
    });
    if let Some(calibration) = calibration {
        recipe["calibration"] = calibration;
    }
    recipe.to_string()
}

/// How weights were rounded.
pub(crate) fn rounding(calibrated: bool) -> &'static str {
    match calibrated {
        true => "rescaled and rounded for least error of each layer's output",
        false => "range of least squared error",
    }
}

/// A checkpoint's name: on the hub with the commit that it is (the last part of its folder in the cache),
/// else its folder's.
pub(crate) fn source_name(asked: &Path, folder: &Path) -> String {
    let last = |path: &Path| {
        path.file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned()
    };
    match asked.to_str().and_then(HubName::parse) {
        Some(name) if asked != folder => format!("{}@{}", name.repo, last(folder)),
        _ => last(&folder.canonicalize().unwrap_or_else(|_| folder.to_owned())),
    }
}

/// `igpt.source`: the checkpoint's name and its files' checksums.
pub(crate) fn source(
    name: &str,
    checkpoint: &Checkpoint,
    bar: &ProgressBar,
) -> anyhow::Result<String> {
    let mut files = serde_json::Map::new();
    for path in checkpoint.files() {
        // Read rather than mapped: a file larger than memory must not become resident for its checksum.
        let mut file = File::open(path).with_context(|| path.display().to_string())?;
        let mut hasher = Sha256::new();
        let mut buffer = vec![0; 1 << 20];
        loop {
            let count = file
                .read(&mut buffer)
                .with_context(|| path.display().to_string())?;
            let Some(bytes) = buffer.get(..count).filter(|bytes| !bytes.is_empty()) else {
                break;
            };
            hasher.update(bytes);
            bar.inc(count as u64);
        }
        let digest: String = hasher
            .finalize()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        files.insert(name, digest.into());
    }
    Ok(json!({ "checkpoint": name, "sha256": files }).to_string())
}
