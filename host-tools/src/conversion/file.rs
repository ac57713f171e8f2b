//! Writes the file, and tells what became of each tensor.

use std::io::{BufWriter, Write};

use anyhow::{Context, anyhow};
use igpt_runtime::ImageGptConfig;
use igpt_runtime::tools::report::{ModelReport, file_crc32};
use indicatif::ProgressBar;

use super::preprocessor::load_processor;
use super::report::Report;
use super::request::Request;
use crate::calibration::ImageSet;
use crate::checkpoint::Checkpoint;
use crate::failure::{Blame, Failure};
use crate::onnx::{self, Dtype, Form, Provenance, Task, WriteError};
use crate::output::Staged;
use crate::imagegpt::prepared::PreparedWeights;
use crate::quantization::Grid;

/// What is converted.
pub(super) struct Model<'a> {
    pub(super) task: Task,
    pub(super) config: &'a ImageGptConfig,
    pub(super) checkpoint: &'a Checkpoint,
    /// To calibrate on, if any.
    pub(super) images: Option<&'a ImageSet>,
}

/// Writes beside the output and renames: a failed conversion leaves no half file, and no reader of an
/// older file is disturbed.
pub(super) fn write(
    request: &Request,
    model: &Model<'_>,
    provenance: &Provenance,
    bar: &ProgressBar,
) -> Result<Report, Failure> {
    let Model {
        task,
        config,
        checkpoint,
        images,
    } = *model;
    let at = || request.output.display().to_string();
    let staged = Staged::create(&request.output).with_context(at).failed()?;
    let progress = |bytes, total| {
        bar.set_length(total);
        bar.inc(bytes);
    };
    let mut out = BufWriter::with_capacity(1 << 20, staged.file());
    let form = Form {
        task,
        dtype: request.dtype,
        panels: request.pack,
        inline: request.inline,
    };
    let written = match request.dtype {
        Dtype::F32 => onnx::write(&mut out, checkpoint, config, form, provenance, progress)
            .map(|done| (done, Vec::new())),
        Dtype::Int8 | Dtype::Int4 => {
            let grid = match request.dtype {
                Dtype::Int4 => Grid::Int4,
                _ => Grid::Int8,
            };
            PreparedWeights::new(checkpoint, config, task == Task::Causal, grid, images)
                .map_err(WriteError::from)
                .and_then(|prepared| {
                    let done =
                        onnx::write(&mut out, &prepared, config, form, provenance, progress)?;
                    Ok((done, prepared.into_reports()))
                })
        }
    };
    let written = written
        .and_then(|done| out.flush().map_err(WriteError::from).map(|()| done))
        .map_err(|error| match error {
            WriteError::Checkpoint(error) => Failure::BadInput(error.into()),
            error => Failure::Failed(anyhow!(error).context(at())),
        });
    drop(out);
    let ((tensors, file_bytes), layers) = written?;
    staged.finish().with_context(at).failed()?;
    let parameters = tensors
        .iter()
        .map(|t| t.shape.iter().product::<usize>() as u64)
        .sum();
    let preprocessor = provenance.preprocessor.as_ref();
    let processor = preprocessor.and_then(|found| load_processor(found).ok());
    // What went into a pipe cannot be read again.
    let crc32 = request
        .output
        .is_file()
        .then(|| file_crc32(&request.output).ok());
    Ok(Report {
        model: ModelReport::new(
            (task, request.dtype),
            config,
            processor.as_ref(),
            Some(&request.output),
            crc32.flatten(),
        ),
        processor_because: None,
        inline: request.inline,
        panels: request.pack.map(|panels| panels.to_string()),
        file_bytes,
        parameters,
        tensors,
        takes_images: provenance.preprocessor.is_some(),
        layers,
        skips: None,
    })
}
