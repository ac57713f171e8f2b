//! `ImageGptForImageClassification`: tokens in, labelled scores out.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use igpt_kernels::Isa;

use super::model::ImageGptModel;
use super::session::Session;
use super::shared::Shared;
use super::stages::Stages;
use crate::classification::Meaning;
use crate::config::{ImageGptConfig, ProblemType};
use crate::error::{Error, FormatError};
use crate::kind::Task;
use crate::options::LoadOptions;
use crate::processor::ImageGptImageProcessor;

/// Hugging Face's class of that name: mean pooling over all tokens after `ln_f`, then `score`.
#[derive(Debug)]
pub struct ImageGptForImageClassification {
    shared: Arc<Shared>,
}

impl ImageGptForImageClassification {
    /// Loads a file made with `--task classify`.
    ///
    /// # Errors
    /// If it cannot be loaded, is for another task, or has no image processor.
    pub fn load(path: impl AsRef<Path>, options: &LoadOptions) -> Result<Self, Error> {
        ImageGptModel::load(path, options)?.try_into()
    }

    /// Loads a file that is in memory.
    ///
    /// # Errors
    /// As [`ImageGptForImageClassification::load`].
    pub fn from_bytes(bytes: impl Into<Bytes>, options: &LoadOptions) -> Result<Self, Error> {
        ImageGptModel::from_bytes(bytes, options)?.try_into()
    }

    /// The model behind the head.
    #[must_use]
    pub fn model(&self) -> &ImageGptModel {
        &self.shared.model
    }

    /// The configuration; `labels()` has the class names.
    #[must_use]
    pub fn config(&self) -> &ImageGptConfig {
        self.model().config()
    }

    /// What its logits mean.
    #[must_use]
    pub fn problem_type(&self) -> ProblemType {
        self.shared.meaning.problem_type
    }

    /// The logits of every probe of the file, in the order of its exits, and then those of the whole model.
    ///
    /// # Errors
    /// On tokens that do not fit the model, or activations that overflow.
    pub fn logits_by_exit(&self, tokens: &[u16]) -> Result<Vec<Vec<f32>>, Error> {
        let model = self.model();
        model.check_tokens(tokens)?;
        let mut stages = Stages::new(model, model.exits().is_some())?;
        (0..stages.len())
            .map(|stage| Ok(stages.run(model, tokens, stage, true)?.0))
            .collect()
    }

    /// The image processor.
    #[must_use]
    pub fn processor(&self) -> &ImageGptImageProcessor {
        &self.shared.processor
    }

    /// The instruction set in use.
    #[must_use]
    pub fn isa(&self) -> Isa {
        self.model().isa()
    }

    /// A session of its own past. It keeps the model alive, and may go to another thread.
    ///
    /// # Errors
    /// If tract cannot set it up.
    pub fn session(&self) -> Result<Session, Error> {
        Session::new(self.shared.clone())
    }
}

impl TryFrom<ImageGptModel> for ImageGptForImageClassification {
    type Error = Error;

    fn try_from(model: ImageGptModel) -> Result<Self, Error> {
        if model.core.task != Task::Classify {
            return Err(Error::Task {
                found: model.core.task,
                name: model.core.name.clone(),
                expected: &[Task::Classify],
            });
        }
        let Some(processor) = model.processor.clone() else {
            return Err(Error::Format {
                name: model.core.name.clone(),
                source: FormatError::NoProcessor,
            });
        };
        let meaning = Meaning {
            labels: model.config.labels().into(),
            problem_type: model.config.resolved_problem_type(),
        };
        Ok(Self {
            shared: Arc::new(Shared {
                model,
                processor,
                meaning,
            }),
        })
    }
}
