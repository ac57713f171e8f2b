//! From a checkpoint's folder, or its name on the hub, to one ONNX file.

pub(crate) mod file;
pub(crate) mod layers;
pub(crate) mod provenance;
pub(crate) mod report;
pub(crate) mod request;
pub(crate) mod steps;

use igpt_runtime::ModelConfig;

pub use self::layers::LayerReport;
pub(crate) use self::provenance::recipe;
pub use self::report::Report;
pub use self::request::Request;
pub(crate) use self::request::lacks_processor;
use crate::failure::{Blame, Failure};
use crate::output::Outputs;
use crate::{hub, imagegpt, segformer};

/// Converts.
///
/// # Errors
/// A checkpoint that cannot be used (bad input), an output that cannot be written.
pub fn convert(request: &Request) -> Result<Report, Failure> {
    let calibrate = request.calibrate.iter().map(|source| &source.path);
    let mut outputs = Outputs::made_from(calibrate.chain(&request.processor_config));
    outputs.file(&request.output)?;
    let folder = &hub::resolve(&request.checkpoint)?;
    match ModelConfig::from_file(folder.join("config.json")).bad_input()? {
        ModelConfig::ImageGpt(config) => imagegpt::conversion::convert(request, folder, &config),
        ModelConfig::Segformer(config) => segformer::conversion::convert(request, folder, &config),
        other => Err(steps::unknown_family(folder, other.model_type())),
    }
}
