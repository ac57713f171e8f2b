//! From an ImageGPT's checkpoint to one ONNX file.

use std::path::Path;

use anyhow::{Context, anyhow};
use igpt_runtime::ImageGptConfig;
use igpt_runtime::tools::report::ModelReport;

use super::calibration::{self, ImageSet};
use super::prepared::PreparedWeights;
use super::preprocessor::{self, load_processor};
use super::refusals::{head_is_missing, without_processor};
use crate::checkpoint::expected;
use crate::conversion::file;
use crate::conversion::provenance::recipe;
use crate::conversion::report::Report;
use crate::conversion::request::Request;
use crate::conversion::steps;
use crate::failure::{Blame, Failure};
use crate::onnx::{Dtype, Form, Preprocessor, Provenance, Task};
use crate::quantization::Grid;
use crate::skips::Reader;

/// Converts the checkpoint in `folder`, whose configuration this is.
pub(crate) fn convert(
    request: &Request,
    folder: &Path,
    config: &ImageGptConfig,
) -> Result<Report, Failure> {
    if request.size.is_some() {
        return Err(anyhow!(
            "--size: {} is an ImageGPT, which reads as many pixels as its preprocessor_config.json says; give another \
             one with --processor-config FILE.json",
            request.checkpoint.display()
        ))
        .misused();
    }
    let task = steps::task(request, folder, &config.architectures, "ImageGPT")?;
    if task == Task::Causal {
        let file = folder.join("config.json");
        let checked = config.check_causal();
        checked
            .with_context(|| file.display().to_string())
            .bad_input()?;
    }
    let (preprocessor, because) = preprocessor::read(request, folder, config)?.unzip();
    if preprocessor.is_none() && !request.tokens_only {
        without_processor(request, task)?;
    }
    let checkpoint = steps::open(request, folder)?;
    expected::check(&checkpoint, config, expected::Head::of(task))
        .map_err(|error| {
            head_is_missing(request, task, &checkpoint, config).unwrap_or(error.into())
        })
        .bad_input()?;

    let (bar, source) = steps::checksums(request, folder, &checkpoint)?;
    let mut reader = Reader::new(request.bad_pictures, &bar);
    let images = calibration_images(request, task, config, preprocessor.as_ref(), &mut reader)?;
    let provenance = Provenance {
        preprocessor,
        recipe: recipe(request.dtype, images.as_ref().map(ImageSet::summary)),
        source,
    };
    let form = Form {
        task,
        dtype: request.dtype,
        panels: request.pack,
        inline: request.inline,
    };
    let grid = match request.dtype {
        Dtype::F32 => None,
        Dtype::Int8 => Some(Grid::Int8),
        Dtype::Int4 => Some(Grid::Int4),
    };
    let (written, layers) = match grid {
        None => {
            let written = file::write(request, form, config, &checkpoint, &provenance, &bar)?;
            (written, Vec::new())
        }
        Some(grid) => {
            let causal = task == Task::Causal;
            let prepared = PreparedWeights::new(&checkpoint, config, causal, grid, images.as_ref());
            let prepared = prepared.bad_input()?;
            let written = file::write(request, form, config, &prepared, &provenance, &bar)?;
            (written, prepared.into_reports())
        }
    };
    bar.finish_and_clear();
    let preprocessor = provenance.preprocessor.as_ref();
    let processor = preprocessor.and_then(|found| load_processor(found).ok());
    let read = images.is_some().then_some(1);
    Ok(Report {
        model: ModelReport::new(
            (task, request.dtype),
            config,
            processor.as_ref(),
            Some(&request.output),
            written.crc32,
        ),
        processor_because: because,
        inline: request.inline,
        panels: request.pack.map(|panels| panels.to_string()),
        file_bytes: written.bytes,
        parameters: written.parameters(),
        tensors: written.tensors,
        takes_images: preprocessor.is_some(),
        layers,
        skips: read.map(|read| reader.end(read)).transpose()?,
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
