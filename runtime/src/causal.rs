//! `ImageGptForCausalImageModeling`: logits of the next token, and generation with the K/V cache.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use crate::error::Error;
use crate::model::{ImageGptModel, LoadOptions, State};
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
    /// Then keep only the likeliest tokens that together reach this probability; 1 for all, above 0.
    pub top_p: f32,
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
            top_p: 1.0,
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
    pub fn from_bytes(bytes: impl Into<Bytes>, options: &LoadOptions) -> Result<Self, Error> {
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
    /// On a context or a length that does not fit the model, a temperature that is not above 0, or a `top_p` outside (0, 1].
    pub fn generate(&self, context: &[u16], how: &GenerationConfig) -> Result<Vec<u16>, Error> {
        let sample = self.generate_batch(&[context], 1, how, &|_| {})?;
        Ok(sample.into_iter().next().unwrap_or_default())
    }

    /// Continues every context `samples` times, the samples of one context after those of the one before.
    ///
    /// A context is read once, whatever the number of its samples, and the samples share the model's threads. Sample `i` draws
    /// from stream `i` of the seed, so it depends neither on the threads nor on how many others there are; sample 0 is what
    /// [`ImageGptForCausalImageModeling::generate`] gives. `progress` is told, from any thread, of every token as it is chosen.
    ///
    /// # Errors
    /// As [`ImageGptForCausalImageModeling::generate`].
    pub fn generate_batch(
        &self,
        contexts: &[&[u16]],
        samples: usize,
        how: &GenerationConfig,
        progress: &(dyn Fn(u16) + Sync),
    ) -> Result<Vec<Vec<u16>>, Error> {
        let starts = contexts.iter().map(|context| self.start(context, how));
        let starts = starts.collect::<Result<Vec<_>, Error>>()?;
        // Alone, a sample has every thread for each token, and the context's keys and values to itself.
        if samples == 1 && starts.len() == 1 {
            let alone = starts.into_iter();
            return alone
                .map(|(start, state)| self.sample(&start, state, 0, how, progress))
                .collect();
        }
        // A state may be sent to another thread, not shared with it.
        let starts: Vec<(Start<'_>, Mutex<State>)> = starts
            .into_iter()
            .map(|(start, state)| (start, Mutex::new(state)))
            .collect();
        let chains: Vec<_> = starts
            .iter()
            .flat_map(|start| (0..samples as u64).map(move |sample| (sample, start)))
            .collect();
        let one = |(stream, (start, state)): (u64, &(Start<'_>, Mutex<State>))| {
            let state = state.lock().unwrap_or_else(PoisonError::into_inner).clone();
            self.sample(start, state, stream, how, progress)
        };
        let pool = &self.model.engine.pool;
        pool.install(|| chains.into_par_iter().map(one).collect())
    }

    /// Checks a request and reads its context.
    fn start<'a>(
        &self,
        context: &'a [u16],
        how: &GenerationConfig,
    ) -> Result<(Start<'a>, State), Error> {
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
        if !(how.top_p > 0.0 && how.top_p <= 1.0) {
            return Err(Error::Generation(format!(
                "top_p {}, expected a number above 0 and at most 1",
                how.top_p
            )));
        }
        // A context as long as the limit leaves nothing to compute.
        self.model
            .check_tokens(&context[..context.len().min(limit - 1)])?;
        let mut state = self.model.spawn(self.model.head()?)?;
        let logits = if context.len() < length {
            self.model.run(&mut state, context)?.swap_remove(0)
        } else {
            Vec::new()
        };
        let start = Start {
            context,
            length,
            logits,
        };
        Ok((start, state))
    }

    /// Draws one sample from `state`, which holds the whole context.
    fn sample(
        &self,
        start: &Start<'_>,
        mut state: State,
        stream: u64,
        how: &GenerationConfig,
        progress: &(dyn Fn(u16) + Sync),
    ) -> Result<Vec<u16>, Error> {
        let mut rng = ChaCha8Rng::seed_from_u64(how.seed);
        rng.set_stream(stream);
        let mut tokens = start.context.to_vec();
        let colors = self.model.config.num_colors();
        let mut chosen = start
            .logits
            .rchunks_exact(colors)
            .next()
            .map(|row| choose(row, how, &mut rng));
        while let Some(token) = chosen {
            tokens.push(token);
            progress(token);
            if tokens.len() == start.length {
                break;
            }
            let logits = self.model.run(&mut state, &[token])?.swap_remove(0);
            chosen = Some(choose(&logits, how, &mut rng));
        }
        Ok(tokens)
    }
}

/// A context that was read.
struct Start<'a> {
    context: &'a [u16],
    /// Tokens to have in the end.
    length: usize,
    /// What follows each token of the context; empty if nothing is to follow.
    logits: Vec<f32>,
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
    let mut sum: f64 = order.iter().map(|i| weight(*i)).sum();
    if how.top_p < 1.0 {
        let (mut better, enough) = (0.0, f64::from(how.top_p) * sum);
        let kept = order.iter().take_while(|i| {
            let keep = better < enough;
            better += weight(**i);
            keep
        });
        let kept = kept.count();
        order.truncate(kept);
        sum = order.iter().map(|i| weight(*i)).sum();
    }
    let mut left = rng.random::<f64>() * sum;
    for i in &order {
        left -= weight(*i);
        if left < 0.0 {
            return *i as u16;
        }
    }
    best as u16
}
