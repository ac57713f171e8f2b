//! A model fed its tokens piece by piece: what classification sessions and generation are made of, for tools
//! that time it.

use super::lockstep::Lockstep;
use super::model::ImageGptModel;
use crate::error::{Error, TokensError};
use crate::kind::Task;
use crate::model::State;
use crate::ops::op::truncate;

/// One sequence under way on a model, its keys and values kept.
#[derive(Debug)]
pub struct Steps<'a> {
    model: &'a ImageGptModel,
    state: State,
    past: usize,
}

impl ImageGptModel {
    /// Starts a sequence.
    ///
    /// # Errors
    /// On a file without a head.
    pub fn steps(&self) -> Result<Steps<'_>, Error> {
        Ok(Steps {
            state: self.spawn()?,
            model: self,
            past: 0,
        })
    }
}

impl<'a> Steps<'a> {
    /// Logits after the tokens that follow: `[num_labels]` of everything so far, or `[tokens, vocab_size -
    /// 1]` of these.
    ///
    /// # Errors
    /// On tokens that do not fit the model or what is left of its positions, or activations that overflow;
    /// the sequence then starts afresh.
    pub fn feed(&mut self, tokens: &[u16]) -> Result<Vec<f32>, Error> {
        self.model.check_tokens(tokens)?;
        let n_positions = self.model.config().n_positions;
        if self.past + tokens.len() > n_positions {
            return Err(TokensError::Positions {
                found: tokens.len(),
                past: self.past,
                n_positions,
            }
            .into());
        }
        match self.model.run(&mut self.state, tokens) {
            Ok(mut outputs) => {
                self.past += tokens.len();
                Ok(outputs.pop().unwrap_or_default())
            }
            Err(error) => {
                // tract leaves a failed run's state half done.
                self.state = self.model.spawn()?;
                self.past = 0;
                Err(error)
            }
        }
    }

    /// Forgets the tokens from `tokens` on, and keeps the memory for them. A classifier, whose head sums
    /// tiles of 64 tokens, goes back to a whole tile.
    pub fn rewind(&mut self, tokens: usize) {
        let tile = match self.model.task() {
            Task::Classify => igpt_kernels::KV_TILE,
            Task::Causal | Task::Features => 1,
        };
        let tokens = tokens.min(self.past) / tile * tile;
        truncate(&mut self.state.op_states, tokens);
        self.past = tokens;
    }

    /// Joins sequences, all of one language model, to go on together.
    ///
    /// # Errors
    /// On none, on sequences of different models, or a model for another task, whose logits belong to a whole
    /// sequence.
    pub fn join(sequences: Vec<Self>) -> Result<Lockstep<'a>, Error> {
        let Some(first) = sequences.first() else {
            return Err(TokensError::NoSequences.into());
        };
        let model = first.model;
        if sequences
            .iter()
            .any(|steps| !std::ptr::eq(steps.model, model))
        {
            return Err(TokensError::DifferentModels.into());
        }
        if model.task() != Task::Causal {
            return Err(Error::Task {
                name: model.core.name.clone(),
                found: model.task(),
                expected: &[Task::Causal],
            });
        }
        let states = sequences.into_iter().map(|steps| (steps.state, steps.past));
        Lockstep::join(model, states)
    }

    /// Tokens so far.
    #[must_use]
    pub fn past(&self) -> usize {
        self.past
    }
}
