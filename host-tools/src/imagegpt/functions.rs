//! Our operators as model-local functions: what they mean, in standard operators.
//!
//! A runtime that expands model-local functions executes these bodies (docs/model-format.md says which were
//! tried). Ours meets the names and runs kernels instead; docs/numerics.md says in which arithmetic.

use igpt_runtime::{Activation, Dtype, Task};

use igpt_runtime::tools::pb::attribute_proto::AttributeType;
use igpt_runtime::tools::pb::tensor_proto::DataType;
use igpt_runtime::tools::pb::{AttributeProto, FunctionProto};

use crate::onnx::activations::activation_nodes;
use crate::onnx::linears::{int4_weight, linear_f32, linear_int8, linear_uint8};
use crate::onnx::nodes::{
    call, cast, constant_ints, float, function, int, node, reference, string,
};
use crate::onnx::plan::Form;

/// The attributes of a block, in the order the specification lists them.
const BLOCK_ATTRIBUTES: [&str; 4] = ["num_heads", "epsilon", "scale", "activation"];

/// The functions that a file of this form calls.
pub(crate) fn functions(form: Form, activation: Activation, head_bias: bool) -> Vec<FunctionProto> {
    let Form {
        task,
        dtype,
        panels,
        ..
    } = form;
    let mut list = vec![embedding()];
    match dtype {
        Dtype::Int8 => list.extend([linear_int8(panels), linear_uint8(panels)]),
        Dtype::Int4 => list.extend([linear_int8(None), linear_uint8(None)]),
        Dtype::F32 => list.push(linear_f32()),
    }
    list.push(block(dtype, activation));
    if task == Task::Classify {
        list.push(classification_head(head_bias));
    }
    list
}

/// The names of the two operators that depend on the dtype: linear and block.
pub(crate) fn op_names(dtype: Dtype) -> (&'static str, &'static str) {
    match dtype {
        Dtype::Int8 => ("ImageGptLinearInt8", "ImageGptBlockInt8"),
        Dtype::Int4 => ("ImageGptLinearInt8", "ImageGptBlockInt4"),
        Dtype::F32 => ("ImageGptLinearF32", "ImageGptBlockF32"),
    }
}

fn embedding() -> FunctionProto {
    let body = vec![
        node(
            "Gather",
            &["wte", "ids"],
            &["token_rows"],
            vec![int("axis", 0)],
        ),
        cast("token_rows", "token_f32", DataType::Float),
        constant_ints("zero", &[0]),
        node(
            "Shape",
            &["ids"],
            &["tokens"],
            vec![int("start", 1), int("end", 2)],
        ),
        node(
            "Slice",
            &["wpe", "zero", "tokens", "zero"],
            &["position_rows"],
            vec![],
        ),
        cast("position_rows", "position_f32", DataType::Float),
        node("Add", &["token_f32", "position_f32"], &["x"], vec![]),
    ];
    function("ImageGptEmbedding", &["ids", "wte", "wpe"], "x", body)
}

fn block(dtype: Dtype, activation: Activation) -> FunctionProto {
    let (linear, name) = op_names(dtype);
    let mut inputs = vec!["x".to_owned(), "ln_1".to_owned()];
    for layer in LINEARS {
        if layer == "c_fc" {
            inputs.push("ln_2".into());
        }
        let mut operands = linear_inputs(layer, dtype);
        if dtype == Dtype::Int4 {
            operands.insert(1, multipliers(layer));
        }
        inputs.extend(operands);
    }
    let apply = |linear: &str, layer: &str, from: &str, to: &str| {
        let mut operands = vec![from.to_owned()];
        operands.extend(linear_inputs(layer, dtype));
        if dtype == Dtype::Int4 {
            operands[1] = int8_weight(layer);
        }
        let operands: Vec<&str> = operands.iter().map(String::as_str).collect();
        call(linear, &operands, to, vec![])
    };
    let norm = |from: &str, gain: &str, to: &str| {
        let epsilon = reference("epsilon", AttributeType::Float, "epsilon");
        node(
            "RMSNormalization",
            &[from, gain],
            &[to],
            vec![int("axis", -1), epsilon],
        )
    };
    let attention = vec![
        int("is_causal", 1),
        reference("q_num_heads", AttributeType::Int, "num_heads"),
        reference("kv_num_heads", AttributeType::Int, "num_heads"),
        reference("scale", AttributeType::Float, "scale"),
    ];
    let mut body = match dtype {
        Dtype::Int4 => {
            let matrix =
                |layer| int4_weight(&weight(layer), &multipliers(layer), &int8_weight(layer));
            LINEARS.into_iter().flat_map(matrix).collect()
        }
        Dtype::Int8 | Dtype::F32 => vec![],
    };
    body.extend([
        norm("x", "ln_1", "normed_1"),
        apply(linear, "c_attn", "normed_1", "qkv"),
        node(
            "Split",
            &["qkv"],
            &["q", "k", "v"],
            vec![int("axis", -1), int("num_outputs", 3)],
        ),
        node("Attention", &["q", "k", "v"], &["heads"], attention),
        apply(linear, "c_proj", "heads", "attended"),
        node("Add", &["x", "attended"], &["middle"], vec![]),
        norm("middle", "ln_2", "normed_2"),
        apply(linear, "c_fc", "normed_2", "u"),
    ]);
    body.extend(activation_nodes(activation));
    let one_sided = match dtype {
        Dtype::Int8 | Dtype::Int4 => "ImageGptLinearUint8",
        Dtype::F32 => linear,
    };
    body.push(apply(one_sided, "mlp_proj", "activated", "mlp"));
    body.push(node("Add", &["middle", "mlp"], &["y"], vec![]));
    let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
    let attribute = BLOCK_ATTRIBUTES.map(str::to_owned).to_vec();
    FunctionProto {
        attribute,
        ..function(name, &inputs, "y", body)
    }
}

/// The linear layers of a block, as its function calls them.
const LINEARS: [&str; 4] = ["c_attn", "c_proj", "c_fc", "mlp_proj"];

fn weight(layer: &str) -> String {
    format!("{layer}_weight")
}

fn multipliers(layer: &str) -> String {
    format!("{layer}_weight_multiplier")
}

fn int8_weight(layer: &str) -> String {
    format!("{layer}_weight_int8")
}

/// A linear layer's operands after its input: weight, scales (not f32), bias.
fn linear_inputs(layer: &str, dtype: Dtype) -> Vec<String> {
    let mut names = vec![weight(layer)];
    if dtype != Dtype::F32 {
        names.push(format!("{layer}_weight_scale"));
    }
    names.push(format!("{layer}_bias"));
    names
}

fn classification_head(bias: bool) -> FunctionProto {
    let product = if bias { "product" } else { "logits" };
    let mut body = vec![
        constant_ints("tokens", &[1]),
        node(
            "ReduceMean",
            &["y", "tokens"],
            &["pooled"],
            vec![int("keepdims", 0)],
        ),
        node("Transpose", &["w"], &["w_t"], vec![]),
        node("MatMul", &["pooled", "w_t"], &[product], vec![]),
    ];
    let mut inputs = vec!["y", "w"];
    if bias {
        inputs.push("bias");
        body.push(node("Add", &[product, "bias"], &["logits"], vec![]));
    }
    function("ImageGptClassificationHead", &inputs, "logits", body)
}

/// The attributes of one block's node.
pub(crate) fn block_attributes(
    num_heads: usize,
    epsilon: f32,
    scale: f32,
    activation: Activation,
) -> Vec<AttributeProto> {
    let [heads, eps, factor, name] = BLOCK_ATTRIBUTES;
    vec![
        int(heads, num_heads as i64),
        float(eps, epsilon),
        float(factor, scale),
        string(name, activation.name()),
    ]
}
