//! From a checkpoint's folder, or its name on the hub, to one ONNX file.

mod file;
pub(crate) mod layers;
mod preprocessor;
mod provenance;
mod refusals;
mod report;
mod request;

use std::path::PathBuf;

use anyhow::{Context, anyhow};
use igpt_runtime::ImageGptConfig;
use indicatif::{ProgressBar, ProgressStyle};

use self::file::Model;
use self::preprocessor::load_processor;
use self::provenance::{source, source_name};
use self::refusals::{head_is_missing, without_processor};
use crate::calibration::{self, ImageSet};
use crate::checkpoint::{Checkpoint, expected};
use crate::failure::{Blame, Failure};
use crate::hub;
use crate::onnx::{Preprocessor, Provenance, Task};
use crate::output::{self, Outputs};
use crate::skips::Reader;

pub(crate) use self::provenance::recipe;
pub use self::layers::LayerReport;
pub use self::report::Report;
pub use self::request::Request;
pub(crate) use self::request::lacks_processor;

/// Converts.
///
/// # Errors
/// A checkpoint that cannot be used (bad input), an output that cannot be written.
pub fn convert(request: &Request) -> Result<Report, Failure> {
    let calibrate = request.calibrate.iter().map(|source| &source.path);
    let mut outputs = Outputs::made_from(calibrate.chain(&request.processor_config));
    outputs.file(&request.output)?;
    let folder = &hub::resolve(&request.checkpoint)?;
    let config = ImageGptConfig::from_file(folder.join("config.json")).bad_input()?;
    let task = request
        .task
        .or_else(|| Task::of_architectures(&config.architectures))
        .ok_or_else(|| {
            Failure::BadInput(anyhow!(
                "{}: architectures is {:?}, which names no ImageGPT class: say --task",
                folder.join("config.json").display(),
                config.architectures
            ))
        })?;
    if task == Task::Causal {
        let file = folder.join("config.json");
        let checked = config.check_causal();
        checked
            .with_context(|| file.display().to_string())
            .bad_input()?;
    }
    let (preprocessor, because) = preprocessor::read(request, folder, &config)?.unzip();
    if preprocessor.is_none() && !request.tokens_only {
        without_processor(request, task)?;
    }
    let checkpoint = Checkpoint::open(folder).bad_input()?;
    let configs = ["config.json", "preprocessor_config.json"].map(|name| folder.join(name));
    let inputs = checkpoint.files();
    output::refuse_inputs(
        &request.output,
        inputs.chain(configs.iter().map(PathBuf::as_path)),
    )?;
    expected::check(&checkpoint, &config, expected::Head::of(task))
        .map_err(|error| {
            head_is_missing(request, task, &checkpoint, &config).unwrap_or(error.into())
        })
        .bad_input()?;

    let bar = ProgressBar::new(checkpoint.file_bytes());
    // indicatif draws on standard error, and only if that is a terminal.
    let style =
        ProgressStyle::with_template("{msg:12} {wide_bar} {bytes}/{total_bytes} {eta}").failed()?;
    bar.set_style(style);
    bar.set_message("checksums");
    let source =
        source(&source_name(&request.checkpoint, folder), &checkpoint, &bar).bad_input()?;
    bar.reset();
    bar.set_message("quantising");
    let mut reader = Reader::new(request.bad_pictures, &bar);
    let images = calibration_images(request, task, &config, preprocessor.as_ref(), &mut reader)?;
    let provenance = Provenance {
        preprocessor,
        recipe: recipe(request.dtype, images.as_ref()),
        source,
    };
    let model = Model {
        task,
        config: &config,
        checkpoint: &checkpoint,
        images: images.as_ref(),
    };
    let report = file::write(request, &model, &provenance, &bar)?;
    bar.finish_and_clear();
    let read = images.is_some().then_some(1);
    Ok(Report {
        processor_because: because,
        skips: read.map(|read| reader.end(read)).transpose()?,
        ..report
    })
}

/// The images to calibrate on, if any.
fn calibration_images(
    request: &Request,
    task: Task,
    config: &ImageGptConfig,
    preprocessor: Option<&Preprocessor>,
    reader: &mut Reader,
) -> Result<Option<ImageSet>, Failure> {
    let Some(source) = &request.calibrate else {
        return Ok(None);
    };
    let processor = preprocessor.map(load_processor).transpose().bad_input()?;
    let causal = task == Task::Causal;
    calibration::read_images(source, config, processor.as_ref(), causal, reader).map(Some)
}
