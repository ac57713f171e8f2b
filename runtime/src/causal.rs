//! `ImageGptForCausalImageModeling`: logits of the next token, and generation with the K/V cache.

use std::path::Path;

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::error::Error;
use crate::model::{ImageGptModel, LoadOptions};
use crate::onnx::Task;

/// How to choose the next token. The defaults are Hugging Face's; the ImageGPT paper samples with `do_sample` and `top_k` 40.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GenerationConfig {
    /// Tokens to have in the end, the context included; `n_positions + 1` if absent, and at most, since the last one is never
    /// fed back.
    pub max_length: Option<usize>,
    /// Draw from the distribution instead of taking the largest logit.
    pub do_sample: bool,
    /// Divides the logits before the softmax; above 0.
    pub temperature: f32,
    /// Keep only this many of the largest logits, ties included; 0 for all.
    pub top_k: usize,
    /// Seed of the generator.
    pub seed: u64,
}

impl Default for GenerationConfig {
    fn default() -> Self {
        Self {
            max_length: None,
            do_sample: false,
            temperature: 1.0,
            top_k: 50,
            seed: 0,
        }
    }
}

/// Hugging Face's class of that name.
#[derive(Debug)]
pub struct ImageGptForCausalImageModeling {
    model: ImageGptModel,
}

impl ImageGptForCausalImageModeling {
    /// Loads a file made with `--task causal`.
    ///
    /// # Errors
    /// If it cannot be loaded or is for another task.
    pub fn load(path: impl AsRef<Path>, options: &LoadOptions) -> Result<Self, Error> {
        ImageGptModel::load(path, options)?.try_into()
    }

    /// Loads a file that is in memory.
    ///
    /// # Errors
    /// As [`ImageGptForCausalImageModeling::load`].
    pub fn from_bytes(bytes: &[u8], options: &LoadOptions) -> Result<Self, Error> {
        ImageGptModel::from_bytes(bytes, options)?.try_into()
    }

    /// The model behind the head.
    #[must_use]
    pub fn model(&self) -> &ImageGptModel {
        &self.model
    }

    /// The start-of-sequence token, which begins every context.
    #[must_use]
    pub fn start_token(&self) -> u16 {
        (self.model.config.vocab_size - 1) as u16
    }

    /// Logits `[tokens, vocab_size - 1]` of what follows each token.
    ///
    /// # Errors
    /// On tokens that do not fit the model.
    pub fn logits(&self, tokens: &[u16]) -> Result<Vec<f32>, Error> {
        self.model.logits(tokens)
    }

    /// Continues `context` (start token first) to `max_length` tokens, context included.
    ///
    /// # Errors
    /// On a context or a length that does not fit the model, or a temperature that is not above 0.
    pub fn generate(&self, context: &[u16], how: &GenerationConfig) -> Result<Vec<u16>, Error> {
        let limit = self.model.config.n_positions + 1;
        let length = how.max_length.unwrap_or(limit);
        if context.is_empty() || length > limit || context.len() > length {
            return Err(Error::Generation(format!(
                "a context of {} tokens for a length of {length}, expected 1 <= context <= length <= {limit}",
                context.len()
            )));
        }
        if !(how.temperature > 0.0 && how.temperature.is_finite()) {
            return Err(Error::Generation(format!(
                "temperature {}, expected a finite number above 0",
                how.temperature
            )));
        }
        // A context as long as the limit leaves nothing to compute.
        self.model
            .check_tokens(&context[..context.len().min(limit - 1)])?;
        let mut rng = ChaCha8Rng::seed_from_u64(how.seed);
        let mut state = self.model.spawn(self.model.head()?)?;
        let mut tokens = context.to_vec();
        let mut fed = 0;
        while tokens.len() < length {
            let logits = self.model.run(&mut state, &tokens[fed..])?.swap_remove(0);
            fed = tokens.len();
            let last = &logits[logits.len() - (self.model.config.vocab_size - 1)..];
            tokens.push(choose(last, how, &mut rng));
        }
        Ok(tokens)
    }
}

impl TryFrom<ImageGptModel> for ImageGptForCausalImageModeling {
    type Error = Error;

    fn try_from(model: ImageGptModel) -> Result<Self, Error> {
        if model.task == Task::Causal {
            return Ok(Self { model });
        }
        Err(Error::Task {
            found: model.task.name().into(),
            name: model.name,
            expected: "causal",
        })
    }
}

/// The next token; greedy ties go to the lowest index.
fn choose(logits: &[f32], how: &GenerationConfig, rng: &mut ChaCha8Rng) -> u16 {
    let mut order: Vec<usize> = (0..logits.len()).collect();
    order.sort_by(|a, b| logits[*b].total_cmp(&logits[*a]).then(a.cmp(b)));
    let best = order.first().copied().unwrap_or(0);
    if !how.do_sample {
        return best as u16;
    }
    if how.top_k > 0 && how.top_k < order.len() {
        let threshold = logits[order[how.top_k - 1]];
        order.retain(|i| logits[*i] >= threshold);
    }
    let weight =
        |i: usize| (f64::from(logits[i] - logits[best]) / f64::from(how.temperature)).exp();
    let sum: f64 = order.iter().map(|i| weight(*i)).sum();
    let mut left = rng.random::<f64>() * sum;
    for i in &order {
        left -= weight(*i);
        if left < 0.0 {
            return *i as u16;
        }
    }
    best as u16
}
