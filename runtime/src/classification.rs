//! `ImageGptForImageClassification`: tokens in, labelled probabilities out; and its session, which reuses what did not change.

use std::path::Path;

use igpt_kernels::{Isa, KV_TILE};

use crate::config::ImageGptConfig;
use crate::error::Error;
use crate::model::{ImageGptModel, LoadOptions, State};
use crate::onnx::Task;
use crate::ops::op::truncate;
use crate::processor::ImageGptImageProcessor;

/// Hugging Face's class of that name: mean pooling over all tokens after `ln_f`, then `score`.
#[derive(Debug)]
pub struct ImageGptForImageClassification {
    model: ImageGptModel,
    processor: ImageGptImageProcessor,
}

/// One class and its probability.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// Index of the class.
    pub index: usize,
    /// Its name.
    pub label: String,
    /// Softmax of the logits.
    pub probability: f32,
}

/// What the model says of one image.
#[derive(Clone, Debug, PartialEq)]
pub struct Classification {
    /// One a class.
    pub logits: Vec<f32>,
    /// Tokens whose work was reused from the image before.
    pub reused_tokens: usize,
    labels: Vec<String>,
}

impl Classification {
    /// Softmax of the logits, computed in f64.
    #[must_use]
    pub fn probabilities(&self) -> Vec<f32> {
        let top = self
            .logits
            .iter()
            .copied()
            .fold(f32::NEG_INFINITY, f32::max);
        let exps: Vec<f64> = self
            .logits
            .iter()
            .map(|x| f64::from(x - top).exp())
            .collect();
        let sum: f64 = exps.iter().sum();
        exps.into_iter().map(|e| (e / sum) as f32).collect()
    }

    /// The `k` most probable classes, best first; equal ones in order of their index.
    #[must_use]
    pub fn top_k(&self, k: usize) -> Vec<Prediction> {
        let probabilities = self.probabilities();
        let mut order: Vec<usize> = (0..self.logits.len()).collect();
        order.sort_by(|a, b| self.logits[*b].total_cmp(&self.logits[*a]).then(a.cmp(b)));
        let name = |index: usize| {
            self.labels
                .get(index)
                .cloned()
                .unwrap_or_else(|| format!("LABEL_{index}"))
        };
        let prediction = |index| Prediction {
            index,
            label: name(index),
            probability: probabilities[index],
        };
        order.into_iter().take(k).map(prediction).collect()
    }
}

impl ImageGptForImageClassification {
    /// Loads a file made with `--task classify`.
    ///
    /// # Errors
    /// If it cannot be loaded, is for another task, or has no image processor.
    pub fn load(path: impl AsRef<Path>, options: &LoadOptions) -> Result<Self, Error> {
        Self::new(ImageGptModel::load(path, options)?)
    }

    /// Loads a file that is in memory.
    ///
    /// # Errors
    /// As [`ImageGptForImageClassification::load`].
    pub fn from_bytes(bytes: &[u8], options: &LoadOptions) -> Result<Self, Error> {
        Self::new(ImageGptModel::from_bytes(bytes, options)?)
    }

    fn new(mut model: ImageGptModel) -> Result<Self, Error> {
        if model.task != Task::Classify {
            return Err(Error::Task {
                name: model.name,
                found: model.task.name().into(),
                expected: "classify",
            });
        }
        let Some(processor) = model.processor.take() else {
            return Err(Error::Format {
                name: model.name,
                what: "metadata has no igpt.preprocessor".into(),
            });
        };
        Ok(Self { model, processor })
    }

    /// The configuration; `labels()` has the class names.
    #[must_use]
    pub fn config(&self) -> &ImageGptConfig {
        &self.model.config
    }

    /// The image processor.
    #[must_use]
    pub fn processor(&self) -> &ImageGptImageProcessor {
        &self.processor
    }

    /// The instruction set in use.
    #[must_use]
    pub fn isa(&self) -> Isa {
        self.model.isa()
    }

    /// A session of its own past.
    ///
    /// # Errors
    /// If tract cannot set it up.
    pub fn session(&self) -> Result<Session<'_>, Error> {
        Ok(Session {
            model: self,
            state: self.model.spawn(self.model.head()?)?,
            tokens: Vec::new(),
            logits: Vec::new(),
        })
    }
}

/// Classifies one image after another. Tokens that begin like the last image's are not computed again, with exactly the result of a
/// fresh session.
#[derive(Debug)]
pub struct Session<'a> {
    model: &'a ImageGptForImageClassification,
    state: State,
    tokens: Vec<u16>,
    logits: Vec<f32>,
}

impl Session<'_> {
    /// Classifies the tokens of one image.
    ///
    /// # Errors
    /// On tokens that do not fit the model, or activations that overflow; the session then starts afresh.
    pub fn classify(&mut self, tokens: &[u16]) -> Result<Classification, Error> {
        self.model.model.check_length(tokens.len())?;
        let common = self
            .tokens
            .iter()
            .zip(tokens)
            .take_while(|(a, b)| a == b)
            .count();
        let mut reused = common;
        if common < tokens.len() || common < self.tokens.len() || self.logits.is_empty() {
            reused = if common == tokens.len() {
                common.saturating_sub(1)
            } else {
                common
            } / KV_TILE
                * KV_TILE;
            truncate(&mut self.state.op_states, reused);
            self.tokens.clear();
            match self.model.model.run(&mut self.state, &tokens[reused..]) {
                Ok(outputs) => self.logits = outputs.into_iter().next().unwrap_or_default(),
                Err(e) => {
                    // tract leaves a failed run's state half done.
                    self.state = self.model.model.spawn(self.model.model.head()?)?;
                    self.logits.clear();
                    return Err(e);
                }
            }
            self.tokens.extend_from_slice(tokens);
        }
        Ok(Classification {
            logits: self.logits.clone(),
            reused_tokens: reused,
            labels: self.model.config().labels().to_vec(),
        })
    }
}
