//! The one operator tract sees: shaped for its planner, run by a [`Layer`], its past kept in tract's state.

use std::sync::Arc;

use anyhow::{Context as _, bail, ensure};
use igpt_kernels::Heads;
use tract_onnx::prelude::{DatumExt as _, TVec, TractResult, TypedFact, tvec};
use tract_onnx::tract_hir::internal::{
    EvalContext, EvalOp, IntoTensor as _, LaneId, Op, OpState, StaticName, TDim, TValue, Tensor,
    ToDim as _, TypedOp, as_op, not_out_of_plan, op_as_typed_op,
};

use super::block::Block;
use super::constants::Constants;
use super::engine::Engine;
use super::kind::{Attributes, Kind};
use super::layers::{Layer, LayerError};
use super::state::LayerState;
use crate::onnx::weights::Weights;
use crate::profile::Operator;

/// The operator in the typed model.
#[derive(Clone, Debug)]
pub(crate) struct NativeOp {
    kind: Kind,
    name: Arc<str>,
    attributes: Attributes,
    ready: Option<(Arc<Engine>, Arc<Layer>)>,
}

impl PartialEq for NativeOp {
    fn eq(&self, other: &Self) -> bool {
        // Two nodes with the same weights are still two nodes: each has its own past.
        self.name == other.name && self.kind == other.kind
    }
}

impl Eq for NativeOp {}

impl NativeOp {
    /// One that has yet to find its constants.
    pub(super) fn new(kind: Kind, name: &str, attributes: Attributes) -> Self {
        Self {
            kind,
            name: name.into(),
            attributes,
            ready: None,
        }
    }

    /// Finds the constants, and packs those that this machine wants in another order.
    pub(crate) fn prepare(&mut self, engine: &Arc<Engine>, weights: &Weights) -> TractResult<()> {
        let mut constants = Constants::new(&self.attributes.constants, weights, engine);
        let layer = self.layer(&mut constants)?;
        ensure!(constants.len() == 0, "{}: too many constants", self.name);
        self.ready = Some((engine.clone(), Arc::new(layer)));
        Ok(())
    }

    fn heads(&self, width: usize) -> TractResult<Heads> {
        let count = self.attributes.num_heads;
        ensure!(
            count > 0 && width.is_multiple_of(count),
            "{count} heads do not divide {width}"
        );
        Ok(Heads {
            count,
            dim: width / count,
        })
    }

    fn layer(&self, constants: &mut Constants<'_>) -> TractResult<Layer> {
        Ok(match self.kind {
            Kind::Embedding => {
                let (wte, [vocab_size, width]) = constants.embedding()?;
                let (wpe, [n_positions, _]) = constants.embedding()?;
                Layer::Embedding {
                    wte,
                    wpe,
                    vocab_size,
                    n_positions,
                    width,
                }
            }
            Kind::BlockInt8 => {
                Layer::BlockInt8(Box::new(self.block(constants, Constants::linear_int8)?))
            }
            Kind::BlockInt4 => {
                Layer::BlockInt8(Box::new(self.block(constants, Constants::linear_int4)?))
            }
            Kind::BlockF32 => {
                Layer::BlockF32(Box::new(self.block(constants, Constants::linear_f32)?))
            }
            Kind::Norm => Layer::Norm {
                gain: constants.f32s()?,
                eps: self.attributes.epsilon,
            },
            Kind::LinearInt8 => Layer::LinearInt8(constants.linear_int8()?),
            Kind::LinearF32 => Layer::LinearF32(constants.linear_f32()?),
            Kind::ClassificationHead => {
                let (weight, width) = constants.head()?;
                let bias = (constants.len() > 0)
                    .then(|| constants.f32s())
                    .transpose()?;
                Layer::ClassificationHead {
                    weight,
                    bias,
                    width,
                }
            }
        })
    }

    /// A block whose linear layers `linear` takes, in the order of the operator's inputs.
    fn block<'a, L>(
        &self,
        constants: &mut Constants<'a>,
        linear: fn(&mut Constants<'a>) -> TractResult<L>,
    ) -> TractResult<Block<L>> {
        let ln_1 = constants.f32s()?;
        Ok(Block {
            heads: self.heads(ln_1.len())?,
            eps: self.attributes.epsilon,
            scale: self.attributes.scale,
            activation: self.attributes.activation.context("activation")?,
            ln_1,
            c_attn: linear(constants)?,
            attn_c_proj: linear(constants)?,
            ln_2: constants.f32s()?,
            c_fc: linear(constants)?,
            mlp_c_proj: linear(constants)?,
        })
    }

    fn output_shape<D: Clone>(&self, input: &[D], width: impl Fn(usize) -> D) -> TVec<D> {
        let mut shape: TVec<D> = input.into();
        match self.kind {
            Kind::ClassificationHead => shape.truncate(1),
            Kind::LinearInt8 | Kind::LinearF32 => shape.truncate(2),
            Kind::Embedding | Kind::BlockInt8 | Kind::BlockInt4 | Kind::BlockF32 | Kind::Norm => {}
        }
        shape.extend(self.attributes.width.map(width));
        shape
    }

    fn run(&self, state: &mut LayerState, input: TValue) -> TractResult<Tensor> {
        let Some((engine, layer)) = &self.ready else {
            bail!("{} was not prepared", self.name)
        };
        ensure!(
            input.shape()[0] == 1,
            "{}: one sequence at a time, found {}",
            self.name,
            input.shape()[0]
        );
        if layer.is_in_place() {
            let mut x = input.into_tensor();
            layer
                .update(
                    engine,
                    state,
                    x.try_as_plain_ram_mut()?.as_slice_mut::<f32>()?,
                )
                .map_err(|source| self.error(source))?;
            return Ok(x);
        }
        let shape = self.output_shape(input.shape(), |n| n);
        let mut y = Tensor::zero::<f32>(&shape)?;
        let x = input.try_as_plain_ram()?;
        let mut out = y.try_as_plain_ram_mut()?;
        let out = out.as_slice_mut::<f32>()?;
        let mut laps = engine.profile.laps();
        let (done, operator) = match self.kind {
            Kind::Embedding => {
                let ids = x.as_slice::<i64>()?;
                (layer.embed(state, ids, out), Operator::Embedding)
            }
            _ => {
                let x = x.as_slice::<f32>()?;
                (layer.apply(engine, state, x, out), Operator::Head)
            }
        };
        done.map_err(|source| self.error(source))?;
        laps.end(operator);
        Ok(y)
    }

    fn error(&self, source: LayerError) -> OpError {
        OpError {
            layer: self.name.to_string(),
            source,
        }
    }
}

impl Op for NativeOp {
    fn name(&self) -> StaticName {
        format!("ImageGpt{:?}", self.kind).into()
    }

    op_as_typed_op!();
}

impl EvalOp for NativeOp {
    not_out_of_plan!();

    fn state(&self, _: &EvalContext) -> TractResult<Option<Box<dyn OpState>>> {
        Ok(Some(Box::new(NativeState(LayerState::default()))))
    }
}

impl TypedOp for NativeOp {
    as_op!();

    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        let shape = self.output_shape::<TDim>(&inputs[0].shape.to_tvec(), |n| n.to_dim());
        Ok(tvec!(f32::fact(shape)))
    }
}

/// A layer's error and which one it was.
#[derive(Debug, thiserror::Error)]
#[error("{layer}: {source}")]
pub(crate) struct OpError {
    pub(crate) layer: String,
    pub(crate) source: LayerError,
}

/// A session's past of one operator.
#[derive(Clone, Debug)]
pub(crate) struct NativeState(pub(crate) LayerState);

impl OpState for NativeState {
    fn eval(
        &mut self,
        _: &EvalContext,
        op: &dyn Op,
        mut inputs: TVec<TValue>,
    ) -> TractResult<TVec<TValue>> {
        let op = op
            .downcast_ref::<NativeOp>()
            .context("a state of another operator")?;
        let input = inputs
            .pop()
            .with_context(|| format!("{} has no input", op.name))?;
        Ok(tvec!(op.run(&mut self.0, input)?.into()))
    }

    fn reset_lanes(&mut self, _: &[LaneId]) -> TractResult<()> {
        self.0.truncate(0);
        Ok(())
    }
}

/// Says whether the next run of a session is the last that needs its past: then no operator keeps more than
/// it needs for that run.
pub(crate) fn run_once(states: &mut [Option<Box<dyn OpState>>], once: bool) {
    for state in states.iter_mut().filter_map(native) {
        state.once = once;
    }
}

/// Forgets, in every operator of a session, the tokens from `tokens` on.
pub(crate) fn truncate(states: &mut [Option<Box<dyn OpState>>], tokens: usize) {
    for state in states.iter_mut().filter_map(native) {
        state.truncate(tokens);
    }
}

/// Makes `joined`, the operators of a new session, those of several sequences in lockstep: operator by
/// operator, the pasts of `states` are its lanes.
pub(crate) fn join(
    joined: &mut [Option<Box<dyn OpState>>],
    states: &mut [&mut [Option<Box<dyn OpState>>]],
) {
    for (i, joined) in joined.iter_mut().enumerate() {
        let Some(joined) = native(joined) else {
            continue;
        };
        let lanes = states.iter_mut().filter_map(|state| native(&mut state[i]));
        joined.lanes = lanes.map(std::mem::take).collect();
    }
}

/// Lets go, in every operator of a lockstep, of the lanes that are not to be kept.
pub(crate) fn retain(states: &mut [Option<Box<dyn OpState>>], keep: &[bool]) {
    for state in states.iter_mut().filter_map(native) {
        let mut keep = keep.iter();
        state.lanes.retain(|_| keep.next().is_none_or(|keep| *keep));
    }
}

fn native(state: &mut Option<Box<dyn OpState>>) -> Option<&mut LayerState> {
    let NativeState(state) = state.as_mut()?.downcast_mut::<NativeState>()?;
    Some(state)
}
