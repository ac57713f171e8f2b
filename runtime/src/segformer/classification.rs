//! `SegformerForImageClassification`: an image in, labelled scores out; and its session, which keeps its buffers.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use igpt_kernels::Isa;

use super::model::SegformerModel;
use super::processor::SegformerImageProcessor;
use crate::classification::{Classification, Meaning};
use crate::config::{ProblemType, SegformerConfig};
use crate::error::{Error, FormatError};
use crate::image::DecodedImage;
use crate::kind::Task;
use crate::model::State;
use crate::options::LoadOptions;
use crate::processor::ProcessorScratch;

/// Hugging Face's class of that name: the mean of the last stage's map, then `classifier`.
#[derive(Debug)]
pub struct SegformerForImageClassification {
    shared: Arc<Shared>,
}

/// What a classifier and its sessions have in common.
#[derive(Debug)]
struct Shared {
    model: SegformerModel,
    processor: Arc<SegformerImageProcessor>,
    meaning: Meaning,
}

impl SegformerForImageClassification {
    /// Loads a file made with `--task classify`.
    ///
    /// # Errors
    /// If it cannot be loaded, is of another family or for another task, or has no image processor.
    pub fn load(path: impl AsRef<Path>, options: &LoadOptions) -> Result<Self, Error> {
        SegformerModel::load(path, options)?.try_into()
    }

    /// Loads a file that is in memory.
    ///
    /// # Errors
    /// As [`SegformerForImageClassification::load`].
    pub fn from_bytes(bytes: impl Into<Bytes>, options: &LoadOptions) -> Result<Self, Error> {
        SegformerModel::from_bytes(bytes, options)?.try_into()
    }

    /// The model behind the head.
    #[must_use]
    pub fn model(&self) -> &SegformerModel {
        &self.shared.model
    }

    /// The configuration; `labels()` has the class names.
    #[must_use]
    pub fn config(&self) -> &SegformerConfig {
        self.model().config()
    }

    /// What its logits mean.
    #[must_use]
    pub fn problem_type(&self) -> ProblemType {
        self.shared.meaning.problem_type
    }

    /// The image processor.
    #[must_use]
    pub fn processor(&self) -> &SegformerImageProcessor {
        &self.shared.processor
    }

    /// The instruction set in use.
    #[must_use]
    pub fn isa(&self) -> Isa {
        self.model().isa()
    }

    /// A session, with buffers of its own. It keeps the model alive, and may go to another thread.
    ///
    /// # Errors
    /// If tract cannot set it up.
    pub fn session(&self) -> Result<SegformerSession, Error> {
        Ok(SegformerSession {
            state: self.shared.model.spawn()?,
            shared: self.shared.clone(),
            scratch: ProcessorScratch::default(),
            last: Vec::new(),
            logits: Vec::new(),
        })
    }
}

impl TryFrom<SegformerModel> for SegformerForImageClassification {
    type Error = Error;

    fn try_from(model: SegformerModel) -> Result<Self, Error> {
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

/// Classifies one image after another. An image that becomes the same pixels as the one before is not computed again.
#[derive(Debug)]
pub struct SegformerSession {
    shared: Arc<Shared>,
    state: State,
    scratch: ProcessorScratch,
    /// The resized image before, and its logits; empty if there is none.
    last: Vec<u8>,
    logits: Vec<f32>,
}

impl SegformerSession {
    /// Classifies one RGB8 picture, `width * height * 3` bytes, of any size.
    ///
    /// # Errors
    /// On a picture that does not have that many bytes, or activations that overflow.
    pub fn classify_rgb8(
        &mut self,
        rgb: &[u8],
        width: usize,
        height: usize,
    ) -> Result<Classification, Error> {
        let Shared {
            model,
            processor,
            meaning,
        } = self.shared.as_ref();
        let resized = processor.resized_into(rgb, width, height, &mut self.scratch);
        let resized = resized.map_err(|source| Error::Processor {
            name: model.core.name.clone(),
            source,
        })?;
        if self.logits.is_empty() || self.last != resized {
            self.logits.clear();
            let input = model.filled(|values| processor.values_into(resized, values))?;
            match model.core.run(&mut self.state, input) {
                Ok(mut outputs) => self.logits = outputs.pop().unwrap_or_default(),
                Err(error) => {
                    // tract leaves a failed run's state half done.
                    self.state = model.spawn()?;
                    return Err(error);
                }
            }
            self.last.clear();
            self.last.extend_from_slice(resized);
        }
        Ok(meaning.classification(self.logits.clone(), None, 0, 0))
    }

    /// Classifies a decoded image.
    ///
    /// # Errors
    /// As [`SegformerSession::classify_rgb8`].
    pub fn classify_image(&mut self, image: &DecodedImage) -> Result<Classification, Error> {
        self.classify_rgb8(image.rgb(), image.width(), image.height())
    }
}
