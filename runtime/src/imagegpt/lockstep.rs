//! Several sequences that advance together, a token each at a time: the weights are read once for all of
//! them.

use super::model::ImageGptModel;
use crate::error::{Error, TokensError};
use crate::model::State;
use crate::ops::op::{join, retain};

/// Sequences in lockstep on one model, each with keys and values of its own and as long as it happens to be.
/// What one of them gives has the same bits as if it were alone.
#[derive(Debug)]
pub struct Lockstep<'a> {
    model: &'a ImageGptModel,
    state: State,
    /// Tokens so far, of each.
    pasts: Vec<usize>,
}

impl<'a> Lockstep<'a> {
    /// Joins sequences of `model`, given by their states and their tokens so far.
    pub(crate) fn join(
        model: &'a ImageGptModel,
        sequences: impl IntoIterator<Item = (State, usize)>,
    ) -> Result<Self, Error> {
        let (mut states, pasts): (Vec<State>, Vec<usize>) = sequences.into_iter().unzip();
        let mut state = model.spawn()?;
        let mut states: Vec<_> = states
            .iter_mut()
            .map(|state| state.op_states.as_mut_slice())
            .collect();
        join(&mut state.op_states, &mut states);
        Ok(Self {
            model,
            state,
            pasts,
        })
    }

    /// Logits after one more token of each sequence, `[sequences, vocab_size - 1]`.
    ///
    /// # Errors
    /// On another number of tokens, on one that does not fit the model, on a sequence that has no position
    /// left, or on activations that overflow; after the last of these no sequence is left.
    pub fn feed(&mut self, tokens: &[u16]) -> Result<Vec<f32>, Error> {
        if tokens.len() != self.pasts.len() || tokens.is_empty() {
            return Err(TokensError::Lockstep {
                found: tokens.len(),
                sequences: self.pasts.len(),
            }
            .into());
        }
        let n_positions = self.model.config().n_positions;
        for (token, past) in tokens.iter().zip(&self.pasts) {
            self.model.check_tokens(&[*token])?;
            if *past >= n_positions {
                return Err(TokensError::Positions {
                    found: 1,
                    past: *past,
                    n_positions,
                }
                .into());
            }
        }
        match self.model.run(&mut self.state, tokens) {
            Ok(mut outputs) => {
                for past in &mut self.pasts {
                    *past += 1;
                }
                Ok(outputs.pop().unwrap_or_default())
            }
            Err(error) => {
                // tract leaves a failed run's state half done.
                self.pasts.clear();
                Err(error)
            }
        }
    }

    /// Goes on with those sequences only for which `keep` is true, one a sequence; the others' memory is
    /// freed.
    ///
    /// # Errors
    /// On another number of them.
    pub fn retain(&mut self, keep: &[bool]) -> Result<(), Error> {
        if keep.len() != self.pasts.len() {
            return Err(TokensError::Choices {
                found: keep.len(),
                sequences: self.pasts.len(),
            }
            .into());
        }
        retain(&mut self.state.op_states, keep);
        let mut keep = keep.iter();
        self.pasts.retain(|_| keep.next() == Some(&true));
        Ok(())
    }

    /// Tokens so far, of each sequence.
    #[must_use]
    pub fn pasts(&self) -> &[usize] {
        &self.pasts
    }
}
