//! `ImageGptForCausalImageModeling`: logits of the next token, and generation with the K/V cache.

use std::path::Path;

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::error::Error;
use crate::model::{ImageGptModel, LoadOptions};
use crate::onnx::Task;

/// How to choose the next token.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GenerationConfig {
    /// Tokens to have in the end, the context included; at most `n_positions + 1`, since the last one is never fed back.
    pub max_length: usize,
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
            max_length: 1025,
            do_sample: true,
            temperature: 1.0,
            top_k: 40,
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
        let model = ImageGptModel::load(path, options)?;
        if model.task != Task::Causal {
            return Err(Error::Task {
                name: model.name,
                found: model.task.name().into(),
                expected: "causal",
            });
        }
        Ok(Self { model })
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
        let mut state = self.model.spawn(self.model.head()?)?;
        Ok(self.model.run(&mut state, tokens)?.swap_remove(0))
    }

    /// Continues `context` (start token first) to `max_length` tokens, context included.
    ///
    /// # Errors
    /// On a context or a length that does not fit the model, or a temperature that is not above 0.
    pub fn generate(&self, context: &[u16], how: &GenerationConfig) -> Result<Vec<u16>, Error> {
        let limit = self.model.config.n_positions + 1;
        if context.is_empty() || how.max_length > limit || context.len() > how.max_length {
            let (found, want) = (context.len(), how.max_length);
            return Err(Error::Tokens(format!(
                "a context of {found} for a length of {want}, expected 1 <= context <= length <= {limit}"
            )));
        }
        if !(how.temperature > 0.0 && how.temperature.is_finite()) {
            return Err(Error::Tokens(format!(
                "temperature {}, expected a number above 0",
                how.temperature
            )));
        }
        let mut rng = ChaCha8Rng::seed_from_u64(how.seed);
        let mut state = self.model.spawn(self.model.head()?)?;
        let mut tokens = context.to_vec();
        let mut fed = 0;
        while tokens.len() < how.max_length {
            let logits = self.model.run(&mut state, &tokens[fed..])?.swap_remove(0);
            fed = tokens.len();
            let last = &logits[logits.len() - (self.model.config.vocab_size - 1)..];
            tokens.push(choose(last, how, &mut rng));
        }
        Ok(tokens)
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
