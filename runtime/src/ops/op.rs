//! The one operator tract sees: parsed from a node of ours, shaped for its planner, run by a [`Layer`].

use std::sync::Arc;

use anyhow::{Context as _, bail, ensure};
use half::f16;
use igpt_kernels::{Activation, Heads, PackedF32};
use tract_onnx::Onnx;
use tract_onnx::model::ParsingContext;
use tract_onnx::pb::NodeProto;
use tract_onnx::prelude::{
    Datum, DatumExt as _, OutletId, TVec, TractResult, TypedFact, TypedModel, tvec,
};
use tract_onnx::tract_hir::internal::{
    EvalContext, EvalOp, Expansion, InferenceOp, InferenceResult, IntoTensor as _, LaneId, Op,
    OpState, Solver, SpecialOps as _, StaticName, TDim, TValue, Tensor, TensorProxy, ToDim as _,
    TypedOp, as_op, expand, not_out_of_plan, op_as_typed_op,
};

use super::block_f32::{BlockF32, LinearF32};
use super::block_int8::{BlockInt8, LinearInt8};
use super::engine::Engine;
use super::layers::{Embedding, Layer, LayerError};
use super::state::LayerState;
use crate::profile::Operator;

/// Which operator a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Embedding,
    BlockInt8,
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
    /// Constants as they stand in the file, until [`NativeOp::prepare`] packs them.
    constants: Vec<Arc<Tensor>>,
    /// Width of the output, if it is not the input's.
    width: Option<usize>,
    ready: Option<(Arc<Engine>, Arc<Layer>)>,
}

/// Tells tract about our operators. Its registry knows no domains, hence the long names.
pub(crate) fn register(onnx: &mut Onnx) {
    onnx.op_register
        .insert("ImageGptEmbedding", |_, node| parse(Kind::Embedding, node));
    onnx.op_register
        .insert("ImageGptBlockInt8", |_, node| parse(Kind::BlockInt8, node));
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
    let mut attributes = Attributes::default();
    if matches!(kind, Kind::BlockInt8 | Kind::BlockF32) {
        attributes.num_heads = node.get_attr("num_heads")?;
        attributes.scale = node.get_attr("scale")?;
        let name: String = node.get_attr("activation")?;
        let activation = crate::config::Activation::from_name(&name)
            .with_context(|| format!("activation {name}"))?;
        attributes.activation = Some(kernel_activation(activation));
    }
    if matches!(kind, Kind::BlockInt8 | Kind::BlockF32 | Kind::Norm) {
        attributes.epsilon = node.get_attr("epsilon")?;
    }
    Ok((expand(Parsed { kind, attributes }), vec![]))
}

fn kernel_activation(activation: crate::config::Activation) -> Activation {
    use crate::config::Activation as Config;
    match activation {
        Config::QuickGelu => Activation::QuickGelu,
        Config::Gelu => Activation::Gelu,
        Config::GeluNew => Activation::GeluNew,
        Config::Relu => Activation::Relu,
        Config::Silu => Activation::Silu,
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
                s.equals(&y.shape[1], &inputs[1].shape[0])
            }
            Kind::Embedding | Kind::LinearInt8 | Kind::LinearF32 => {
                s.equals(&y.rank, 3)?;
                s.equals(&y.shape[1], &x.shape[1])?;
                s.equals(&y.shape[2], &inputs[1].shape[1])
            }
            Kind::BlockInt8 | Kind::BlockF32 | Kind::Norm => s.equals(&y.shape, &x.shape),
        }
    }

    fn wire(
        &self,
        prefix: &str,
        model: &mut TypedModel,
        inputs: &[OutletId],
    ) -> TractResult<TVec<OutletId>> {
        let mut constants = Vec::with_capacity(inputs.len() - 1);
        for (i, input) in inputs.iter().enumerate().skip(1) {
            let constant = model.outlet_fact(*input)?.konst.clone();
            constants
                .push(constant.with_context(|| format!("{prefix}: input {i} must be a constant"))?);
        }
        let width = match self.kind {
            Kind::ClassificationHead => Some(constants[0].shape()[0]),
            Kind::Embedding | Kind::LinearInt8 | Kind::LinearF32 => Some(constants[0].shape()[1]),
            Kind::BlockInt8 | Kind::BlockF32 | Kind::Norm => None,
        };
        let op = NativeOp {
            kind: self.kind,
            name: prefix.into(),
            attributes: self.attributes.clone(),
            constants,
            width,
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
    /// Packs the constants for this machine and lets go of the file's.
    pub(crate) fn prepare(&mut self, engine: &Arc<Engine>) -> TractResult<()> {
        let layer = self
            .layer(engine)
            .with_context(|| format!("{}: constants", self.name))?;
        self.ready = Some((engine.clone(), Arc::new(layer)));
        self.constants.clear();
        Ok(())
    }

    fn f32s(&self, i: usize) -> TractResult<Vec<f32>> {
        Ok(self
            .constant(i)?
            .try_as_plain_ram()?
            .as_slice::<f32>()?
            .to_vec())
    }

    fn constant(&self, i: usize) -> TractResult<&Tensor> {
        self.constants
            .get(i)
            .map(|t| &**t)
            .with_context(|| format!("no constant {i}"))
    }

    /// Weight, scale and bias from constant `i` on.
    fn linear_int8(&self, engine: &Engine, i: usize) -> TractResult<LinearInt8> {
        let w = self.constant(i)?;
        ensure!(w.rank() == 2, "a weight of rank {}", w.rank());
        let (k, n) = (w.shape()[0], w.shape()[1]);
        let w = engine
            .kernels
            .pack(w.try_as_plain_ram()?.as_slice::<i8>()?, k, n);
        let (w_scale, bias) = (self.f32s(i + 1)?, self.f32s(i + 2)?);
        ensure!(
            w_scale.len() == n && bias.len() == n,
            "{} scales and {} biases for {n} channels",
            w_scale.len(),
            bias.len()
        );
        Ok(LinearInt8 { w, w_scale, bias })
    }

    /// Weight and bias from constant `i` on.
    fn linear_f32(&self, i: usize) -> TractResult<LinearF32> {
        let w = self.constant(i)?;
        ensure!(w.rank() == 2, "a weight of rank {}", w.rank());
        let (k, n) = (w.shape()[0], w.shape()[1]);
        let w = PackedF32::new(w.try_as_plain_ram()?.as_slice::<f32>()?, k, n);
        let bias = self.f32s(i + 1)?;
        ensure!(bias.len() == n, "{} biases for {n} channels", bias.len());
        Ok(LinearF32 { w, bias })
    }

    fn embedding(&self, i: usize) -> TractResult<Embedding> {
        let table = self.constant(i)?;
        Ok(if table.datum_type() == f16::datum_type() {
            Embedding::F16(table.try_as_plain_ram()?.as_slice::<f16>()?.to_vec())
        } else {
            Embedding::F32(table.try_as_plain_ram()?.as_slice::<f32>()?.to_vec())
        })
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

    fn layer(&self, engine: &Engine) -> TractResult<Layer> {
        let Attributes {
            epsilon: eps,
            scale,
            activation,
            ..
        } = self.attributes;
        Ok(match self.kind {
            Kind::Embedding => Layer::Embedding {
                wte: self.embedding(0)?,
                wpe: self.embedding(1)?,
                vocab_size: self.constant(0)?.shape()[0],
                n_positions: self.constant(1)?.shape()[0],
                width: self.constant(0)?.shape()[1],
            },
            Kind::BlockInt8 => {
                let ln_1 = self.f32s(0)?;
                Layer::BlockInt8(Box::new(BlockInt8 {
                    heads: self.heads(ln_1.len())?,
                    eps,
                    scale,
                    activation: activation.context("activation")?,
                    ln_1,
                    c_attn: self.linear_int8(engine, 1)?,
                    attn_c_proj: self.linear_int8(engine, 4)?,
                    ln_2: self.f32s(7)?,
                    c_fc: self.linear_int8(engine, 8)?,
                    mlp_c_proj: self.linear_int8(engine, 11)?,
                }))
            }
            Kind::BlockF32 => {
                let ln_1 = self.f32s(0)?;
                Layer::BlockF32(Box::new(BlockF32 {
                    heads: self.heads(ln_1.len())?,
                    eps,
                    scale,
                    activation: activation.context("activation")?,
                    ln_1,
                    c_attn: self.linear_f32(1)?,
                    attn_c_proj: self.linear_f32(3)?,
                    ln_2: self.f32s(5)?,
                    c_fc: self.linear_f32(6)?,
                    mlp_c_proj: self.linear_f32(8)?,
                }))
            }
            Kind::Norm => Layer::Norm {
                gain: self.f32s(0)?,
                eps,
            },
            Kind::LinearInt8 => Layer::LinearInt8(self.linear_int8(engine, 0)?),
            Kind::LinearF32 => Layer::LinearF32(self.linear_f32(0)?),
            Kind::ClassificationHead => Layer::ClassificationHead {
                weight: self.f32s(0)?,
                bias: match self.constants.len() {
                    1 => None,
                    _ => Some(self.f32s(1)?),
                },
                width: self.constant(0)?.shape()[1],
            },
        })
    }

    fn output_shape<D: Clone>(&self, input: &[D], width: impl Fn(usize) -> D) -> TVec<D> {
        let mut shape: TVec<D> = input.into();
        match self.kind {
            Kind::ClassificationHead => shape.truncate(1),
            Kind::LinearInt8 | Kind::LinearF32 => shape.truncate(2),
            Kind::Embedding | Kind::BlockInt8 | Kind::BlockF32 | Kind::Norm => {}
        }
        shape.extend(self.width.map(width));
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

/// Forgets, in every operator of a session, the tokens from `tokens` on.
pub(crate) fn truncate(states: &mut [Option<Box<dyn OpState>>], tokens: usize) {
    for state in states.iter_mut().flatten() {
        if let Some(NativeState(state)) = state.downcast_mut::<NativeState>() {
            state.truncate(tokens);
        }
    }
}
