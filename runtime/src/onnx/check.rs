//! Does the graph hold what its configuration says it should? Every node, attribute, name, data type, shape
//! and constant.
//!
//! Written against docs/model-format.md, not against the code that writes the file. What passes here cannot
//! surprise tract or the kernels, which trust shapes and finite constants. What a family's graph should hold is said
//! in its own folder.

use std::collections::BTreeMap;
use std::ops::Range;

use bytes::Bytes;
use half::f16;
use igpt_kernels::{INT4_GROUP, Panels};
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{GraphProto, NodeProto, TensorProto, ValueInfoProto};

use super::weights::Constant;
use crate::kind::Dtype;

/// The domain of our functions.
const DOMAIN: &str = "ai.igpt";

/// Name, type and shape of a constant.
pub(crate) type Tensor = (String, DataType, Vec<usize>);

/// A node that a graph must hold.
#[derive(Debug)]
pub(crate) struct Node {
    /// What messages call it.
    pub(crate) name: String,
    /// The operator.
    pub(crate) op: String,
    pub(crate) inputs: Vec<String>,
    pub(crate) output: String,
    pub(crate) attributes: Vec<(&'static str, Value)>,
}

/// An attribute's value.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Int(usize),
    /// -1 of an axis, the last.
    Last,
    Float(f32),
    String(&'static str),
}

/// What a file must hold.
#[derive(Debug)]
pub(crate) struct Expected {
    pub(crate) inputs: Vec<String>,
    pub(crate) outputs: Vec<String>,
    /// In the order of the graph.
    pub(crate) nodes: Vec<Node>,
    pub(crate) constants: Vec<Tensor>,
}

impl Expected {
    /// The graph's constants, whose values lie in `file` at `raw_data`, int8 weights in `panels` or row-major. The
    /// values of int8 and int4 weights are checked when a kernel takes them.
    ///
    /// # Errors
    /// The first difference: what, found, expected.
    pub(super) fn check(
        self,
        graph: &GraphProto,
        panels: Option<Panels>,
        file: &Bytes,
        raw_data: &[Range<usize>],
    ) -> Result<BTreeMap<String, Constant>, String> {
        let names = |values: &[ValueInfoProto]| -> Vec<String> {
            values.iter().map(|value| value.name.clone()).collect()
        };
        // tract-onnx 0.23.9 relies on the names being there.
        for (what, found, expected) in [
            ("inputs", names(&graph.input), &self.inputs),
            ("outputs", names(&graph.output), &self.outputs),
        ] {
            if found != *expected {
                return Err(format!("graph {what} are {found:?}, expected {expected:?}"));
            }
        }
        if !graph.sparse_initializer.is_empty() {
            return Err("the graph has sparse initializers, expected none".into());
        }
        let (found, count) = (graph.node.len(), self.nodes.len());
        if found != count {
            return Err(format!("the graph has {found} nodes, expected {count}"));
        }
        for (node, expected) in graph.node.iter().zip(&self.nodes) {
            check_node(node, expected).map_err(|what| format!("node {}: {what}", expected.name))?;
        }
        self.check_constants(graph, panels, file, raw_data)
    }

    fn check_constants(
        self,
        graph: &GraphProto,
        panels: Option<Panels>,
        file: &Bytes,
        raw_data: &[Range<usize>],
    ) -> Result<BTreeMap<String, Constant>, String> {
        let expected = self.constants.into_iter();
        let mut expected: BTreeMap<_, _> = expected
            .map(|(name, kind, dims)| (name, (kind, dims)))
            .collect();
        let mut constants = BTreeMap::new();
        for (tensor, range) in graph.initializer.iter().zip(raw_data) {
            let Some((kind, dims)) = expected.remove(&tensor.name) else {
                return Err(format!(
                    "initializer {} is unknown or there twice",
                    tensor.name
                ));
            };
            let bytes = file.slice(range.clone());
            let stored = stored_dims(panels, kind, &dims);
            check_tensor(tensor, &bytes, kind, &stored)
                .map_err(|what| format!("initializer {}: {what}", tensor.name))?;
            let constant = Constant { dims, kind, bytes };
            constants.insert(tensor.name.clone(), constant);
        }
        expected.keys().next().map_or(Ok(constants), |name| {
            Err(format!("initializer {name} is missing"))
        })
    }
}

/// The shape of a tensor in the file.
fn stored_dims(panels: Option<Panels>, kind: DataType, dims: &[usize]) -> Vec<usize> {
    match (panels, dims) {
        (Some(panels), [k, n]) if kind == DataType::Int8 => panels.dims(*k, *n).into(),
        _ => dims.into(),
    }
}

/// Name, type and shape of a linear layer's weight, multipliers (int4 only), scales (not f32) and bias.
pub(crate) fn linear(dtype: Dtype, name: &str, k: usize, n: usize) -> Vec<Tensor> {
    let bias = (format!("{name}.bias"), DataType::Float, vec![n]);
    let scale = (format!("{name}.weight_scale"), DataType::Float, vec![n]);
    let weight = format!("{name}.weight");
    match dtype {
        Dtype::F32 => vec![(weight, DataType::Float, vec![k, n]), bias],
        Dtype::Int8 => vec![(weight, DataType::Int8, vec![k, n]), scale, bias],
        Dtype::Int4 => {
            let groups = vec![k.div_ceil(INT4_GROUP), n];
            let multiplier = (format!("{weight}_multiplier"), DataType::Uint4, groups);
            vec![
                (weight, DataType::Int4, vec![k, n]),
                multiplier,
                scale,
                bias,
            ]
        }
    }
}

fn check_node(node: &NodeProto, expected: &Node) -> Result<(), String> {
    let Node {
        op,
        inputs,
        output,
        attributes,
        ..
    } = expected;
    // Norms are the standard's, the rest is ours.
    let domain = if op.ends_with("Normalization") {
        ""
    } else {
        DOMAIN
    };
    if node.op_type != *op || node.domain != domain {
        return Err(format!(
            "operator {}::{}, expected {domain}::{op}",
            node.domain, node.op_type
        ));
    }
    if node.input != *inputs || node.output != [output.as_str()] {
        return Err(format!(
            "{:?} -> {:?}, expected {inputs:?} -> {output}",
            node.input, node.output
        ));
    }
    if node.attribute.len() != attributes.len() {
        return Err(format!(
            "{} attributes, expected {}",
            node.attribute.len(),
            attributes.len()
        ));
    }
    for (name, value) in attributes {
        let found = node
            .attribute
            .iter()
            .find(|a| a.name == *name)
            .ok_or_else(|| format!("no attribute {name}"))?;
        let (right, found, expected) = match value {
            Value::Int(x) => (
                usize::try_from(found.i) == Ok(*x),
                found.i.to_string(),
                x.to_string(),
            ),
            Value::Last => (found.i == -1, found.i.to_string(), "-1".into()),
            Value::Float(x) => (
                found.f.to_bits() == x.to_bits(),
                found.f.to_string(),
                x.to_string(),
            ),
            Value::String(x) => (
                found.s == x.as_bytes(),
                String::from_utf8_lossy(&found.s).into_owned(),
                (*x).into(),
            ),
        };
        if !right {
            return Err(format!(
                "{name} is {found}, the configuration says {expected}"
            ));
        }
    }
    Ok(())
}

fn check_tensor(
    tensor: &TensorProto,
    bytes: &[u8],
    kind: DataType,
    dims: &[usize],
) -> Result<(), String> {
    if tensor.data_type != i32::from(kind) {
        return Err(format!("data type {}, expected {kind:?}", tensor.data_type));
    }
    if !tensor
        .dims
        .iter()
        .map(|d| usize::try_from(*d).ok())
        .eq(dims.iter().map(|d| Some(*d)))
    {
        return Err(format!("shape {:?}, expected {dims:?}", tensor.dims));
    }
    if !tensor.external_data.is_empty() {
        return Err("external data, expected all in one file".into());
    }
    let count = dims.iter().product::<usize>();
    let len = match kind {
        DataType::Float => 4 * count,
        DataType::Float16 => 2 * count,
        DataType::Int4 | DataType::Uint4 => count.div_ceil(2),
        _ => count,
    };
    if bytes.len() != len {
        return Err(format!("{} bytes of raw_data, expected {len}", bytes.len()));
    }
    let scale = tensor.name.ends_with("_scale");
    let bad = match kind {
        DataType::Float => {
            let fits = |x: f32| x.is_finite() && !(scale && x < 0.0);
            bytes
                .as_chunks::<4>()
                .0
                .iter()
                .position(|b| !fits(f32::from_le_bytes(*b)))
        }
        DataType::Float16 => bytes
            .as_chunks::<2>()
            .0
            .iter()
            .position(|b| !f16::from_le_bytes(*b).is_finite()),
        _ => None,
    };
    let allowed = if scale {
        "a finite number, not negative"
    } else {
        "a finite number"
    };
    bad.map_or(Ok(()), |at| Err(format!("value {at} is not {allowed}")))
}
