//! A model file planned by tract and run by our kernels, whatever its family.

mod segment;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use igpt_kernels::{Isa, Kernels, NonFinite, Panels};
use rayon::prelude::*;
use tract_onnx::prelude::{
    DatumExt as _, Framework as _, InferenceModelExt as _, TValue, Tensor, TractError, TypedFact,
    TypedModel, TypedSimplePlan, tvec,
};
use tract_onnx::tract_hir::internal::{ToDim as _, TractResult};

use crate::error::{Error, FormatError};
use crate::kind::{Dtype, Task};
use crate::onnx::weights::Weights;
use crate::onnx::{Family, ModelFile};
use crate::ops::engine::Engine;
use crate::ops::layer::LayerError;
use crate::ops::op::{NativeOp, OpError};
use crate::ops::parse::{detach, register};
use crate::options::LoadOptions;
use crate::profile::Operator;
pub(crate) use segment::Segment;
use segment::{only, select};

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
    /// Hugging Face's `hidden_states`. Of an ImageGPT `n_layer + 1` of `[batch, tokens, n_embd]`, the last after `ln_f`;
    /// of a SegFormer one a stage, `[batch, height, width, channels]`, where Hugging Face has the channels first.
    pub hidden_states: Vec<Vec<f32>>,
    /// Of a classifier `[batch, num_labels]`, of a language model `[batch, tokens, vocab_size - 1]`; empty for a file
    /// without a head.
    pub logits: Vec<f32>,
}

impl ModelOutput {
    /// Hugging Face's `last_hidden_state`.
    #[must_use]
    pub fn last_hidden_state(&self) -> Option<&[f32]> {
        self.hidden_states.last().map(Vec::as_slice)
    }
}

/// A file that was read and checked, on its way to a model.
#[derive(Debug)]
pub(crate) struct Opened {
    engine: Arc<Engine>,
    file: ModelFile,
}

/// What a family's planned model is given.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Input {
    /// Token ids, any number of them.
    Tokens,
    /// Numbers of this shape.
    Values([usize; 4]),
}

impl Opened {
    /// Opens the file at `path`.
    pub(crate) fn file(path: &Path, options: &LoadOptions) -> Result<Self, Error> {
        Self::read(options, || ModelFile::open(path))
    }

    /// Opens a file that is in memory.
    pub(crate) fn bytes(bytes: Bytes, options: &LoadOptions) -> Result<Self, Error> {
        let source = bytes.into();
        Self::read(options, || ModelFile::decode("embedded model", source))
    }

    fn read(
        options: &LoadOptions,
        read: impl FnOnce() -> Result<ModelFile, Error> + Send,
    ) -> Result<Self, Error> {
        let kernels = options
            .cpu
            .map_or_else(|| Ok(Kernels::best()), Kernels::for_isa)?;
        let engine = Arc::new(Engine::new(kernels, options.threads)?);
        // Its checksum takes the threads that were asked for, no more.
        let file = engine.pool.install(read)?;
        Ok(Self { engine, file })
    }

    /// The family's own.
    pub(crate) fn family(&self) -> &Family {
        &self.file.family
    }

    /// The error of a file whose family is not the one that was asked for.
    pub(crate) fn another(&self, expected: &'static str) -> Error {
        Error::Family {
            name: self.file.name.clone(),
            found: match self.file.family {
                Family::ImageGpt { .. } => "imagegpt",
                Family::Segformer { .. } => "segformer",
            },
            expected,
        }
    }

    /// Plans the graph for `input`, with so many hidden states to be had, and by itself each of the `segments` that it can be run in.
    pub(crate) fn plan(
        self,
        input: Input,
        hidden_states: usize,
        segments: &[Segment],
    ) -> Result<(Core, Family), Error> {
        let Self { engine, file } = self;
        let ModelFile {
            name,
            task,
            dtype,
            family,
            mut proto,
            mut weights,
        } = file;
        let packing = match (dtype, weights.panels) {
            (Dtype::Int8, Some(file)) if file == engine.kernels.panels() => Packing::InPlace,
            (Dtype::Int8, file) => Packing::AtLoad { file },
            (Dtype::Int4 | Dtype::F32, _) => Packing::AtLoad { file: None },
        };
        let unfit = |what| Error::Format {
            name: name.clone(),
            source: FormatError::Contents(what),
        };
        let format = |e: TractError| unfit(format!("{e:#}"));
        let panels = engine.kernels.panels();
        let repacked = engine.pool.install(|| weights.repack(panels));
        repacked.map_err(unfit)?;
        if let Some(graph) = &mut proto.graph {
            detach(graph, &weights);
        }
        let typed = plan(&proto, input, &engine, &weights).map_err(format)?;
        drop((proto, weights));
        let mut outputs: Vec<String> = (0..hidden_states)
            .map(|i| format!("hidden_states.{i}"))
            .collect();
        let head = if task == Task::Features {
            None
        } else {
            outputs.push("logits".into());
            Some(select(&typed, &["logits".into()]).map_err(format)?)
        };
        let all = select(&typed, &outputs).map_err(format)?;
        let segments = segments.iter().map(|segment| segment.plan(&typed));
        let segments = segments.collect::<Result<_, _>>().map_err(format)?;
        let core = Core {
            name,
            task,
            dtype,
            engine,
            packing,
            head,
            all,
            segments,
        };
        Ok((core, family))
    }
}

/// A loaded model file, whatever its family.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) name: String,
    pub(crate) task: Task,
    pub(crate) dtype: Dtype,
    pub(crate) engine: Arc<Engine>,
    pub(crate) packing: Packing,
    /// Gives the logits.
    head: Option<Arc<TypedSimplePlan>>,
    /// Gives every hidden state, then the logits.
    all: Arc<TypedSimplePlan>,
    /// Each begins where the one before it ends.
    segments: Vec<Arc<TypedSimplePlan>>,
}

/// A session's state: the past of every operator.
pub(crate) type State = tract_onnx::prelude::TypedSimpleState;

impl Core {
    /// What to tell whoever runs a file that was packed for another CPU: loading it takes longer than it has
    /// to.
    pub(crate) fn repacked(&self) -> Option<String> {
        let Packing::AtLoad { file: Some(file) } = self.packing else {
            return None;
        };
        let (isa, panels) = (self.isa(), self.engine.kernels.panels());
        Some(format!(
            "weights repacked from {file} to {panels} while loading; \
             `igpt quantize --pack {isa}` makes a file that needs none"
        ))
    }

    pub(crate) fn isa(&self) -> Isa {
        self.engine.kernels.isa()
    }

    pub(crate) fn threads(&self) -> usize {
        self.engine.threads()
    }

    /// Time in these operators since the last call, summed over threads and runs.
    pub(crate) fn take_profile(
        &self,
        operators: &[Operator],
    ) -> Vec<(Operator, std::time::Duration)> {
        self.engine.profile.take(operators)
    }

    /// The plan that gives the logits.
    pub(crate) fn head(&self) -> Result<&Arc<TypedSimplePlan>, Error> {
        self.head.as_ref().ok_or_else(|| Error::Task {
            name: self.name.clone(),
            found: self.task,
            expected: &[Task::Classify, Task::Causal],
        })
    }

    /// A new state of the plan that gives every hidden state, and logits if there is a head.
    pub(crate) fn spawn_all(&self) -> Result<State, Error> {
        self.spawn(&self.all)
    }

    /// A plan that gives the hidden states of these layers and computes nothing after them; they are numbered from
    /// `first` to `last`.
    pub(crate) fn layers(
        &self,
        layers: &[usize],
        first: usize,
        last: usize,
    ) -> Result<Arc<TypedSimplePlan>, Error> {
        let outside = |layer: &&usize| !(first..=last).contains(*layer);
        if layers.is_empty() || layers.iter().any(|layer| outside(&layer)) {
            return Err(Error::Layer {
                name: self.name.clone(),
                found: layers.iter().find(outside).copied(),
                first,
                last,
            });
        }
        let make = || {
            let model = self.all.model();
            let all = model.output_outlets()?;
            let outlets: Vec<_> = layers.iter().map(|layer| all[layer - first]).collect();
            only(model, &outlets)
        };
        make().map_err(|error| self.error(&error))
    }

    /// A new state of each segment.
    pub(crate) fn spawn_segments(&self) -> Result<Vec<State>, Error> {
        self.segments.iter().map(|plan| self.spawn(plan)).collect()
    }

    pub(crate) fn spawn(&self, plan: &Arc<TypedSimplePlan>) -> Result<State, Error> {
        plan.spawn().map_err(|e| self.error(&e))
    }

    /// Runs an input, checked by the caller, that follows a state's past.
    pub(crate) fn run(&self, state: &mut State, input: Tensor) -> Result<Vec<Vec<f32>>, Error> {
        let run = || -> TractResult<Vec<Vec<f32>>> {
            let outputs = state.run(tvec!(input.into()))?;
            let read = |t: &TValue| Ok(t.try_as_plain_ram()?.as_slice::<f32>()?.to_vec());
            outputs.iter().map(read).collect()
        };
        let outputs = self.engine.pass(run);
        outputs.map_err(|e| self.error(&e))
    }

    /// An error of tract's, typed again if it is one of ours that went through tract.
    pub(crate) fn error(&self, error: &TractError) -> Error {
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

/// The typed model with every operator packed for this machine.
fn plan(
    proto: &tract_onnx::pb::ModelProto,
    input: Input,
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
    let fact: TypedFact = match input {
        Input::Tokens => {
            let tokens = model.symbols.sym("tokens");
            i64::fact([1.to_dim(), tokens.to_dim()])
        }
        Input::Values(shape) => f32::fact(shape),
    };
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
