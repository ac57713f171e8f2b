//! `ImageGptForImageClassification`: tokens in, labelled scores out; and its session, which reuses what did
//! not change.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use igpt_kernels::{Isa, KV_TILE};

use super::model::ImageGptModel;
use super::stabilizer::{Stabilizer, StabilizerOptions};
use crate::classification::{Classification, Meaning};
use crate::config::{ImageGptConfig, ProblemType};
use crate::error::{Error, FormatError};
use crate::image::DecodedImage;
use crate::kind::Task;
use crate::model::State;
use crate::ops::op::{run_once, truncate};
use crate::options::LoadOptions;
use crate::processor::{ImageGptImageProcessor, ProcessorError, ProcessorScratch};

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
            stabilizer: None,
            worth: 0.0,
            scratch: ProcessorScratch::default(),
            seen: Vec::new(),
        })
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
/// them; a camera's noise never pays, unless the stream is [stabilised](Session::stabilize): then an image keeps them while
/// what the last ones had in common is worth it.
#[derive(Debug)]
pub struct Session {
    shared: Arc<Shared>,
    state: State,
    tokens: Vec<u16>,
    logits: Vec<f32>,
    /// Whether the last image left its keys and values.
    kept: bool,
    /// Of a stabilised stream.
    stabilizer: Option<Stabilizer>,
    /// The share of tokens that images had in common with the one before, lately.
    worth: f32,
    scratch: ProcessorScratch,
    /// The tokens of a picture on their way.
    seen: Vec<u16>,
}

/// The share of a pass that has to be saved for keys and values to be kept: storing them costs half as much.
const WORTH: f32 = 0.1;
/// How much the newest image weighs in what they had in common lately.
const NEWEST: f32 = 0.25;

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
        let mut seen = std::mem::take(&mut self.seen);
        let done = self.tokens_into(rgb, width, height, &mut seen);
        let done = done.and_then(|()| self.classify(&seen));
        self.seen = seen;
        done
    }

    /// Classifies a decoded image.
    ///
    /// # Errors
    /// As [`Session::classify`].
    pub fn classify_image(&mut self, image: &DecodedImage) -> Result<Classification, Error> {
        self.classify_rgb8(image.rgb(), image.width(), image.height())
    }

    /// Keeps the tokens of a stream of pictures from flickering, from the next picture on, or no longer: see [`Stabilizer`].
    /// Verdicts are then those of a fresh session on the stabilised tokens ([`Session::tokens`]). Only pictures are
    /// stabilised, not tokens that are handed in. Called again, as after a new source or orientation, it forgets the stream.
    pub fn stabilize(&mut self, options: Option<StabilizerOptions>) {
        self.stabilizer = options.map(Stabilizer::new);
        // A stream that is stabilised is expected to repeat itself.
        self.worth = if options.is_some() { 1.0 } else { 0.0 };
    }

    /// The tokens of the last image that was classified.
    #[must_use]
    pub fn tokens(&self) -> &[u16] {
        &self.tokens
    }

    /// The tokens of a picture, stabilised if the stream is, for [`Session::classify`]: the two steps of
    /// [`Session::classify_rgb8`], for whoever wants to know what each takes.
    ///
    /// # Errors
    /// On a picture that does not have that many bytes.
    pub fn tokens_into(
        &mut self,
        rgb: &[u8],
        width: usize,
        height: usize,
        tokens: &mut Vec<u16>,
    ) -> Result<(), Error> {
        let seen = self.see(rgb, width, height, tokens);
        seen.map_err(|source| Error::Processor {
            name: self.shared.model.core.name.clone(),
            source,
        })
    }

    fn see(
        &mut self,
        rgb: &[u8],
        width: usize,
        height: usize,
        seen: &mut Vec<u16>,
    ) -> Result<(), ProcessorError> {
        let processor = &self.shared.processor;
        let scratch = &mut self.scratch;
        let Some(stabilizer) = &mut self.stabilizer else {
            return processor.tokens_into(rgb, width, height, scratch, seen);
        };
        let resized = processor.resized_into(rgb, width, height, scratch)?;
        let (tokens, _) = stabilizer.next(processor, resized)?;
        seen.clear();
        seen.extend_from_slice(tokens);
        Ok(())
    }

    /// Whether an image that has so many of its tokens in common with the one before keeps its keys and values.
    fn keeps(&self, shared: usize, tokens: usize) -> bool {
        if self.stabilizer.is_none() {
            return shared > 0;
        }
        self.worth > WORTH && tokens > KV_TILE
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
        let equal = self
            .tokens
            .iter()
            .zip(tokens)
            .filter(|(a, b)| a == b)
            .count();
        let changed = tokens.len() - equal;
        if !self.tokens.is_empty() {
            let share = common as f32 / tokens.len() as f32;
            self.worth += NEWEST * (share - self.worth);
        }
        let mut reused = common;
        if common < tokens.len() || common < self.tokens.len() || self.logits.is_empty() {
            // Whole tiles only, and at least the last token is computed: the head adds tile sums.
            let shared = common.min(tokens.len() - 1) / KV_TILE * KV_TILE;
            reused = if self.kept { shared } else { 0 };
            // What is reused lies among what was kept, and is kept on.
            self.kept = reused > 0 || self.keeps(shared, tokens.len());
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
        Ok(meaning.classification(self.logits.clone(), reused, changed))
    }
}
