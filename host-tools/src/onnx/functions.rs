//! Our operators as model-local functions: what they mean, in standard operators.
//!
//! Any ONNX runtime executes these bodies. Ours meets the names and runs kernels instead; docs/numerics.md
//! says in which arithmetic.

use igpt_runtime::Activation;

use super::nodes::{
    call, cast, constant_f32, constant_i32, constant_ints, constant_u8, float, int, node, opsets,
    reference,
};
use super::pb::attribute_proto::AttributeType;
use super::pb::tensor_proto::DataType;
use super::pb::{FunctionProto, NodeProto};
use super::plan::{ModelDtype, Task};

/// The attributes of a block, in the order the specification lists them.
const BLOCK_ATTRIBUTES: [&str; 4] = ["num_heads", "epsilon", "scale", "activation"];

/// The functions that a file of this task and dtype calls.
pub(super) fn functions(
    task: Task,
    dtype: ModelDtype,
    activation: Activation,
) -> Vec<FunctionProto> {
    let linear = match dtype {
        ModelDtype::Int8 => linear_int8(),
        ModelDtype::F32 => linear_f32(),
    };
    let mut list = vec![embedding(), linear, block(dtype, activation)];
    if task == Task::Classify {
        list.push(classification_head());
    }
    list
}

/// The names of the two operators that depend on the dtype: linear and block.
pub(super) fn op_names(dtype: ModelDtype) -> (&'static str, &'static str) {
    match dtype {
        ModelDtype::Int8 => ("ImageGptLinearInt8", "ImageGptBlockInt8"),
        ModelDtype::F32 => ("ImageGptLinearF32", "ImageGptBlockF32"),
    }
}

fn function(name: &str, inputs: &[&str], output: &str, body: Vec<NodeProto>) -> FunctionProto {
    FunctionProto {
        name: Some(name.into()),
        domain: Some(super::DOMAIN.into()),
        input: inputs.iter().map(|name| (*name).into()).collect(),
        output: vec![output.into()],
        node: body,
        opset_import: opsets(),
        ..FunctionProto::default()
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

fn linear_int8() -> FunctionProto {
    let body = vec![
        constant_ints("last", &[-1]),
        constant_f32("limit", 127.0),
        constant_f32("minus_limit", -127.0),
        // Below it a row counts as zeros; 127 divided by it is still finite.
        constant_f32("tiny", 2f32.powi(-100)),
        constant_f32("offset", 128.0),
        constant_u8("zero_point", 128),
        node("Abs", &["x"], &["magnitude"], vec![]),
        node(
            "ReduceMax",
            &["magnitude", "last"],
            &["amax"],
            vec![int("keepdims", 1)],
        ),
        node("Max", &["amax", "tiny"], &["divisor"], vec![]),
        node("Div", &["limit", "divisor"], &["to_steps"], vec![]),
        node("Mul", &["x", "to_steps"], &["steps"], vec![]),
        node("Round", &["steps"], &["rounded"], vec![]),
        node("Clip", &["rounded", "minus_limit", "limit"], &["q"], vec![]),
        node("Div", &["amax", "limit"], &["row_scale"], vec![]),
        node("Add", &["q", "offset"], &["shifted"], vec![]),
        cast("shifted", "q_u8", DataType::Uint8),
        // The weights become uint8 as well (once: they are constant). onnxruntime's uint8 x int8 product saturates
        // on x86 without VNNI, its uint8 x uint8 product is exact everywhere.
        cast("w", "w_i32", DataType::Int32),
        constant_i32("offset_i32", 128),
        node("Add", &["w_i32", "offset_i32"], &["w_shifted"], vec![]),
        cast("w_shifted", "w_u8", DataType::Uint8),
        node(
            "MatMulInteger",
            &["q_u8", "w_u8", "zero_point", "zero_point"],
            &["acc"],
            vec![],
        ),
        cast("acc", "acc_f32", DataType::Float),
        // The outer product of the scales, which is what Mul would broadcast to. onnxruntime 1.32 fuses a Mul of
        // two scales into MatMulIntegerToFloat, which takes one scale for all rows and gives wrong results.
        constant_ints("first", &[0]),
        node("Unsqueeze", &["w_scale", "first"], &["w_scale_row"], vec![]),
        node("MatMul", &["row_scale", "w_scale_row"], &["scale"], vec![]),
        node("Mul", &["acc_f32", "scale"], &["product"], vec![]),
        node("Add", &["product", "bias"], &["y"], vec![]),
    ];
    function(
        "ImageGptLinearInt8",
        &["x", "w", "w_scale", "bias"],
        "y",
        body,
    )
}

fn linear_f32() -> FunctionProto {
    let body = vec![
        node("MatMul", &["x", "w"], &["product"], vec![]),
        node("Add", &["product", "bias"], &["y"], vec![]),
    ];
    function("ImageGptLinearF32", &["x", "w", "bias"], "y", body)
}

fn block(dtype: ModelDtype, activation: Activation) -> FunctionProto {
    let (linear, name) = op_names(dtype);
    let mut inputs = vec!["x".to_owned(), "ln_1".to_owned()];
    for layer in ["c_attn", "c_proj", "c_fc", "mlp_proj"] {
        if layer == "c_fc" {
            inputs.push("ln_2".into());
        }
        inputs.extend(linear_inputs(layer, dtype));
    }
    let apply = |layer: &str, from: &str, to: &str| {
        let mut operands = vec![from.to_owned()];
        operands.extend(linear_inputs(layer, dtype));
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
    let mut body = vec![
        norm("x", "ln_1", "normed_1"),
        apply("c_attn", "normed_1", "qkv"),
        node(
            "Split",
            &["qkv"],
            &["q", "k", "v"],
            vec![int("axis", -1), int("num_outputs", 3)],
        ),
        node("Attention", &["q", "k", "v"], &["heads"], attention),
        apply("c_proj", "heads", "attended"),
        node("Add", &["x", "attended"], &["middle"], vec![]),
        norm("middle", "ln_2", "normed_2"),
        apply("c_fc", "normed_2", "u"),
    ];
    body.extend(activation_nodes(activation));
    body.push(apply("mlp_proj", "activated", "mlp"));
    body.push(node("Add", &["middle", "mlp"], &["y"], vec![]));
    let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
    let attribute = BLOCK_ATTRIBUTES.map(str::to_owned).to_vec();
    FunctionProto {
        attribute,
        ..function(name, &inputs, "y", body)
    }
}

/// A linear layer's operands after its input: weight, scales (int8 only), bias.
fn linear_inputs(layer: &str, dtype: ModelDtype) -> Vec<String> {
    let mut names = vec![format!("{layer}_weight")];
    if dtype == ModelDtype::Int8 {
        names.push(format!("{layer}_weight_scale"));
    }
    names.push(format!("{layer}_bias"));
    names
}

/// `u` to `activated`.
fn activation_nodes(activation: Activation) -> Vec<NodeProto> {
    let gated = |gate: &str| {
        vec![
            node("Sigmoid", &[gate], &["gate"], vec![]),
            node("Mul", &["u", "gate"], &["activated"], vec![]),
        ]
    };
    match activation {
        Activation::QuickGelu => {
            let mut nodes = vec![
                constant_f32("slope", 1.702),
                node("Mul", &["u", "slope"], &["sloped"], vec![]),
            ];
            nodes.extend(gated("sloped"));
            nodes
        }
        Activation::Silu => gated("u"),
        Activation::Gelu => vec![node("Gelu", &["u"], &["activated"], vec![])],
        Activation::GeluNew => {
            vec![node(
                "Gelu",
                &["u"],
                &["activated"],
                vec![super::nodes::string("approximate", "tanh")],
            )]
        }
        Activation::Relu => vec![node("Relu", &["u"], &["activated"], vec![])],
    }
}

fn classification_head() -> FunctionProto {
    let body = vec![
        constant_ints("tokens", &[1]),
        node(
            "ReduceMean",
            &["y", "tokens"],
            &["pooled"],
            vec![int("keepdims", 0)],
        ),
        node("Transpose", &["w"], &["w_t"], vec![]),
        node("MatMul", &["pooled", "w_t"], &["logits"], vec![]),
    ];
    function("ImageGptClassificationHead", &["y", "w"], "logits", body)
}

/// The attributes of one block's node.
pub(super) fn block_attributes(
    num_heads: usize,
    epsilon: f32,
    scale: f32,
    activation: Activation,
) -> Vec<super::pb::AttributeProto> {
    let [heads, eps, factor, name] = BLOCK_ATTRIBUTES;
    vec![
        int(heads, num_heads as i64),
        float(eps, epsilon),
        float(factor, scale),
        super::nodes::string(name, activation.name()),
    ]
}
