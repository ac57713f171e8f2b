//! `ImageGptModel`: tokens in, hidden states and logits out.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use igpt_kernels::Isa;
use tract_onnx::prelude::{Tensor, TractError};

use super::exits::Exits;
use super::graph::{exit_logits, hidden_states};
use crate::config::ImageGptConfig;
use crate::error::{Error, TokensError};
use crate::kind::{Dtype, Task};
use crate::model::{Core, Input, ModelOutput, Opened, Segment, State};
use crate::onnx::Family;
use crate::ops::op::run_once;
use crate::options::LoadOptions;
use crate::processor::ImageGptImageProcessor;

/// A loaded model file, whatever its head. A clone shares its weights.
#[derive(Clone, Debug)]
pub struct ImageGptModel {
    pub(crate) core: Arc<Core>,
    pub(crate) config: ImageGptConfig,
    pub(crate) processor: Option<Arc<ImageGptImageProcessor>>,
    pub(crate) exits: Option<Exits>,
}

impl ImageGptModel {
    /// Loads a file.
    ///
    /// # Errors
    /// If it cannot be read, is damaged, of another family, or is not for this build or machine.
    pub fn load(path: impl AsRef<Path>, options: &LoadOptions) -> Result<Self, Error> {
        Opened::file(path.as_ref(), options)?.try_into()
    }

    /// Loads a file that is in memory, such as an embedded one (`&'static [u8]`); its weights are used where
    /// they lie if they can be.
    ///
    /// # Errors
    /// As [`ImageGptModel::load`].
    pub fn from_bytes(bytes: impl Into<Bytes>, options: &LoadOptions) -> Result<Self, Error> {
        Opened::bytes(bytes.into(), options)?.try_into()
    }

    /// What to tell whoever runs a file that was packed for another CPU: loading it takes longer than it has
    /// to.
    #[must_use]
    pub fn repacked(&self) -> Option<String> {
        self.core.repacked()
    }

    /// What the file is for.
    #[must_use]
    pub fn task(&self) -> Task {
        self.core.task
    }

    /// How its linear layers are stored and computed.
    #[must_use]
    pub fn dtype(&self) -> Dtype {
        self.core.dtype
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &ImageGptConfig {
        &self.config
    }

    /// The image processor, if the file has one.
    #[must_use]
    pub fn processor(&self) -> Option<&ImageGptImageProcessor> {
        self.processor.as_deref()
    }

    /// Where a probe may speak for the whole model, if the file has probes.
    #[must_use]
    pub fn exits(&self) -> Option<&Exits> {
        self.exits.as_ref()
    }

    /// The instruction set in use.
    #[must_use]
    pub fn isa(&self) -> Isa {
        self.core.isa()
    }

    /// The threads that runs are spread over.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.core.threads()
    }

    /// The logits of one sequence, without the hidden states: `[num_labels]` or `[tokens, vocab_size - 1]`.
    ///
    /// # Errors
    /// On a file without a head, tokens that do not fit the model, or activations that overflow.
    pub fn logits(&self, tokens: &[u16]) -> Result<Vec<f32>, Error> {
        self.check_tokens(tokens)?;
        let mut state = self.spawn()?;
        run_once(&mut state.op_states, true);
        Ok(self.run(&mut state, tokens)?.pop().unwrap_or_default())
    }

    /// Runs a batch of sequences of the same length and gives every hidden state, and logits if there is a
    /// head.
    ///
    /// # Errors
    /// On tokens that do not fit the model, or activations that overflow.
    pub fn forward(&self, batch: &[&[u16]]) -> Result<ModelOutput, Error> {
        let mut output = ModelOutput {
            hidden_states: vec![Vec::new(); self.config.n_layer + 1],
            logits: Vec::new(),
        };
        let length = batch.first().map_or(0, |tokens| tokens.len());
        for tokens in batch {
            if tokens.len() != length {
                return Err(TokensError::BatchLengths {
                    expected: length,
                    found: tokens.len(),
                }
                .into());
            }
            self.check_tokens(tokens)?;
            let mut state = self.core.spawn_all()?;
            run_once(&mut state.op_states, true);
            let mut values = self.run(&mut state, tokens)?;
            if self.task() != Task::Features {
                output.logits.extend(values.pop().unwrap_or_default());
            }
            for (all, one) in output.hidden_states.iter_mut().zip(values) {
                all.extend(one);
            }
        }
        Ok(output)
    }

    /// A state of the plan that gives the logits.
    pub(crate) fn spawn(&self) -> Result<State, Error> {
        self.core.spawn(self.core.head()?)
    }

    /// Refuses a sequence of no tokens, of more than the model has positions for, or of tokens it does not
    /// know.
    pub(crate) fn check_tokens(&self, tokens: &[u16]) -> Result<(), Error> {
        let (n_positions, vocab_size) = (self.config.n_positions, self.config.vocab_size);
        let count = tokens.len();
        if count == 0 || count > n_positions {
            return Err(TokensError::Count {
                found: count,
                n_positions,
            }
            .into());
        }
        match tokens.iter().position(|t| usize::from(*t) >= vocab_size) {
            Some(position) => Err(TokensError::Vocabulary {
                position,
                found: tokens[position].into(),
                vocab_size,
            }
            .into()),
            None => Ok(()),
        }
    }

    /// Runs the tokens, checked by the caller, that follow a state's past.
    pub(crate) fn run(&self, state: &mut State, tokens: &[u16]) -> Result<Vec<Vec<f32>>, Error> {
        let ids: Vec<i64> = tokens.iter().map(|t| i64::from(*t)).collect();
        let ids = Tensor::from_shape(&[1, ids.len()], &ids);
        let ids = ids.map_err(|e: TractError| self.core.error(&e))?;
        self.core.run(state, ids)
    }
}

impl TryFrom<Opened> for ImageGptModel {
    type Error = Error;

    fn try_from(opened: Opened) -> Result<Self, Error> {
        let Family::ImageGpt { config, exits, .. } = opened.family() else {
            return Err(opened.another("imagegpt"));
        };
        let hidden_states = config.n_layer + 1;
        let segments = exits
            .as_ref()
            .map_or_else(Vec::new, |exits| segments(config, exits));
        let (core, family) = opened.plan(Input::Tokens, hidden_states, &segments)?;
        match family {
            Family::ImageGpt {
                config,
                processor,
                exits,
            } => Ok(Self {
                core: Arc::new(core),
                config,
                processor: processor.map(Arc::new),
                exits,
            }),
            Family::Segformer { .. } => unreachable!("the family was asked for above"),
        }
    }
}

/// One up to each exit, and one from the last on.
fn segments(config: &ImageGptConfig, exits: &Exits) -> Vec<Segment> {
    let from = |layer: usize| (hidden_states(layer), config.n_embd);
    let ends = exits.layers.iter();
    let to = ends.map(|layer| vec![hidden_states(*layer), exit_logits(*layer)]);
    let begins = exits.layers.iter().map(|layer| Some(from(*layer)));
    std::iter::once(None)
        .chain(begins)
        .zip(to.chain([vec!["logits".to_owned()]]))
        .map(|(from, to)| Segment { from, to })
        .collect()
}
