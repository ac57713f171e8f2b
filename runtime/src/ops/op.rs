//! The one operator tract sees: parsed from a node of ours, shaped for its planner, run by a [`Layer`].

use std::sync::Arc;

use anyhow::{Context as _, bail, ensure};
use igpt_kernels::{Activation, Heads};
use tract_onnx::Onnx;
use tract_onnx::model::ParsingContext;
use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::{self, AttributeProto, NodeProto};
use tract_onnx::prelude::{
    Datum, DatumExt as _, OutletId, TVec, TractResult, TypedFact, TypedModel, tvec,
};
use tract_onnx::tract_hir::internal::{
    EvalContext, EvalOp, Expansion, InferenceOp, InferenceResult, IntoTensor as _, LaneId, Op,
    OpState, Solver, SpecialOps as _, StaticName, TDim, TValue, Tensor, TensorProxy, ToDim as _,
    TypedOp, as_op, expand, not_out_of_plan, op_as_typed_op,
};

use super::block_f32::BlockF32;
use super::block_int8::BlockInt8;
use super::constants::Constants;
use super::engine::Engine;
use super::layers::{Layer, LayerError};
use super::state::LayerState;
use crate::onnx::weights::Weights;
use crate::profile::Operator;

/// Which operator a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Embedding,
    BlockInt8,
    BlockInt4,
    BlockF32,
    Norm,
    LinearInt8,
    LinearF32,
    ClassificationHead,
}

/// Attributes of a node, those of a block or a norm.
#[derive(Clone, Debug, Default)]
pub(crate) struct Attributes {
    pub(crate) num_heads: usize,
    pub(crate) epsilon: f32,
    pub(crate) scale: f32,
    pub(crate) activation: Option<Activation>,
    /// Names of the constants, in the order of the node's inputs.
    constants: Vec<String>,
    /// Width of the output, if it is not the input's.
    width: Option<usize>,
}

/// Attributes that [`detach`] adds.
const CONSTANTS: &str = "igpt.constants";
const WIDTH: &str = "igpt.width";

/// Takes the constants out of the graph, so that tract copies none of them: nodes keep their names.
pub(crate) fn detach(graph: &mut pb::GraphProto, weights: &Weights) {
    graph.initializer.clear();
    for node in &mut graph.node {
        let names = node.input.split_off(node.input.len().min(1));
        let dims = |name: Option<&String>| {
            let constant = weights.constants.get(name?)?;
            Some(constant.dims.as_slice())
        };
        let width = match (node.op_type.as_str(), dims(names.first())) {
            ("ImageGptClassificationHead", Some([labels, _])) => Some(*labels),
            ("ImageGptEmbedding" | "ImageGptLinearInt8" | "ImageGptLinearF32", Some([_, n])) => {
                Some(*n)
            }
            _ => None,
        };
        node.attribute.extend(width.map(|width| AttributeProto {
            name: WIDTH.into(),
            r#type: AttributeType::Int.into(),
            i: width as i64,
            ..AttributeProto::default()
        }));
        node.attribute.push(AttributeProto {
            name: CONSTANTS.into(),
            r#type: AttributeType::Strings.into(),
            strings: names.into_iter().map(String::into_bytes).collect(),
            ..AttributeProto::default()
        });
    }
}

/// A node as parsed; its constants are found when it is wired.
#[derive(Clone, Debug)]
struct Parsed {
    kind: Kind,
    attributes: Attributes,
}

/// The operator in the typed model.
#[derive(Clone, Debug)]
pub(crate) struct NativeOp {
    kind: Kind,
    name: Arc<str>,
    attributes: Attributes,
    ready: Option<(Arc<Engine>, Arc<Layer>)>,
}

/// Tells tract about our operators. Its registry knows no domains, hence the long names.
pub(crate) fn register(onnx: &mut Onnx) {
    onnx.op_register
        .insert("ImageGptEmbedding", |_, node| parse(Kind::Embedding, node));
    onnx.op_register
        .insert("ImageGptBlockInt8", |_, node| parse(Kind::BlockInt8, node));
    onnx.op_register
        .insert("ImageGptBlockInt4", |_, node| parse(Kind::BlockInt4, node));
    onnx.op_register
        .insert("ImageGptBlockF32", |_, node| parse(Kind::BlockF32, node));
    onnx.op_register.insert("ImageGptLinearInt8", |_, node| {
        parse(Kind::LinearInt8, node)
    });
    onnx.op_register
        .insert("ImageGptLinearF32", |_, node| parse(Kind::LinearF32, node));
    onnx.op_register
        .insert("ImageGptClassificationHead", |_, node| {
            parse(Kind::ClassificationHead, node)
        });
    // The standard operator, with our bits: tract's own differs from one instruction set to the next.
    onnx.op_register.insert("RMSNormalization", parse_norm);
}

fn parse_norm(
    _: &ParsingContext,
    node: &NodeProto,
) -> TractResult<(Box<dyn InferenceOp>, Vec<String>)> {
    parse(Kind::Norm, node)
}

fn parse(kind: Kind, node: &NodeProto) -> TractResult<(Box<dyn InferenceOp>, Vec<String>)> {
    let mut attributes = Attributes {
        constants: node.get_attr_tvec::<String>(CONSTANTS)?.into_vec(),
        width: node.get_attr_opt(WIDTH)?,
        ..Attributes::default()
    };
    if matches!(kind, Kind::BlockInt8 | Kind::BlockInt4 | Kind::BlockF32) {
        attributes.num_heads = node.get_attr("num_heads")?;
        attributes.scale = node.get_attr("scale")?;
        let name: String = node.get_attr("activation")?;
        let activation = crate::config::Activation::from_name(&name)
            .with_context(|| format!("activation {name}"))?;
        attributes.activation = Some(activation.into());
    }
    if matches!(
        kind,
        Kind::BlockInt8 | Kind::BlockInt4 | Kind::BlockF32 | Kind::Norm
    ) {
        attributes.epsilon = node.get_attr("epsilon")?;
    }
    Ok((expand(Parsed { kind, attributes }), vec![]))
}

impl Parsed {
    fn width(&self) -> TractResult<usize> {
        let width = self.attributes.width;
        width.with_context(|| format!("the width of {:?}", self.kind))
    }
}

impl Expansion for Parsed {
    fn name(&self) -> StaticName {
        format!("ImageGpt{:?}", self.kind).into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        s: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        let (x, y) = (&inputs[0], &outputs[0]);
        s.equals(&y.datum_type, f32::datum_type())?;
        s.equals(&y.shape[0], &x.shape[0])?;
        match self.kind {
            Kind::ClassificationHead => {
                s.equals(&y.rank, 2)?;
                s.equals(&y.shape[1], self.width()?.to_dim())
            }
            Kind::Embedding | Kind::LinearInt8 | Kind::LinearF32 => {
                s.equals(&y.rank, 3)?;
                s.equals(&y.shape[1], &x.shape[1])?;
                s.equals(&y.shape[2], self.width()?.to_dim())
            }
            Kind::BlockInt8 | Kind::BlockInt4 | Kind::BlockF32 | Kind::Norm => {
                s.equals(&y.shape, &x.shape)
            }
        }
    }

    fn wire(
        &self,
        prefix: &str,
        model: &mut TypedModel,
        inputs: &[OutletId],
    ) -> TractResult<TVec<OutletId>> {
        let op = NativeOp {
            kind: self.kind,
            name: prefix.into(),
            attributes: self.attributes.clone(),
            ready: None,
        };
        model.wire_node(prefix, op, &[inputs[0]])
    }
}

impl PartialEq for NativeOp {
    fn eq(&self, other: &Self) -> bool {
        // Two nodes with the same weights are still two nodes: each has its own past.
        self.name == other.name && self.kind == other.kind
    }
}

impl Eq for NativeOp {}

impl NativeOp {
    /// Finds the constants, and packs those that this machine wants in another order.
    pub(crate) fn prepare(&mut self, engine: &Arc<Engine>, weights: &Weights) -> TractResult<()> {
        let constants = Constants {
            names: &self.attributes.constants,
            weights,
            engine,
        };
        let layer = self.layer(&constants)?;
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

    fn layer(&self, constants: &Constants<'_>) -> TractResult<Layer> {
        let Attributes {
            epsilon: eps,
            scale,
            activation,
            ..
        } = self.attributes;
        Ok(match self.kind {
            Kind::Embedding => Layer::Embedding {
                wte: constants.embedding(0)?,
                wpe: constants.embedding(1)?,
                vocab_size: constants.get(0)?.1.dims[0],
                n_positions: constants.get(1)?.1.dims[0],
                width: constants.get(0)?.1.dims[1],
            },
            Kind::BlockInt8 => {
                let ln_1 = constants.f32s(0)?;
                Layer::BlockInt8(Box::new(BlockInt8 {
                    heads: self.heads(ln_1.len())?,
                    eps,
                    scale,
                    activation: activation.context("activation")?,
                    ln_1,
                    c_attn: constants.linear_int8(1)?,
                    attn_c_proj: constants.linear_int8(4)?,
                    ln_2: constants.f32s(7)?,
                    c_fc: constants.linear_int8(8)?,
                    mlp_c_proj: constants.linear_int8(11)?,
                }))
            }
            // The same layer: its weights are an int8 matrix too, stored more tightly.
            Kind::BlockInt4 => {
                let ln_1 = constants.f32s(0)?;
                Layer::BlockInt8(Box::new(BlockInt8 {
                    heads: self.heads(ln_1.len())?,
                    eps,
                    scale,
                    activation: activation.context("activation")?,
                    ln_1,
                    c_attn: constants.linear_int4(1)?,
                    attn_c_proj: constants.linear_int4(5)?,
                    ln_2: constants.f32s(9)?,
                    c_fc: constants.linear_int4(10)?,
                    mlp_c_proj: constants.linear_int4(14)?,
                }))
            }
            Kind::BlockF32 => {
                let ln_1 = constants.f32s(0)?;
                Layer::BlockF32(Box::new(BlockF32 {
                    heads: self.heads(ln_1.len())?,
                    eps,
                    scale,
                    activation: activation.context("activation")?,
                    ln_1,
                    c_attn: constants.linear_f32(1)?,
                    attn_c_proj: constants.linear_f32(3)?,
                    ln_2: constants.f32s(5)?,
                    c_fc: constants.linear_f32(6)?,
                    mlp_c_proj: constants.linear_f32(8)?,
                }))
            }
            Kind::Norm => Layer::Norm {
                gain: constants.f32s(0)?,
                eps,
            },
            Kind::LinearInt8 => Layer::LinearInt8(constants.linear_int8(0)?),
            Kind::LinearF32 => Layer::LinearF32(constants.linear_f32(0)?),
            Kind::ClassificationHead => Layer::ClassificationHead {
                weight: constants.f32s(0)?,
                bias: match constants.names.len() {
                    1 => None,
                    _ => Some(constants.f32s(1)?),
                },
                width: constants.get(0)?.1.dims[1],
            },
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
