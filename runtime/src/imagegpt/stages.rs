//! A model run in one piece, or in stages that end where it has a probe: what a session keeps of each, so that what an
//! image has in common with the last is not computed again, however deep that one went.

use tract_onnx::prelude::{Tensor, TractError};

use super::model::ImageGptModel;
use crate::error::Error;
use crate::model::State;
use crate::ops::op::{run_once, truncate};

/// A session's stages, in the order of the model.
#[derive(Debug)]
pub(super) struct Stages {
    list: Vec<Stage>,
    /// Whether they end at the model's exits.
    by_exits: bool,
}

/// One of them.
#[derive(Debug)]
struct Stage {
    state: State,
    /// Tokens at the beginning of the session's last image whose past is in the state.
    valid: usize,
    /// What the next stage reads of that image, `[tokens, width]`.
    rows: Vec<f32>,
}

impl Stages {
    /// The whole model at once, or with `by_exits` one stage up to each of its exits and one for the rest.
    ///
    /// # Errors
    /// If tract cannot set it up.
    pub(super) fn new(model: &ImageGptModel, by_exits: bool) -> Result<Self, Error> {
        let states = if by_exits {
            model.core.spawn_segments()?
        } else {
            vec![model.spawn()?]
        };
        let stage = |state| Stage {
            state,
            valid: 0,
            rows: Vec::new(),
        };
        Ok(Self {
            list: states.into_iter().map(stage).collect(),
            by_exits,
        })
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    /// The next image has so many tokens in common with the last, whole tiles.
    pub(super) fn share(&mut self, tokens: usize) {
        for stage in &mut self.list {
            stage.valid = stage.valid.min(tokens);
        }
    }

    /// Runs one stage for an image, after those before it; `once` if it need not keep anything. Gives the logits at its end, and how
    /// many tokens it did not compute again.
    ///
    /// # Errors
    /// On activations that overflow; every stage then starts afresh.
    pub(super) fn run(
        &mut self,
        model: &ImageGptModel,
        tokens: &[u16],
        stage: usize,
        once: bool,
    ) -> Result<(Vec<f32>, usize), Error> {
        let done = self.run_stage(model, tokens, stage, once);
        if done.is_err() {
            // tract leaves a failed run's state half done.
            *self = Self::new(model, self.by_exits)?;
        }
        done
    }

    fn run_stage(
        &mut self,
        model: &ImageGptModel,
        tokens: &[u16],
        stage: usize,
        once: bool,
    ) -> Result<(Vec<f32>, usize), Error> {
        let width = model.config.n_embd;
        let (before, from) = self.list.split_at_mut(stage);
        let Some(Stage { state, valid, rows }) = from.first_mut() else {
            return Ok((Vec::new(), 0));
        };
        let past = *valid;
        run_once(&mut state.op_states, once);
        truncate(&mut state.op_states, past);
        let mut outputs = match before.last() {
            None => model.run(state, tokens.get(past..).unwrap_or_default())?,
            Some(before) => {
                let input = before.rows.get(past * width..).unwrap_or_default();
                let input = Tensor::from_shape(&[1, input.len() / width, width], input);
                let input = input.map_err(|e: TractError| model.core.error(&e))?;
                model.core.run(state, input)?
            }
        };
        let logits = outputs.pop().unwrap_or_default();
        if let Some(hidden) = outputs.pop() {
            rows.truncate(past * width);
            rows.extend_from_slice(&hidden);
        }
        *valid = if once { 0 } else { tokens.len() };
        Ok((logits, past))
    }
}
