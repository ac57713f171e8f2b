//! What is measured: a model file as it is, a checkpoint folder quantised now, or random weights.

use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use clap::ValueEnum;
use igpt_runtime::ImageGptConfig;
use tempfile::NamedTempFile;

use super::random::RandomWeights;
use crate::failure::{Blame as _, Failure};
use crate::onnx::{self, Dtype, Form, Provenance, Task, WriteError};
use crate::source::ModelSource;

/// The sizes of the ImageGPT paper.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Size {
    /// 24 blocks of 512: 76 M parameters.
    Small,
    /// 36 blocks of 1024: 455 M.
    Medium,
    /// 48 blocks of 1536: 1.4 G.
    Large,
    /// 60 blocks of 3072 over 4096 tokens: 6.8 G.
    Xl,
}

/// A model to measure.
#[derive(Clone, Debug)]
pub(super) enum Source {
    File(PathBuf),
    Checkpoint(PathBuf, Dtype),
    Random(Box<Random>),
}

/// Random weights of some shape.
#[derive(Clone, Debug)]
pub(super) struct Random {
    pub(super) size: Size,
    pub(super) config: ImageGptConfig,
    pub(super) seed: u64,
    pub(super) dtype: Dtype,
}

/// A file to load, removed when dropped if it was made here.
#[derive(Debug)]
pub(super) enum Model {
    Given(PathBuf),
    Converted(ModelSource),
    Made(NamedTempFile),
}

impl Model {
    pub(super) fn path(&self) -> &Path {
        match self {
            Self::Given(path) => path,
            Self::Converted(source) => source.path(),
            Self::Made(file) => file.path(),
        }
    }
}

impl Size {
    fn name(self) -> &'static str {
        match self {
            Self::Small => "small",
            Self::Medium => "medium",
            Self::Large => "large",
            Self::Xl => "xl",
        }
    }

    /// The configuration, with another number of blocks if one is given.
    pub(super) fn config(self, layers: Option<usize>) -> ImageGptConfig {
        let mut config = match self {
            Self::Small => ImageGptConfig::small(),
            Self::Medium => ImageGptConfig::medium(),
            Self::Large => ImageGptConfig::large(),
            Self::Xl => ImageGptConfig::xl(),
        };
        config.n_layer = layers.unwrap_or(config.n_layer);
        config
    }
}

impl Source {
    /// What to call it.
    pub(super) fn name(&self) -> String {
        match self {
            Self::File(path) | Self::Checkpoint(path, _) => path.display().to_string(),
            Self::Random(random) => format!(
                "random weights of ImageGPT-{}, {} blocks, seed {}",
                random.size.name(),
                random.config.n_layer,
                random.seed
            ),
        }
    }

    /// The file or folder that was given.
    pub(super) fn file(&self) -> Option<&Path> {
        match self {
            Self::File(path) | Self::Checkpoint(path, _) => Some(path),
            Self::Random(_) => None,
        }
    }

    /// The file to load: the one given, or one made for `task` (`None`: the checkpoint's own; a classifier,
    /// if random).
    pub(super) fn model(&self, task: Option<Task>) -> Result<Model, Failure> {
        match self {
            Self::File(path) => Ok(Model::Given(path.clone())),
            Self::Checkpoint(folder, dtype) => {
                ModelSource::open(folder, task, *dtype).map(Model::Converted)
            }
            Self::Random(random) => random.write(task.unwrap_or(Task::Classify)),
        }
    }
}

impl Random {
    fn write(&self, task: Task) -> Result<Model, Failure> {
        let file = temporary()?;
        let weights = RandomWeights::new(self.config.clone(), self.seed);
        let provenance = Provenance {
            preprocessor: None,
            recipe: "{}".into(),
            source: "{}".into(),
        };
        let mut out = BufWriter::with_capacity(1 << 20, file.as_file());
        onnx::write(
            &mut out,
            &weights,
            &self.config,
            Form {
                task,
                dtype: self.dtype,
                panels: None,
                inline: false,
            },
            &provenance,
            |_, _| {},
        )
        .and_then(|_| out.flush().map_err(WriteError::from))
        .map_err(|error| anyhow!(error).context(file.path().display().to_string()))
        .failed()?;
        drop(out);
        Ok(Model::Made(file))
    }
}

fn temporary() -> Result<NamedTempFile, Failure> {
    tempfile::Builder::new()
        .prefix("igpt-bench-")
        .suffix(".onnx")
        .tempfile()
        .with_context(|| {
            format!(
                "a temporary file in {} (TMPDIR)",
                std::env::temp_dir().display()
            )
        })
        .failed()
}
