//! The one operator tract sees: shaped for its planner, run by a [`Layer`], its past kept in tract's state.

use std::sync::Arc;

use anyhow::{Context as _, bail, ensure};
use tract_onnx::prelude::{DatumExt as _, TVec, TractResult, TypedFact, tvec};
use tract_onnx::tract_hir::internal::{
    EvalContext, EvalOp, IntoTensor as _, LaneId, Op, OpState, StaticName, TDim, TValue, Tensor,
    TypedOp, as_op, not_out_of_plan, op_as_typed_op,
};

use super::constants::Constants;
use super::engine::Engine;
use super::kind::{Attributes, Kind};
use super::layer::{Layer, LayerError};
use super::state::LayerState;
use crate::onnx::weights::Weights;
use crate::profile::Operator;

/// The operator in the typed model.
#[derive(Clone, Debug)]
pub(crate) struct NativeOp {
    kind: &'static Kind,
    name: Arc<str>,
    attributes: Attributes,
    ready: Option<(Arc<Engine>, Arc<Layer>)>,
}

impl PartialEq for NativeOp {
    fn eq(&self, other: &Self) -> bool {
        // Two nodes with the same weights are still two nodes: each has its own past.
        self.name == other.name && std::ptr::eq(self.kind, other.kind)
    }
}

impl Eq for NativeOp {}

impl NativeOp {
    /// One that has yet to find its constants.
    pub(super) fn new(kind: &'static Kind, name: &str, attributes: Attributes) -> Self {
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
        let layer = (self.kind.make)(&self.attributes, &mut constants)?;
        ensure!(constants.len() == 0, "{}: too many constants", self.name);
        self.ready = Some((engine.clone(), Arc::new(layer)));
        Ok(())
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
        let engine = engine.as_ref();
        if let Layer::Update(layer) = layer.as_ref() {
            let mut x = input.into_tensor();
            let shape: TVec<usize> = x.shape().into();
            let mut values = x.try_as_plain_ram_mut()?;
            layer
                .update(engine, state, &shape, values.as_slice_mut::<f32>()?)
                .map_err(|source| self.error(source))?;
            return Ok(x);
        }
        let shape = self.attributes.output_shape(input.shape())?;
        let mut y = engine.tensors.take(&shape)?;
        let x = input.try_as_plain_ram()?;
        let mut out = y.try_as_plain_ram_mut()?;
        let out = out.as_slice_mut::<f32>()?;
        let done = match layer.as_ref() {
            Layer::Embed(layer) => {
                let mut laps = engine.profile.laps();
                let done = layer.embed(state, x.as_slice::<i64>()?, out);
                laps.end(Operator::Embedding);
                done
            }
            Layer::Apply(layer) => {
                layer.apply(engine, state, input.shape(), x.as_slice::<f32>()?, out)
            }
            Layer::Update(_) => Ok(()),
        };
        done.map_err(|source| self.error(source))?;
        engine.tensors.put(input);
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
        self.kind.name.into()
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
        let input: TVec<TDim> = inputs[0].shape.to_tvec();
        let shape = self.attributes.output_shape(&input)?;
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
