//! The image processor of a SegFormer's file, with the size of its pictures.

use std::path::Path;

use anyhow::Context as _;
use igpt_runtime::{ProcessorError, SegformerImageProcessor};
use serde_json::{Value, json};

use super::refusals::without_processor;
use crate::conversion::request::Request;
use crate::failure::{Blame, Failure};
use crate::onnx::Preprocessor;

/// The image processor of a file.
pub(super) struct Found {
    pub(super) processor: SegformerImageProcessor,
    /// Why it is this one.
    pub(super) because: String,
}

impl Found {
    /// As the metadata has it.
    pub(super) fn preprocessor(&self) -> Preprocessor {
        Preprocessor {
            json: self.processor.to_json(),
            backend: self.processor.config().backend,
        }
    }
}

/// The one asked for or the checkpoint's own, for pictures of the size asked for.
pub(super) fn read(request: &Request, folder: &Path) -> Result<Found, Failure> {
    let own = folder.join("preprocessor_config.json");
    let path = request.processor_config.as_ref().unwrap_or(&own);
    if request.processor_config.is_none() && !path.exists() {
        return Err(without_processor(request));
    }
    // Read by the runtime first, whose errors name the file.
    let processor = SegformerImageProcessor::from_file_as(path, request.processor).bad_input()?;
    let because = match request.processor {
        Some(backend) => format!("--processor {backend}"),
        None => {
            let text = std::fs::read_to_string(path).bad_input()?;
            let found = SegformerImageProcessor::backend_of_json(&text).bad_input()?;
            format!("{}: {}", path.display(), found.because)
        }
    };
    let processor = match request.size {
        None => processor,
        Some(size) => resized(&processor, size).context("--size").misused()?,
    };
    Ok(Found { processor, because })
}

/// The same processor for another height and width.
fn resized(
    processor: &SegformerImageProcessor,
    (height, width): (usize, usize),
) -> Result<SegformerImageProcessor, ProcessorError> {
    let mut value: Value = serde_json::from_str(&processor.to_json())?;
    if let Some(map) = value.as_object_mut() {
        let size = json!({ "height": height, "width": width });
        map.insert("size".to_owned(), size);
    }
    SegformerImageProcessor::from_json_as(&value.to_string(), Some(processor.config().backend))
}
