//! Shorthand for the protobuf messages a graph is made of.

use igpt_runtime::tools::pb::attribute_proto::AttributeType;
use igpt_runtime::tools::pb::tensor_proto::DataType;
use igpt_runtime::tools::pb::{
    AttributeProto, FunctionProto, NodeProto, OperatorSetIdProto, TensorProto, TensorShapeProto,
    TypeProto, ValueInfoProto, tensor_shape_proto, type_proto,
};

/// The domain of our functions.
pub(crate) const DOMAIN: &str = "ai.igpt";

/// One dimension of a value's shape.
pub(crate) enum Dim<'a> {
    Fixed(usize),
    Symbol(&'a str),
}

pub(crate) fn node(
    op: &str,
    inputs: &[&str],
    outputs: &[&str],
    attributes: Vec<AttributeProto>,
) -> NodeProto {
    NodeProto {
        op_type: op.into(),
        input: inputs.iter().map(|name| (*name).into()).collect(),
        output: outputs.iter().map(|name| (*name).into()).collect(),
        attribute: attributes,
        ..NodeProto::default()
    }
}

/// A call of one of our functions.
pub(crate) fn call(
    op: &str,
    inputs: &[&str],
    output: &str,
    attributes: Vec<AttributeProto>,
) -> NodeProto {
    NodeProto {
        domain: DOMAIN.into(),
        ..node(op, inputs, &[output], attributes)
    }
}

/// `node` under this name.
pub(crate) fn named(name: &str, node: NodeProto) -> NodeProto {
    NodeProto {
        name: name.into(),
        ..node
    }
}

/// A model-local function of ours with one output.
pub(crate) fn function(
    name: &str,
    inputs: &[&str],
    output: &str,
    body: Vec<NodeProto>,
) -> FunctionProto {
    FunctionProto {
        name: Some(name.into()),
        domain: Some(DOMAIN.into()),
        input: inputs.iter().map(|name| (*name).into()).collect(),
        output: vec![output.into()],
        node: body,
        opset_import: opsets(),
        ..FunctionProto::default()
    }
}

fn attribute(name: &str, kind: AttributeType) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        r#type: kind.into(),
        ..AttributeProto::default()
    }
}

pub(crate) fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto {
        i: value,
        ..attribute(name, AttributeType::Int)
    }
}

pub(crate) fn ints(name: &str, values: &[i64]) -> AttributeProto {
    AttributeProto {
        ints: values.to_vec(),
        ..attribute(name, AttributeType::Ints)
    }
}

pub(crate) fn float(name: &str, value: f32) -> AttributeProto {
    AttributeProto {
        f: value,
        ..attribute(name, AttributeType::Float)
    }
}

pub(crate) fn string(name: &str, value: &str) -> AttributeProto {
    AttributeProto {
        s: value.as_bytes().to_vec(),
        ..attribute(name, AttributeType::String)
    }
}

/// An attribute that takes the value of the enclosing function's attribute `from`.
pub(crate) fn reference(name: &str, kind: AttributeType, from: &str) -> AttributeProto {
    AttributeProto {
        ref_attr_name: from.into(),
        ..attribute(name, kind)
    }
}

/// A constant f32 scalar called `output`.
pub(crate) fn constant_f32(output: &str, value: f32) -> NodeProto {
    // As a tensor: prost leaves a `value_float` of 0 out, and a checker then misses it.
    constant_scalar(output, DataType::Float, value.to_le_bytes().to_vec())
}

/// A constant vector of integers called `output`.
pub(crate) fn constant_ints(output: &str, values: &[i64]) -> NodeProto {
    node("Constant", &[], &[output], vec![ints("value_ints", values)])
}

/// A constant uint8 scalar called `output`.
pub(crate) fn constant_u8(output: &str, value: u8) -> NodeProto {
    constant_scalar(output, DataType::Uint8, vec![value])
}

/// A constant int32 scalar called `output`.
pub(crate) fn constant_i32(output: &str, value: i32) -> NodeProto {
    constant_scalar(output, DataType::Int32, value.to_le_bytes().to_vec())
}

fn constant_scalar(output: &str, data_type: DataType, raw_data: Vec<u8>) -> NodeProto {
    let tensor = TensorProto {
        data_type: data_type.into(),
        raw_data,
        ..TensorProto::default()
    };
    let value = AttributeProto {
        t: Some(tensor),
        ..attribute("value", AttributeType::Tensor)
    };
    node("Constant", &[], &[output], vec![value])
}

pub(crate) fn cast(input: &str, output: &str, to: DataType) -> NodeProto {
    node(
        "Cast",
        &[input],
        &[output],
        vec![int("to", i64::from(i32::from(to)))],
    )
}

pub(crate) fn value_info(name: &str, data_type: DataType, dims: &[Dim<'_>]) -> ValueInfoProto {
    let dim = |dim: &Dim<'_>| tensor_shape_proto::Dimension {
        value: Some(match dim {
            Dim::Fixed(size) => tensor_shape_proto::dimension::Value::DimValue(*size as i64),
            Dim::Symbol(name) => tensor_shape_proto::dimension::Value::DimParam((*name).into()),
        }),
        ..tensor_shape_proto::Dimension::default()
    };
    let tensor = type_proto::Tensor {
        elem_type: data_type.into(),
        shape: Some(TensorShapeProto {
            dim: dims.iter().map(dim).collect(),
        }),
    };
    let r#type = TypeProto {
        value: Some(type_proto::Value::TensorType(tensor)),
        ..TypeProto::default()
    };
    ValueInfoProto {
        name: name.into(),
        r#type: Some(r#type),
        ..ValueInfoProto::default()
    }
}

/// The operator sets of the file and of every function.
pub(crate) fn opsets() -> Vec<OperatorSetIdProto> {
    let mut sets = standard_opsets();
    sets.push(OperatorSetIdProto {
        domain: DOMAIN.into(),
        version: 1,
    });
    sets
}

/// That of a file without functions.
pub(crate) fn standard_opsets() -> Vec<OperatorSetIdProto> {
    vec![OperatorSetIdProto {
        domain: String::new(),
        version: 23,
    }]
}
