//! What is measured: a model file as it is, a checkpoint folder quantised now, or random weights.

use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use clap::ValueEnum;
use igpt_runtime::{ImageGptConfig, ImageGptImageProcessor, ModelConfig, SegformerConfig};
use tempfile::NamedTempFile;

use super::random::RandomWeights;
use crate::conversion::steps;
use crate::failure::{Blame as _, Failure};
use crate::onnx::{self, Dtype, Form, Preprocessor, Provenance, Task, WriteError};
use crate::segformer::SizedModel;
use crate::segformer::prepared::{PreparedWeights, Rescaling};
use crate::source::ModelSource;

/// The sizes of the ImageGPT paper, and of the Mix Transformers.
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
    /// A Mix Transformer, SegFormer's encoder, as a classifier of 1000 classes: 3.6 M.
    MitB0,
    /// 13.7 M.
    MitB1,
    /// 24.7 M.
    MitB2,
    /// 44.6 M.
    MitB3,
    /// 61.4 M.
    MitB4,
    /// 82.0 M.
    MitB5,
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
    pub(super) config: ModelConfig,
    /// Height and width of the pictures of a Mix Transformer.
    pub(super) image: (usize, usize),
    pub(super) seed: u64,
    pub(super) dtype: Dtype,
    /// How its pictures become tokens, if any are shown to it.
    pub(super) processor: Option<Arc<ImageGptImageProcessor>>,
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
            Self::Small => "ImageGPT-small",
            Self::Medium => "ImageGPT-medium",
            Self::Large => "ImageGPT-large",
            Self::Xl => "ImageGPT-xl",
            Self::MitB0 => "MiT-b0",
            Self::MitB1 => "MiT-b1",
            Self::MitB2 => "MiT-b2",
            Self::MitB3 => "MiT-b3",
            Self::MitB4 => "MiT-b4",
            Self::MitB5 => "MiT-b5",
        }
    }

    /// The configuration, with another number of blocks if one is given.
    ///
    /// # Errors
    /// Blocks of a Mix Transformer, whose stages have some each.
    pub(super) fn config(self, layers: Option<usize>) -> Result<ModelConfig, Failure> {
        let imagegpt = |mut config: ImageGptConfig| {
            config.n_layer = layers.unwrap_or(config.n_layer);
            Ok(config.into())
        };
        let mut config = match self {
            Self::Small => return imagegpt(ImageGptConfig::small()),
            Self::Medium => return imagegpt(ImageGptConfig::medium()),
            Self::Large => return imagegpt(ImageGptConfig::large()),
            Self::Xl => return imagegpt(ImageGptConfig::xl()),
            Self::MitB0 => SegformerConfig::b0(),
            Self::MitB1 => SegformerConfig::b1(),
            Self::MitB2 => SegformerConfig::b2(),
            Self::MitB3 => SegformerConfig::b3(),
            Self::MitB4 => SegformerConfig::b4(),
            Self::MitB5 => SegformerConfig::b5(),
        };
        if layers.is_some() {
            let name = self.name();
            return Err(anyhow!(
                "--layers: the stages of {name} have blocks each; it is for the sizes of ImageGPT"
            ))
            .misused();
        }
        // ImageNet's.
        config.id2label = (0..1000).map(|class| format!("LABEL_{class}")).collect();
        Ok(config.into())
    }
}

impl Source {
    /// What to call it.
    pub(super) fn name(&self) -> String {
        match self {
            Self::File(path) | Self::Checkpoint(path, _) => path.display().to_string(),
            Self::Random(random) => {
                let (name, seed) = (random.size.name(), random.seed);
                let shape = match &random.config {
                    ModelConfig::ImageGpt(config) => format!(", {} blocks", config.n_layer),
                    // Their number follows from the name, and the report has the size.
                    _ => String::new(),
                };
                format!("random weights of {name}{shape}, seed {seed}")
            }
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
        let provenance = Provenance {
            preprocessor: self.processor.as_ref().map(|processor| Preprocessor {
                json: processor.to_json(),
                backend: processor.config().backend,
            }),
            recipe: "{}".into(),
            source: "{}".into(),
        };
        let mut out = BufWriter::with_capacity(1 << 20, file.as_file());
        let form = Form {
            task,
            dtype: self.dtype,
            panels: None,
            inline: false,
        };
        let written = match &self.config {
            ModelConfig::ImageGpt(config) => {
                let weights = RandomWeights::new(config, config.n_layer, self.seed);
                onnx::write(&mut out, &weights, config, form, &provenance, |_, _| {})
            }
            ModelConfig::Segformer(config) => {
                let blocks = config.depths.iter().sum();
                let weights = RandomWeights::new(config, blocks, self.seed);
                let weights = PreparedWeights::new(&weights, config, Rescaling::None);
                let design = SizedModel::new(config, self.image).bad_input()?;
                onnx::write(&mut out, &weights, &design, form, &provenance, |_, _| {})
            }
            other => return Err(steps::unknown_family(file.path(), other.model_type())),
        };
        written
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
