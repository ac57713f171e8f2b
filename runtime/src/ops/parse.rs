//! From a node of ours in the file to tract's graph: what the parser takes, and the shapes the planner asks for.

use anyhow::Context as _;
use tract_onnx::Onnx;
use tract_onnx::model::ParsingContext;
use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::{self, AttributeProto, NodeProto};
use tract_onnx::prelude::{Datum, OutletId, TVec, TractResult, TypedModel};
use tract_onnx::tract_hir::internal::{
    Expansion, InferenceOp, InferenceResult, Solver, SpecialOps as _, StaticName, TensorProxy,
    ToDim as _, expand,
};

use super::kind::{Attributes, Kind};
use super::op::NativeOp;
use crate::onnx::weights::Weights;

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
        let op = NativeOp::new(self.kind, prefix, self.attributes.clone());
        model.wire_node(prefix, op, &[inputs[0]])
    }
}
