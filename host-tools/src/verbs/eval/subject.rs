//! A model file under measurement: what it is, and its logits for one image.

use std::path::{Path, PathBuf};
use std::time::Instant;

use igpt_runtime::Task;
use igpt_runtime::processor::Backend;
use igpt_runtime::tools::report::RunReport;
use igpt_runtime::{Error, ImageGptImageProcessor, ImageGptModel, LoadOptions, ProblemType};
use serde_json::Value;

use super::error::EvalError;
use crate::failure::{Blame, Failure};
use crate::onnx::Dtype;
use crate::source::ModelSource;
use crate::verbs::{describe_run, load_model};

/// A loaded model with a head and an image processor.
#[derive(Debug)]
pub(super) struct Subject {
    /// As the user named it.
    pub(super) file: PathBuf,
    pub(super) model: ImageGptModel,
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
    /// Loads a file, or a checkpoint that is converted to `dtype` first, for this image processor if one is
    /// given.
    ///
    /// # Errors
    /// One that cannot be used (bad input).
    pub(super) fn load(
        file: &Path,
        task: Option<Task>,
        dtype: Dtype,
        processor: Option<Backend>,
        options: &LoadOptions,
    ) -> Result<Self, Failure> {
        let source = ModelSource::open_as(file, task, dtype, processor)?;
        let model = load_model(source.path(), options)?;
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
        let known = match config.problem_type {
            Some(_) => "",
            None => " (one label, and no problem_type in its config)",
        };
        Err(EvalError::NotOneLabel {
            file: self.file.clone(),
            found: format!("{found}{known}"),
        })
    }

    pub(super) fn processor(&self) -> Result<&ImageGptImageProcessor, EvalError> {
        self.model
            .processor()
            .ok_or_else(|| EvalError::NoProcessor {
                file: self.file.clone(),
            })
    }

    /// What reports say of it.
    pub(super) fn describe(&self) -> RunReport {
        describe_run(&self.model, &self.file, self.source.path())
    }

    /// Whether it predicts tokens, not classes.
    pub(super) fn is_causal(&self) -> bool {
        self.model.task() == Task::Causal
    }

    /// What to convert a checkpoint to that is held against this.
    pub(super) fn conversion(&self) -> Task {
        self.model.task()
    }

    /// What is fed for an image's tokens: a language model sees the start token first, and never the last
    /// token.
    pub(super) fn input(&self, tokens: &[u16]) -> Vec<u16> {
        if !self.is_causal() {
            return tokens.to_vec();
        }
        let before = tokens.iter().take(tokens.len().saturating_sub(1));
        std::iter::once(self.model.config().sos_token())
            .chain(before.copied())
            .collect()
    }

    /// The logits for an input, and the seconds that took.
    ///
    /// # Errors
    /// Tokens that do not fit the model, activations that overflow.
    pub(super) fn logits(&self, input: &[u16]) -> Result<(Logits, f64), Error> {
        let start = Instant::now();
        let values = self.model.logits(input)?;
        let seconds = start.elapsed().as_secs_f64();
        let config = self.model.config();
        let columns = if self.is_causal() {
            config.num_colors()
        } else {
            config.num_labels()
        };
        Ok((Logits { values, columns }, seconds))
    }

    /// Whether another model has as many layers of the same width, so that they can be compared one by one.
    pub(super) fn same_layers(&self, other: &Self) -> bool {
        let shape = |subject: &Self| {
            let config = subject.model.config();
            (config.n_layer, config.n_embd)
        };
        shape(self) == shape(other)
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
        let (ours, theirs) = (self.processor()?.config(), other.processor()?.config());
        let size = |p: &igpt_runtime::ProcessorConfig| format!("{} x {}", p.width, p.height);
        if size(ours) != size(theirs) {
            return differs("the image size", size(theirs), size(ours));
        }
        let colors = (ours.clusters.len(), theirs.clusters.len());
        if colors.0 != colors.1 {
            let count = |n| format!("of {n} colours");
            return differs("the palette", count(colors.1), count(colors.0));
        }
        let mut pairs = ours.clusters.iter().zip(&theirs.clusters).enumerate();
        if let Some((index, (our, their))) = pairs.find(|(_, (a, b))| a != b) {
            let field = format!("colour {index} of the palette");
            return differs(&field, format!("{their:?}"), format!("{our:?}"));
        }
        if let Some((option, our, their)) = self.differing_option(other)? {
            let field = format!("{option} of the image processor");
            return differs(&field, their, our);
        }
        if self.is_causal() {
            let (our, their) = (
                self.model.config().vocab_size,
                other.model.config().vocab_size,
            );
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
            Ok(serde_json::from_str(&subject.processor()?.to_json()).unwrap_or_default())
        };
        let theirs = options(other)?;
        let mut ours = options(self)?.into_iter();
        Ok(ours.find_map(|(option, our)| {
            let their = theirs.get(&option).cloned().unwrap_or_default();
            (our != their).then(|| (option, our.to_string(), their.to_string()))
        }))
    }
}
