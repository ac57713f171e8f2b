//! From a node of ours in the file to tract's graph: what the parser takes, and the shapes the planner asks for.

use anyhow::Context as _;
use tract_onnx::Onnx;
use tract_onnx::model::ParsingContext;
use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::{self, AttributeProto, NodeProto};
use tract_onnx::prelude::{Datum, OutletId, TVec, TractResult, TypedModel};
use tract_onnx::tract_hir::internal::{
    Expansion, InferenceOp, InferenceResult, Solver, SpecialOps as _, StaticName, TensorProxy,
    expand,
};

use super::kind::{Attributes, Kind, Shape};
use super::list;
use super::op::NativeOp;
use crate::onnx::weights::Weights;

/// Attributes that [`detach`] adds.
const CONSTANTS: &str = "igpt.constants";
const WIDTH: &str = "igpt.width";

/// Takes the constants out of the graph, so that tract copies none of them: nodes keep their names. Of an operator's
/// name only what its kind is called stays.
pub(crate) fn detach(graph: &mut pb::GraphProto, weights: &Weights) {
    graph.initializer.clear();
    for node in &mut graph.node {
        // Of a convolution there is one function for each size, whose name says it.
        if let Some((name, _)) = node.op_type.split_once("_k") {
            node.op_type = name.to_owned();
        }
        let names = node.input.split_off(node.input.len().min(1));
        let dims = |name: Option<&String>| {
            let constant = weights.constants.get(name?)?;
            Some(constant.dims.as_slice())
        };
        let shape = kind(&node.op_type).map(|kind| kind.shape);
        let width = match (shape, dims(names.first())) {
            (Some(Shape::Row), Some([labels, _])) => Some(*labels),
            (Some(Shape::Rows | Shape::Windows), Some([_, n])) => Some(*n),
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

/// The kind of this name.
fn kind(name: &str) -> Option<&'static Kind> {
    list::all().find(|kind| kind.name == name)
}

/// A node as parsed; its constants are found when it is wired.
#[derive(Clone, Debug)]
struct Parsed {
    kind: &'static Kind,
    attributes: Attributes,
}

/// Tells tract about our operators, and the standard norms, with our bits: tract's own differ from one instruction set
/// to the next. Its registry knows no domains, hence the long names.
pub(crate) fn register(onnx: &mut Onnx) {
    for kind in list::all() {
        onnx.op_register.insert(kind.name, parse);
    }
}

fn parse(_: &ParsingContext, node: &NodeProto) -> TractResult<(Box<dyn InferenceOp>, Vec<String>)> {
    let kind = kind(&node.op_type).with_context(|| format!("no operator {}", node.op_type))?;
    let attributes = Attributes {
        constants: node.get_attr_tvec::<String>(CONSTANTS)?.into_vec(),
        width: node.get_attr_opt(WIDTH)?,
        shape: kind.shape,
        node: node.clone(),
    };
    Ok((expand(Parsed { kind, attributes }), vec![]))
}

impl Expansion for Parsed {
    fn name(&self) -> StaticName {
        self.kind.name.into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        s: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        let (x, y) = (&inputs[0], &outputs[0]);
        s.equals(&y.datum_type, f32::datum_type())?;
        s.given(&x.shape, move |s, shape| {
            let shape = self.attributes.output_shape(&shape)?;
            s.equals(&y.shape, shape)
        })
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
