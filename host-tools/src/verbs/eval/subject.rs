//! A model file under measurement: what it is, and its logits for one image.

use std::path::{Path, PathBuf};
use std::time::Instant;

use igpt_runtime::Task;
use igpt_runtime::tools::report::RunReport;
use igpt_runtime::{AutoImageProcessor, AutoModel, Error, LoadOptions, ModelConfig, ProblemType};
use serde_json::Value;

use super::error::EvalError;
use crate::failure::{Blame, Failure};
use crate::loaded::{Input, LoadedModel};
use crate::onnx::Dtype;
use crate::source::ModelSource;
use crate::verbs::describe_run;

/// A loaded model with a head and an image processor.
#[derive(Debug)]
pub(super) struct Subject {
    /// As the user named it.
    pub(super) file: PathBuf,
    pub(super) model: LoadedModel,
    /// A converted checkpoint's file lives as long as this.
    source: ModelSource,
}

/// The logits of an image's predictions, one row each.
#[derive(Debug)]
pub(super) struct Logits {
    values: Vec<f32>,
    columns: usize,
}

impl Logits {
    pub(super) fn rows(&self) -> impl Iterator<Item = &[f32]> {
        self.values.chunks_exact(self.columns.max(1))
    }
}

impl Subject {
    /// Loads a file, or a checkpoint that is converted to `dtype` first, for the image processor of another subject if
    /// one is given: it may have been chosen for that.
    ///
    /// # Errors
    /// One that cannot be used (bad input).
    pub(super) fn load(
        file: &Path,
        task: Option<Task>,
        dtype: Dtype,
        like: Option<&Subject>,
        options: &LoadOptions,
    ) -> Result<Self, Failure> {
        let processor = like.map(|like| like.processor().map(|found| found.backend()));
        let processor = processor.transpose().bad_input()?;
        let size = like.and_then(Self::pixels);
        let source = ModelSource::open_as(file, task, dtype, processor, size)?;
        let model = LoadedModel::load(source.path(), options)?;
        let subject = Self {
            file: file.to_owned(),
            model,
            source,
        };
        if subject.model.task() == Task::Features {
            return Err(EvalError::NoHead {
                file: subject.file,
                found: Task::Features.name(),
            })
            .bad_input();
        }
        subject.check_problem().bad_input()?;
        subject.processor().bad_input()?;
        Ok(subject)
    }

    /// Refuses a classifier whose images have no single right label.
    fn check_problem(&self) -> Result<(), EvalError> {
        let config = self.model.config();
        let found = config.resolved_problem_type();
        if self.is_causal() || found == ProblemType::SingleLabel {
            return Ok(());
        }
        let known = match config.problem_type() {
            Some(_) => "",
            None => " (one label, and no problem_type in its config)",
        };
        Err(EvalError::NotOneLabel {
            file: self.file.clone(),
            found: format!("{found}{known}"),
        })
    }

    /// Height and width of what a SegFormer reads.
    fn pixels(&self) -> Option<(usize, usize)> {
        match self.model.model() {
            AutoModel::Segformer(model) => Some(model.size()),
            _ => None,
        }
    }

    pub(super) fn processor(&self) -> Result<AutoImageProcessor<'_>, EvalError> {
        self.model
            .processor()
            .ok_or_else(|| EvalError::NoProcessor {
                file: self.file.clone(),
            })
    }

    /// Its model file.
    pub(super) fn path(&self) -> &Path {
        self.source.path()
    }

    /// What reports say of it.
    pub(super) fn describe(&self) -> RunReport {
        describe_run(self.model.model(), &self.file, self.source.path())
    }

    /// Whether it predicts tokens, not classes.
    pub(super) fn is_causal(&self) -> bool {
        self.model.task() == Task::Causal
    }

    /// What to convert a checkpoint to that is held against this.
    pub(super) fn conversion(&self) -> Task {
        self.model.task()
    }

    /// What is fed for what is read of an image: a language model sees the start token first, and never the last
    /// token.
    pub(super) fn input(&self, read: &Input) -> Input {
        let (ModelConfig::ImageGpt(config), Input::Tokens(tokens)) = (self.model.config(), read)
        else {
            return read.clone();
        };
        if !self.is_causal() {
            return read.clone();
        }
        let before = tokens.iter().take(tokens.len().saturating_sub(1));
        let start = std::iter::once(config.sos_token());
        Input::Tokens(start.chain(before.copied()).collect())
    }

    /// The logits for an input, and the seconds that took.
    ///
    /// # Errors
    /// An input that does not fit the model, activations that overflow.
    pub(super) fn logits(&self, input: &Input) -> Result<(Logits, f64), Error> {
        let start = Instant::now();
        let values = self.model.logits(input)?;
        let seconds = start.elapsed().as_secs_f64();
        let columns = self.model.columns();
        Ok((Logits { values, columns }, seconds))
    }

    /// Whether another model has as many layers of the same width, so that they can be compared one by one.
    pub(super) fn same_layers(&self, other: &Self) -> bool {
        self.model.widths() == other.model.widths()
    }

    /// Refuses another model whose predictions are of something else: another task, palette, image size or
    /// set of labels.
    pub(super) fn check_comparable(&self, other: &Self) -> Result<(), EvalError> {
        let differs = |field: &str, found: String, expected: String| {
            Err(EvalError::Differs {
                file: self.file.clone(),
                against: other.file.clone(),
                field: field.to_owned(),
                found,
                expected,
            })
        };
        let (ours, theirs) = (self.model.task().name(), other.model.task().name());
        if ours != theirs {
            return differs("task", theirs.into(), ours.into());
        }
        let (ours, theirs) = (
            self.model.config().model_type(),
            other.model.config().model_type(),
        );
        if ours != theirs {
            return differs("model_type", theirs.into(), ours.into());
        }
        let (ours, theirs) = (self.processor()?, other.processor()?);
        let size = |p: &AutoImageProcessor<'_>| format!("{} x {}", p.size().1, p.size().0);
        if size(&ours) != size(&theirs) {
            return differs("the image size", size(&theirs), size(&ours));
        }
        let (ours, theirs) = (clusters(&ours), clusters(&theirs));
        let colors = (ours.len(), theirs.len());
        if colors.0 != colors.1 {
            let count = |n| format!("of {n} colours");
            return differs("the palette", count(colors.1), count(colors.0));
        }
        let mut pairs = ours.iter().zip(theirs).enumerate();
        if let Some((index, (our, their))) = pairs.find(|(_, (a, b))| a != b) {
            let field = format!("colour {index} of the palette");
            return differs(&field, format!("{their:?}"), format!("{our:?}"));
        }
        if let Some((option, our, their)) = self.differing_option(other)? {
            let field = format!("{option} of the image processor");
            return differs(&field, their, our);
        }
        if self.is_causal() {
            let (our, their) = (self.model.columns() + 1, other.model.columns() + 1);
            return match our == their {
                true => Ok(()),
                false => differs("vocab_size", their.to_string(), our.to_string()),
            };
        }
        let (ours, theirs) = (self.model.config().labels(), other.model.config().labels());
        if ours.len() != theirs.len() {
            let count = |n: usize| n.to_string();
            return differs(
                "the number of classes",
                count(theirs.len()),
                count(ours.len()),
            );
        }
        let mut pairs = ours.iter().zip(theirs).enumerate();
        match pairs.find(|(_, (a, b))| a != b) {
            Some((index, (our, their))) => differs(
                &format!("label {index}"),
                format!("{their:?}"),
                format!("{our:?}"),
            ),
            None => Ok(()),
        }
    }

    /// The first of the image processor's options in which another model differs: its name, ours, theirs.
    fn differing_option(
        &self,
        other: &Self,
    ) -> Result<Option<(String, String, String)>, EvalError> {
        let options = |subject: &Self| -> Result<serde_json::Map<String, Value>, EvalError> {
            let json = match subject.processor()? {
                AutoImageProcessor::ImageGpt(processor) => processor.to_json(),
                AutoImageProcessor::Segformer(processor) => processor.to_json(),
                _ => String::new(),
            };
            Ok(serde_json::from_str(&json).unwrap_or_default())
        };
        let theirs = options(other)?;
        let mut ours = options(self)?.into_iter();
        Ok(ours.find_map(|(option, our)| {
            let their = theirs.get(&option).cloned().unwrap_or_default();
            (our != their).then(|| (option, our.to_string(), their.to_string()))
        }))
    }
}

/// The palette, of a processor that has one.
fn clusters<'a>(processor: &AutoImageProcessor<'a>) -> &'a [[f64; 3]] {
    match processor {
        AutoImageProcessor::ImageGpt(processor) => processor.clusters(),
        _ => &[],
    }
}
