//! Which image processor the file gets, and whether it fits the model.

use std::fs;
use std::path::Path;

use igpt_runtime::{ImageGptConfig, ImageGptImageProcessor, ProcessorError};

use crate::checkpoint::CheckpointError;
use crate::conversion::request::Request;
use crate::failure::{Blame, Failure};
use crate::onnx::Preprocessor;

/// The processor of these options.
pub(super) fn load_processor(
    preprocessor: &Preprocessor,
) -> Result<ImageGptImageProcessor, ProcessorError> {
    ImageGptImageProcessor::from_json_as(&preprocessor.json, Some(preprocessor.backend))
}

/// The image processor's options, normalised, after checking them against the model; and why it is this one.
pub(super) fn read(
    request: &Request,
    folder: &Path,
    config: &ImageGptConfig,
) -> Result<Option<(Preprocessor, String)>, Failure> {
    let asked = request.processor;
    let own = folder.join("preprocessor_config.json");
    let path = request.processor_config.clone().unwrap_or(own);
    if request.tokens_only || (request.processor_config.is_none() && !path.exists()) {
        return Ok(None);
    }
    let processor = ImageGptImageProcessor::from_file_as(&path, asked).bad_input()?;
    let because = match asked {
        Some(backend) => format!("--processor {backend}"),
        None => {
            let text = fs::read_to_string(&path).bad_input()?;
            let found = ImageGptImageProcessor::backend_of_json(&text).bad_input()?;
            format!("{}: {}", path.display(), found.because)
        }
    };
    let bad = |message| {
        Err(CheckpointError::Config {
            path: path.clone(),
            message,
        })
        .bad_input()
    };
    if !processor.config().do_color_quantize {
        return bad(
            "do_color_quantize is false, expected true: pixel values are no tokens".to_owned(),
        );
    }
    let (colors, found) = (config.num_colors(), processor.clusters().len());
    if found != colors {
        return bad(format!(
            "{found} clusters, expected {colors} (vocab_size - 1)"
        ));
    }
    let (height, width) = processor.size();
    if height * width > config.n_positions {
        let most = config.n_positions;
        return bad(format!(
            "size {height} x {width} is more than n_positions = {most} tokens"
        ));
    }
    let preprocessor = Preprocessor {
        json: processor.to_json(),
        backend: processor.config().backend,
    };
    Ok(Some((preprocessor, because)))
}
