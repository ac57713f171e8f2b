//! Writes the file, whatever the family.

use std::io::{BufWriter, Write};

use anyhow::{Context, anyhow};
use igpt_runtime::tools::report::file_crc32;
use indicatif::ProgressBar;

use super::request::Request;
use crate::checkpoint::Weights;
use crate::failure::{Blame, Failure};
use crate::onnx::design::Design;
use crate::onnx::{self, Form, Provenance, TensorReport, WriteError};
use crate::output::Staged;

/// A file that was written.
pub(crate) struct Written {
    /// What became of each tensor.
    pub(crate) tensors: Vec<TensorReport>,
    /// Size in bytes.
    pub(crate) bytes: u64,
    /// Its checksum, unless it went into a pipe, which cannot be read again.
    pub(crate) crc32: Option<u32>,
}

impl Written {
    /// Parameters of the model, head included.
    pub(crate) fn parameters(&self) -> u64 {
        let tensors = self.tensors.iter();
        tensors
            .map(|t| t.shape.iter().product::<usize>() as u64)
            .sum()
    }
}

/// Writes beside the output and renames: a failed conversion leaves no half file, and no reader of an
/// older file is disturbed.
pub(crate) fn write(
    request: &Request,
    form: Form,
    design: &impl Design,
    weights: &impl Weights,
    provenance: &Provenance,
    bar: &ProgressBar,
) -> Result<Written, Failure> {
    let at = || request.output.display().to_string();
    let staged = Staged::create(&request.output).with_context(at).failed()?;
    let progress = |bytes, total| {
        bar.set_length(total);
        bar.inc(bytes);
    };
    let mut out = BufWriter::with_capacity(1 << 20, staged.file());
    let written = onnx::write(&mut out, weights, design, form, provenance, progress)
        .and_then(|done| out.flush().map_err(WriteError::from).map(|()| done))
        .map_err(|error| match error {
            WriteError::Checkpoint(error) => Failure::BadInput(error.into()),
            error => Failure::Failed(anyhow!(error).context(at())),
        });
    drop(out);
    let (tensors, bytes) = written?;
    staged.finish().with_context(at).failed()?;
    let crc32 = request
        .output
        .is_file()
        .then(|| file_crc32(&request.output).ok());
    Ok(Written {
        tensors,
        bytes,
        crc32: crc32.flatten(),
    })
}
