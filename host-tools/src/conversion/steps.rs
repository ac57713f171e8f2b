//! What every family's conversion does in the same way.

use std::path::{Path, PathBuf};

use anyhow::anyhow;
use indicatif::{ProgressBar, ProgressStyle};

use super::provenance::{source, source_name};
use super::request::Request;
use crate::checkpoint::Checkpoint;
use crate::failure::{Blame, Failure};
use crate::onnx::Task;
use crate::output;

/// The task asked for, or that of the class which the checkpoint was saved from.
pub(crate) fn task(
    request: &Request,
    folder: &Path,
    architectures: &[String],
    family: &str,
) -> Result<Task, Failure> {
    let task = request
        .task
        .or_else(|| Task::of_architectures(architectures));
    task.ok_or_else(|| {
        Failure::BadInput(anyhow!(
            "{}: architectures is {architectures:?}, which names no {family} class: say --task",
            folder.join("config.json").display(),
        ))
    })
}

/// The weights, after checking that they are not what is to be written over.
pub(crate) fn open(request: &Request, folder: &Path) -> Result<Checkpoint, Failure> {
    let checkpoint = Checkpoint::open(folder).bad_input()?;
    let configs = ["config.json", "preprocessor_config.json"].map(|name| folder.join(name));
    let inputs = checkpoint.files();
    output::refuse_inputs(
        &request.output,
        inputs.chain(configs.iter().map(PathBuf::as_path)),
    )?;
    Ok(checkpoint)
}

/// The bar, and `igpt.source` after its first round.
pub(crate) fn checksums(
    request: &Request,
    folder: &Path,
    checkpoint: &Checkpoint,
) -> Result<(ProgressBar, String), Failure> {
    let bar = ProgressBar::new(checkpoint.file_bytes());
    // indicatif draws on standard error, and only if that is a terminal.
    let style =
        ProgressStyle::with_template("{msg:12} {wide_bar} {bytes}/{total_bytes} {eta}").failed()?;
    bar.set_style(style);
    bar.set_message("checksums");
    let source = source(&source_name(&request.checkpoint, folder), checkpoint, &bar).bad_input()?;
    bar.reset();
    bar.set_message("quantising");
    Ok((bar, source))
}

/// A family that the runtime reads and nothing here converts.
pub(crate) fn unknown_family(folder: &Path, model_type: &str) -> Failure {
    Failure::BadInput(anyhow!(
        "{}: model_type is {model_type:?}, which this program does not convert",
        folder.join("config.json").display()
    ))
}
