//! `ImageGptForCausalImageModeling`: logits of the next token, and generation with the K/V cache.

use std::path::Path;

use bytes::Bytes;
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::generation::{GenerationConfig, GenerationError, choose};
use super::lockstep::Lockstep;
use super::model::ImageGptModel;
use crate::error::Error;
use crate::kind::Task;
use crate::model::State;
use crate::options::LoadOptions;

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
    /// On a context or a length that does not fit the model, a temperature that is not above 0, or a `top_p`
    /// outside (0, 1].
    pub fn generate(&self, context: &[u16], how: &GenerationConfig) -> Result<Vec<u16>, Error> {
        let sample = self.generate_batch(&[context], 1, how, &|_| {})?;
        Ok(sample.into_iter().next().unwrap_or_default())
    }

    /// Continues every context `samples` times, the samples of one context after those of the one before.
    ///
    /// A context is read once, whatever the number of its samples, and samples advance together, so that the
    /// weights are read once for a token of each. Sample `i` draws from stream `i` of the seed, so it depends
    /// neither on the threads nor on how many others there are; sample 0 is what
    /// [`ImageGptForCausalImageModeling::generate`] gives. `progress` is told, from any thread, of every
    /// token as it is chosen.
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
        // Nothing is computed for a batch of which a part cannot be.
        let lengths = contexts.iter().map(|context| self.check(context, how));
        let lengths = lengths.collect::<Result<Vec<_>, Error>>()?;
        let mut chains = Vec::with_capacity(contexts.len() * samples);
        let mut together = Vec::with_capacity(LANES);
        for (context, length) in contexts.iter().zip(lengths) {
            let (start, mut state) = self.start(context, length)?;
            for stream in 0..samples as u64 {
                let last = stream + 1 == samples as u64;
                // The last one takes the context's keys and values instead of copying them.
                let state = match last {
                    true => state.take(),
                    false => state.clone(),
                };
                together.push((Chain::new(&start, stream, how.seed), state));
                if together.len() == LANES {
                    chains.extend(self.advance(&mut together, how, progress)?);
                }
            }
        }
        chains.extend(self.advance(&mut together, how, progress)?);
        Ok(chains)
    }

    /// Checks a request and gives the number of tokens to have in the end.
    fn check(&self, context: &[u16], how: &GenerationConfig) -> Result<usize, Error> {
        let limit = self.model.config.n_positions + 1;
        let length = how.max_length.unwrap_or(limit);
        if context.is_empty() || length > limit || context.len() > length {
            let context = context.len();
            return Err(GenerationError::Length {
                context,
                length,
                limit,
            }
            .into());
        }
        how.check()?;
        // A context as long as the limit leaves nothing to compute.
        self.model
            .check_tokens(&context[..context.len().min(limit - 1)])?;
        Ok(length)
    }

    /// Reads a context that was checked; if nothing is to follow it there is no state.
    fn start<'a>(
        &self,
        context: &'a [u16],
        length: usize,
    ) -> Result<(Start<'a>, Option<State>), Error> {
        let (mut logits, mut state) = (Vec::new(), None);
        if context.len() < length {
            let mut fresh = self.model.spawn()?;
            logits = self.model.run(&mut fresh, context)?.swap_remove(0);
            logits.drain(..logits.len() - self.model.config.num_colors());
            state = Some(fresh);
        }
        let start = Start {
            context,
            length,
            logits,
        };
        Ok((start, state))
    }

    /// Continues these sequences, which it takes, to their ends.
    fn advance(
        &self,
        together: &mut Vec<(Chain, Option<State>)>,
        how: &GenerationConfig,
        progress: &(dyn Fn(u16) + Sync),
    ) -> Result<Vec<Vec<u16>>, Error> {
        let (mut chains, states): (Vec<Chain>, Vec<_>) = together.drain(..).unzip();
        let colors = self.model.config.num_colors();
        // What is as long as it shall be has no state.
        let pasts = chains.iter().map(|chain| chain.tokens.len());
        let under_way = states.into_iter().zip(pasts);
        let under_way = under_way.filter_map(|(state, past)| Some((state?, past)));
        let mut lockstep = Lockstep::join(&self.model, under_way)?;
        let mut live: Vec<&mut Chain> =
            chains.iter_mut().filter(|chain| !chain.is_done()).collect();
        let mut logits: Vec<f32> = live
            .iter_mut()
            .flat_map(|chain| std::mem::take(&mut chain.logits))
            .collect();
        while !live.is_empty() {
            let pool = &self.model.core.engine.pool;
            pool.install(|| {
                let rows = logits.par_chunks(colors).zip(&mut live);
                rows.for_each(|(logits, chain)| progress(chain.push(logits, how)));
            });
            let keep: Vec<bool> = live.iter().map(|chain| !chain.is_done()).collect();
            lockstep.retain(&keep)?;
            live.retain(|chain| !chain.is_done());
            let next: Vec<u16> = live
                .iter()
                .filter_map(|chain| chain.tokens.last())
                .copied()
                .collect();
            if !next.is_empty() {
                logits = lockstep.feed(&next)?;
            }
        }
        Ok(chains.into_iter().map(|chain| chain.tokens).collect())
    }
}

/// Sequences that advance together at most. Each keeps keys and values of its own (ImageGPT-small: 27 MB),
/// and past a dozen the weights' reading is a small part of a token's time.
const LANES: usize = 12;

/// A sequence under way.
struct Chain {
    tokens: Vec<u16>,
    /// Tokens to have in the end.
    length: usize,
    /// What the next token is chosen from, until the first is.
    logits: Vec<f32>,
    rng: ChaCha8Rng,
}

impl Chain {
    /// Sample `stream` of a context.
    fn new(start: &Start<'_>, stream: u64, seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(stream);
        Self {
            tokens: start.context.to_vec(),
            length: start.length,
            logits: start.logits.clone(),
            rng,
        }
    }

    /// Appends the token that it chooses by these logits.
    fn push(&mut self, logits: &[f32], how: &GenerationConfig) -> u16 {
        let token = choose(logits, how, &mut self.rng);
        self.tokens.push(token);
        token
    }

    fn is_done(&self) -> bool {
        self.tokens.len() >= self.length
    }
}

/// A context that was read.
struct Start<'a> {
    context: &'a [u16],
    /// Tokens to have in the end.
    length: usize,
    /// Of what follows the context; empty if nothing is to follow.
    logits: Vec<f32>,
}

impl TryFrom<ImageGptModel> for ImageGptForCausalImageModeling {
    type Error = Error;

    fn try_from(model: ImageGptModel) -> Result<Self, Error> {
        if model.core.task == Task::Causal {
            return Ok(Self { model });
        }
        Err(Error::Task {
            found: model.core.task,
            name: model.core.name.clone(),
            expected: &[Task::Causal],
        })
    }
}
