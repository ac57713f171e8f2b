//! The image processor of a SegFormer's file, with the size of its pictures.

use std::path::Path;

use igpt_runtime::processor::Backend;
use serde_json::{Value, json};

use super::refusals::without_processor;
use crate::checkpoint::CheckpointError;
use crate::conversion::request::Request;
use crate::failure::{Blame, Failure};
use crate::onnx::Preprocessor;

/// The image processor of a file.
pub(super) struct Found {
    pub(super) preprocessor: Preprocessor,
    /// Why it is this one.
    pub(super) because: String,
    /// Height and width of what the model reads.
    pub(super) size: (usize, usize),
}

pub(super) fn read(request: &Request, folder: &Path) -> Result<Found, Failure> {
    let own = folder.join("preprocessor_config.json");
    let path = request.processor_config.clone().unwrap_or(own);
    if request.processor_config.is_none() && !path.exists() {
        return Err(without_processor(request));
    }
    let bad = |message| CheckpointError::Config {
        path: path.clone(),
        message,
    };
    let text = std::fs::read_to_string(&path)
        .map_err(|e| bad(e.to_string()))
        .bad_input()?;
    let mut value: Value = serde_json::from_str(&text)
        .map_err(|e| bad(e.to_string()))
        .bad_input()?;
    if let Some((height, width)) = request.size {
        value["size"] = json!({ "height": height, "width": width });
    }
    let side = |name: &str| value["size"][name].as_u64().or(value["size"].as_u64());
    let size = (
        side("height").unwrap_or(512) as usize,
        side("width").unwrap_or(512) as usize,
    );
    Ok(Found {
        preprocessor: Preprocessor {
            json: format!("{value:#}"),
            backend: request.processor.unwrap_or(Backend::Pil),
        },
        because: path.display().to_string(),
        size,
    })
}
