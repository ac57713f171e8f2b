//! `ImageGptForImageClassification`: tokens in, labelled scores out; and its session, which reuses what did
//! not change.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use igpt_kernels::{Isa, KV_TILE};

use super::model::ImageGptModel;
use crate::classification::{Classification, Meaning};
use crate::config::{ImageGptConfig, ProblemType};
use crate::error::{Error, FormatError};
use crate::image::DecodedImage;
use crate::kind::Task;
use crate::model::State;
use crate::ops::op::{run_once, truncate};
use crate::options::LoadOptions;
use crate::processor::ImageGptImageProcessor;

/// Hugging Face's class of that name: mean pooling over all tokens after `ln_f`, then `score`.
#[derive(Debug)]
pub struct ImageGptForImageClassification {
    shared: Arc<Shared>,
}

/// What a classifier and its sessions have in common.
#[derive(Debug)]
struct Shared {
    model: ImageGptModel,
    processor: Arc<ImageGptImageProcessor>,
    meaning: Meaning,
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
        Ok(Session {
            state: self.shared.spawn()?,
            shared: self.shared.clone(),
            tokens: Vec::new(),
            logits: Vec::new(),
            kept: false,
        })
    }
}

impl TryFrom<ImageGptModel> for ImageGptForImageClassification {
    type Error = Error;

    fn try_from(model: ImageGptModel) -> Result<Self, Error> {
        if model.core.task != Task::Classify {
            return Err(Error::Task {
                found: model.core.task,
                name: model.core.name,
                expected: &[Task::Classify],
            });
        }
        let Some(processor) = model.processor.clone() else {
            return Err(Error::Format {
                name: model.core.name,
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

impl Shared {
    fn spawn(&self) -> Result<State, Error> {
        self.model.spawn()
    }
}

/// Classifies one image after another. What begins like the image before is not computed again, with exactly
/// the result of a fresh session.
///
/// Keys and values are worth keeping for such a stream only: ImageGPT-small's are 25 MiB, and writing them
/// costs a twentieth of a pass. So an image keeps them if it begins like the one before, and the next may use
/// them; a camera's noise never pays.
#[derive(Debug)]
pub struct Session {
    shared: Arc<Shared>,
    state: State,
    tokens: Vec<u16>,
    logits: Vec<f32>,
    /// Whether the last image left its keys and values.
    kept: bool,
}

impl Session {
    /// Classifies one RGB8 picture, `width * height * 3` bytes, of any size.
    ///
    /// # Errors
    /// On a picture that does not have that many bytes; otherwise as [`Session::classify`].
    pub fn classify_rgb8(
        &mut self,
        rgb: &[u8],
        width: usize,
        height: usize,
    ) -> Result<Classification, Error> {
        let tokens = self.shared.processor.tokens_from_rgb8(rgb, width, height);
        let tokens = tokens.map_err(|source| Error::Processor {
            name: self.shared.model.core.name.clone(),
            source,
        })?;
        self.classify(&tokens)
    }

    /// Classifies a decoded image.
    ///
    /// # Errors
    /// As [`Session::classify`].
    pub fn classify_image(&mut self, image: &DecodedImage) -> Result<Classification, Error> {
        self.classify_rgb8(image.rgb(), image.width(), image.height())
    }

    /// Classifies the tokens of one image.
    ///
    /// # Errors
    /// On tokens that do not fit the model, or activations that overflow; the session then starts afresh.
    pub fn classify(&mut self, tokens: &[u16]) -> Result<Classification, Error> {
        let model = &self.shared.model;
        model.check_tokens(tokens)?;
        let common = self.tokens.iter().zip(tokens);
        let common = common.take_while(|(a, b)| a == b).count();
        let mut reused = common;
        if common < tokens.len() || common < self.tokens.len() || self.logits.is_empty() {
            // Whole tiles only, and at least the last token is computed: the head adds tile sums.
            let shared = common.min(tokens.len() - 1) / KV_TILE * KV_TILE;
            reused = if self.kept { shared } else { 0 };
            self.kept = shared > 0;
            run_once(&mut self.state.op_states, !self.kept);
            truncate(&mut self.state.op_states, reused);
            self.tokens.clear();
            match model.run(&mut self.state, &tokens[reused..]) {
                Ok(outputs) => self.logits = outputs.into_iter().next().unwrap_or_default(),
                Err(e) => {
                    // tract leaves a failed run's state half done.
                    self.state = self.shared.spawn()?;
                    self.kept = false;
                    self.logits.clear();
                    return Err(e);
                }
            }
            self.tokens.extend_from_slice(tokens);
        }
        let meaning = &self.shared.meaning;
        Ok(meaning.classification(self.logits.clone(), reused))
    }
}
