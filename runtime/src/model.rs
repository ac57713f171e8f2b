//! `ImageGptModel`: a model file planned by tract and run by our kernels.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use bytes::Bytes;
use igpt_kernels::{Isa, Kernels, NonFinite, Panels};
use rayon::prelude::*;
use tract_onnx::prelude::{
    DatumExt as _, Framework as _, InferenceModelExt as _, IntoRunnable as _, Tensor, TypedModel,
    TypedSimplePlan, tvec,
};
use tract_onnx::tract_hir::internal::{ToDim as _, TractResult};

use crate::config::ImageGptConfig;
use crate::error::{Error, FormatError, TokensError};
use crate::kind::{Dtype, Task};
use crate::onnx::ModelFile;
use crate::onnx::weights::Weights;
use crate::ops::engine::Engine;
use crate::ops::layers::LayerError;
use crate::ops::op::{NativeOp, OpError, run_once};
use crate::ops::parse::{detach, register};
use crate::options::LoadOptions;
use crate::processor::ImageGptImageProcessor;

/// How the weights of a model came into memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    /// The file holds them as the kernels read them: they are used where they lie.
    InPlace,
    /// They were packed while loading.
    AtLoad {
        /// How the file holds them: row-major if absent, otherwise in the panels of other kernels.
        file: Option<Panels>,
    },
}

impl fmt::Display for Packing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InPlace => f.write_str("used where they lie in the file"),
            Self::AtLoad { file: None } => f.write_str("packed while loading"),
            Self::AtLoad { file: Some(panels) } => {
                write!(f, "repacked from {panels} while loading")
            }
        }
    }
}

/// What a forward pass gives.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct ModelOutput {
    /// Hugging Face's `hidden_states`: `n_layer + 1` of `[batch, tokens, n_embd]`, the last after `ln_f`.
    pub hidden_states: Vec<Vec<f32>>,
    /// `[batch, num_labels]` or `[batch, tokens, vocab_size - 1]`; empty for a file without a head.
    pub logits: Vec<f32>,
}

impl ModelOutput {
    /// Hugging Face's `last_hidden_state`.
    #[must_use]
    pub fn last_hidden_state(&self) -> Option<&[f32]> {
        self.hidden_states.last().map(Vec::as_slice)
    }
}

/// A loaded model file, whatever its head.
#[derive(Debug)]
pub struct ImageGptModel {
    pub(crate) name: String,
    pub(crate) task: Task,
    dtype: Dtype,
    pub(crate) config: ImageGptConfig,
    pub(crate) processor: Option<Arc<ImageGptImageProcessor>>,
    pub(crate) engine: Arc<Engine>,
    pub(crate) packing: Packing,
    /// Gives the logits.
    head: Option<Arc<TypedSimplePlan>>,
    /// Gives every hidden state, then the logits.
    all: Arc<TypedSimplePlan>,
}

impl ImageGptModel {
    /// Loads a file.
    ///
    /// # Errors
    /// If it cannot be read, is damaged, or is not for this build or machine.
    pub fn load(path: impl AsRef<Path>, options: &LoadOptions) -> Result<Self, Error> {
        let path = path.as_ref();
        Self::build(options, || ModelFile::open(path))
    }

    /// Loads a file that is in memory, such as an embedded one (`&'static [u8]`); its weights are used where
    /// they lie if they can be.
    ///
    /// # Errors
    /// As [`ImageGptModel::load`].
    pub fn from_bytes(bytes: impl Into<Bytes>, options: &LoadOptions) -> Result<Self, Error> {
        let source = bytes.into().into();
        Self::build(options, || ModelFile::decode("embedded model", source))
    }

    fn build(
        options: &LoadOptions,
        read: impl FnOnce() -> Result<ModelFile, Error> + Send,
    ) -> Result<Self, Error> {
        let kernels = options
            .cpu
            .map_or_else(|| Ok(Kernels::best()), Kernels::for_isa)?;
        let engine = Arc::new(Engine::new(kernels, options.threads)?);
        let ModelFile {
            name,
            task,
            dtype,
            config,
            processor,
            mut proto,
            mut weights,
            // Its checksum takes the threads that were asked for, no more.
        } = engine.pool.install(read)?;
        let packing = match (dtype, weights.panels) {
            (Dtype::Int8, Some(file)) if file == engine.kernels.panels() => Packing::InPlace,
            (Dtype::Int8, file) => Packing::AtLoad { file },
            (Dtype::Int4 | Dtype::F32, _) => Packing::AtLoad { file: None },
        };
        let unfit = |what| Error::Format {
            name: name.clone(),
            source: FormatError::Contents(what),
        };
        let format = |e: tract_onnx::prelude::TractError| unfit(format!("{e:#}"));
        let panels = engine.kernels.panels();
        let repacked = engine.pool.install(|| weights.repack(panels));
        repacked.map_err(unfit)?;
        if let Some(graph) = &mut proto.graph {
            detach(graph, &weights);
        }
        let typed = plan(&proto, &engine, &weights).map_err(format)?;
        drop((proto, weights));
        let mut outputs: Vec<String> = (0..=config.n_layer)
            .map(|i| format!("hidden_states.{i}"))
            .collect();
        let head = if task == Task::Features {
            None
        } else {
            outputs.push("logits".into());
            Some(select(&typed, &["logits".into()]).map_err(format)?)
        };
        let all = select(&typed, &outputs).map_err(format)?;
        Ok(Self {
            name,
            task,
            dtype,
            config,
            processor: processor.map(Arc::new),
            engine,
            packing,
            head,
            all,
        })
    }

    /// What to tell whoever runs a file that was packed for another CPU: loading it takes longer than it has
    /// to.
    #[must_use]
    pub fn repacked(&self) -> Option<String> {
        let Packing::AtLoad { file: Some(file) } = self.packing else {
            return None;
        };
        let (isa, panels) = (self.isa(), self.panels());
        Some(format!(
            "weights repacked from {file} to {panels} while loading; \
             `igpt quantize --pack {isa}` makes a file that needs none"
        ))
    }

    /// In which panels the kernels in use read int8 weights.
    fn panels(&self) -> Panels {
        self.engine.kernels.panels()
    }

    /// What the file is for.
    #[must_use]
    pub fn task(&self) -> Task {
        self.task
    }

    /// How its linear layers are stored and computed.
    #[must_use]
    pub fn dtype(&self) -> Dtype {
        self.dtype
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

    /// The instruction set in use.
    #[must_use]
    pub fn isa(&self) -> Isa {
        self.engine.kernels.isa()
    }

    /// The threads that runs are spread over.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.engine.pool.current_num_threads()
    }

    /// The logits of one sequence, without the hidden states: `[num_labels]` or `[tokens, vocab_size - 1]`.
    ///
    /// # Errors
    /// On a file without a head, tokens that do not fit the model, or activations that overflow.
    pub fn logits(&self, tokens: &[u16]) -> Result<Vec<f32>, Error> {
        self.check_tokens(tokens)?;
        let mut state = self.spawn(self.head()?)?;
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
            let mut state = self.spawn(&self.all)?;
            run_once(&mut state.op_states, true);
            let mut values = self.run(&mut state, tokens)?;
            if self.task != Task::Features {
                output.logits.extend(values.pop().unwrap_or_default());
            }
            for (all, one) in output.hidden_states.iter_mut().zip(values) {
                all.extend(one);
            }
        }
        Ok(output)
    }

    pub(crate) fn head(&self) -> Result<&Arc<TypedSimplePlan>, Error> {
        self.head.as_ref().ok_or_else(|| Error::Task {
            name: self.name.clone(),
            found: self.task,
            expected: &[Task::Classify, Task::Causal],
        })
    }

    pub(crate) fn spawn(&self, plan: &Arc<TypedSimplePlan>) -> Result<State, Error> {
        plan.spawn().map_err(|e| Error::Run {
            name: self.name.clone(),
            what: format!("{e:#}"),
        })
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
        let run = || -> TractResult<Vec<Vec<f32>>> {
            let ids = Tensor::from_shape(&[1, ids.len()], &ids)?;
            let outputs = state.run(tvec!(ids.into()))?;
            let read = |t: &tract_onnx::prelude::TValue| {
                Ok(t.try_as_plain_ram()?.as_slice::<f32>()?.to_vec())
            };
            outputs.iter().map(read).collect()
        };
        // In the pool from here on, so that no operator pays for getting there.
        let outputs = self.engine.pool.install(run);
        outputs.map_err(|e| self.run_error(&e))
    }

    /// A failed run's error, typed again: it went through tract.
    fn run_error(&self, error: &tract_onnx::prelude::TractError) -> Error {
        let name = self.name.clone();
        match error.downcast_ref::<OpError>() {
            Some(OpError { layer, source }) => match source {
                LayerError::NonFinite(NonFinite { row, found }) => Error::NonFinite {
                    name,
                    layer: layer.clone(),
                    row: *row,
                    found: *found,
                },
                LayerError::Tokens(source) => source.clone().into(),
            },
            None => Error::Run {
                name,
                what: format!("{error:#}"),
            },
        }
    }
}

/// A session's state: the past of every operator.
pub(crate) type State = tract_onnx::prelude::TypedSimpleState;

/// The typed model with every operator packed for this machine.
fn plan(
    proto: &tract_onnx::pb::ModelProto,
    engine: &Arc<Engine>,
    weights: &Weights,
) -> TractResult<TypedModel> {
    // The file's symbolic shapes leave the batch open; here it is one.
    // Without the operators that tract-onnx brings: the file's check lets none of them through, and the linker
    // drops what nothing names.
    let mut onnx = tract_onnx::Onnx::default()
        .with_ignore_value_info(true)
        .with_ignore_output_shapes(true);
    register(&mut onnx);
    let model = onnx.model_for_proto_model(proto)?;
    let tokens = model.symbols.sym("tokens");
    let fact = i64::fact([1.to_dim(), tokens.to_dim()]);
    let mut typed = model.with_input_fact(0, fact.into())?.into_typed()?;
    let nodes = typed.nodes_mut();
    engine.pool.install(|| {
        nodes.par_iter_mut().try_for_each(|node| {
            node.op_as_mut::<NativeOp>()
                .map_or(Ok(()), |op| op.prepare(engine, weights))
        })
    })?;
    Ok(typed)
}

/// A plan that computes only these values.
fn select(typed: &TypedModel, names: &[String]) -> TractResult<Arc<TypedSimplePlan>> {
    let mut model = typed.clone();
    let mut outlets = vec![];
    for name in names {
        outlets.push(
            model
                .find_outlet_label(name)
                .with_context(|| format!("the graph has no value {name}"))?,
        );
    }
    model.select_output_outlets(&outlets)?;
    model.into_optimized()?.into_runnable()
}
