//! SegFormer's operators as model-local functions: what they mean, in standard operators.
//!
//! Maps are channels last, `[batch, height, width, channels]`, between functions.

use igpt_runtime::tools::pb::attribute_proto::AttributeType;
use igpt_runtime::tools::pb::{AttributeProto, FunctionProto, NodeProto};
use igpt_runtime::{Activation, Dtype, SegformerConfig, Task};

use super::parts::{self, Constant};
use super::tensors::at;
use crate::onnx::activations::activation_nodes;
use crate::onnx::linears::{linear_f32, linear_int8, linear_uint8};
use crate::onnx::nodes::{call, constant_f32, constant_ints, function, int, ints, node, reference};
use crate::onnx::plan::Form;

/// The functions that a file of this form calls.
pub(super) fn functions(config: &SegformerConfig, form: Form) -> Vec<FunctionProto> {
    let Form {
        task,
        dtype,
        panels,
        ..
    } = form;
    let mut list = match dtype {
        Dtype::F32 => vec![linear_f32()],
        Dtype::Int8 | Dtype::Int4 => vec![linear_int8(panels), linear_uint8(panels)],
    };
    let stages = 0..config.num_encoder_blocks;
    let mut push = |function: FunctionProto| {
        // Stages share what they can.
        if list.iter().all(|known| known.name != function.name) {
            list.push(function);
        }
    };
    for stage in stages {
        push(patches(config, dtype, stage));
        push(block(
            dtype,
            config.hidden_act,
            parts::is_reduced(config, stage),
        ));
    }
    if task == Task::Classify {
        push(classification_head());
    }
    list
}

/// What the body of a patch convolution is depends on its kernel and stride.
pub(super) fn patches_name(config: &SegformerConfig, dtype: Dtype, stage: usize) -> String {
    let input = if stage == 0 { "Pixel" } else { "" };
    let (kernel, stride) = (at(&config.patch_sizes, stage), at(&config.strides, stage));
    format!(
        "Segformer{input}Patches{}_k{kernel}s{stride}",
        suffix(dtype)
    )
}

pub(super) fn block_name(dtype: Dtype, reduced: bool) -> &'static str {
    match (dtype, reduced) {
        (Dtype::F32, true) => "SegformerReducedBlockF32",
        (Dtype::F32, false) => "SegformerBlockF32",
        (Dtype::Int8 | Dtype::Int4, true) => "SegformerReducedBlockInt8",
        (Dtype::Int8 | Dtype::Int4, false) => "SegformerBlockInt8",
    }
}

fn suffix(dtype: Dtype) -> &'static str {
    match dtype {
        Dtype::F32 => "F32",
        Dtype::Int8 | Dtype::Int4 => "Int8",
    }
}

/// Applies the linear layer `name` to symmetric rows.
fn linear(dtype: Dtype, name: &str, from: &str, to: &str) -> NodeProto {
    let op = match dtype {
        Dtype::F32 => "ImageGptLinearF32",
        Dtype::Int8 | Dtype::Int4 => "ImageGptLinearInt8",
    };
    apply(op, dtype, name, from, to)
}

/// Applies the linear layer `name` to what an activation leaves.
fn one_sided(dtype: Dtype, name: &str, from: &str, to: &str) -> NodeProto {
    let op = match dtype {
        Dtype::F32 => "ImageGptLinearF32",
        Dtype::Int8 | Dtype::Int4 => "ImageGptLinearUint8",
    };
    apply(op, dtype, name, from, to)
}

fn apply(op: &str, dtype: Dtype, name: &str, from: &str, to: &str) -> NodeProto {
    let (weight, scale) = (format!("{name}.weight"), format!("{name}.weight_scale"));
    let bias = format!("{name}.bias");
    let mut operands = vec![from, &weight];
    if dtype != Dtype::F32 {
        operands.push(&scale);
    }
    operands.push(&bias);
    call(op, &operands, to, vec![])
}

fn norm(name: &str, from: &str, to: &str) -> NodeProto {
    let (gain, bias) = (format!("{name}.weight"), format!("{name}.bias"));
    let epsilon = reference("epsilon", AttributeType::Float, "epsilon");
    let attributes = vec![int("axis", -1), epsilon];
    node(
        "LayerNormalization",
        &[from, &gain, &bias],
        &[to],
        attributes,
    )
}

/// `[batch, height, width, channels]` to `[batch, channels, height, width]`.
fn channels_first(from: &str, to: &str) -> NodeProto {
    node(
        "Transpose",
        &[from],
        &[to],
        vec![ints("perm", &[0, 3, 1, 2])],
    )
}

/// And back.
fn channels_last(from: &str, to: &str) -> NodeProto {
    node(
        "Transpose",
        &[from],
        &[to],
        vec![ints("perm", &[0, 2, 3, 1])],
    )
}

fn named_function(
    name: &str,
    constants: &[Constant],
    dtype: Dtype,
    attributes: &[&str],
    body: Vec<NodeProto>,
) -> FunctionProto {
    let mut inputs = vec!["x".to_owned()];
    inputs.extend(constants.iter().flat_map(|constant| constant.names(dtype)));
    let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
    FunctionProto {
        attribute: attributes.iter().map(|name| (*name).to_owned()).collect(),
        ..function(name, &inputs, "y", body)
    }
}

/// Windows of the padded map as rows, in the order of their pixels, a linear layer and its norm.
fn patches(config: &SegformerConfig, dtype: Dtype, stage: usize) -> FunctionProto {
    let (kernel, stride) = (at(&config.patch_sizes, stage), at(&config.strides, stage));
    let side = (kernel / 2) as i64;
    let mut body = Vec::new();
    let map = if stage == 0 { "map" } else { "x" };
    if stage == 0 {
        body.push(channels_last("x", map));
    }
    body.extend([
        constant_ints("pads", &[0, side, side, 0, 0, side, side, 0]),
        constant_f32("nothing", 0.0),
        node("Pad", &[map, "pads", "nothing"], &["padded"], vec![]),
        constant_ints("rows_and_columns", &[1, 2]),
        constant_ints("steps", &[stride as i64; 2]),
    ]);
    // Where the slice for one tap ends, so that as many pixels are before it as windows fit.
    let end = |tap: usize| match kernel - 1 - tap {
        0 => i64::MAX,
        left => -(left as i64),
    };
    let mut taps = Vec::new();
    for (y, x) in (0..kernel).flat_map(|y| (0..kernel).map(move |x| (y, x))) {
        let tap = format!("tap_{y}_{x}");
        let (from, to) = (format!("{tap}_from"), format!("{tap}_to"));
        let operands = ["padded", &from, &to, "rows_and_columns", "steps"];
        body.extend([
            constant_ints(&from, &[y as i64, x as i64]),
            constant_ints(&to, &[end(y), end(x)]),
            node("Slice", &operands, &[&tap], vec![]),
        ]);
        taps.push(tap);
    }
    let taps: Vec<&str> = taps.iter().map(String::as_str).collect();
    body.extend([
        node("Concat", &taps, &["windows"], vec![int("axis", -1)]),
        linear(dtype, "proj", "windows", "projected"),
        norm("layer_norm", "projected", "y"),
    ]);
    let attributes = ["kernel", "stride", "epsilon"];
    let name = patches_name(config, dtype, stage);
    named_function(&name, &parts::PATCHES, dtype, &attributes, body)
}

fn block(dtype: Dtype, activation: Activation, reduced: bool) -> FunctionProto {
    let split = |parts: i64| vec![int("axis", -1), int("num_outputs", parts)];
    let mut body = vec![norm("layernorm_before", "x", "normed")];
    if reduced {
        body.extend(reduction(dtype));
        body.extend([
            linear(dtype, "attention.kv_proj", "keys_and_values", "kv"),
            node("Split", &["kv"], &["key_map", "value_map"], split(2)),
            linear(dtype, "attention.q_proj", "normed", "query_map"),
        ]);
    } else {
        let maps = ["query_map", "key_map", "value_map"];
        body.extend([
            linear(dtype, "attention.qkv_proj", "normed", "qkv"),
            node("Split", &["qkv"], &maps, split(3)),
        ]);
    }
    body.extend(attention());
    body.extend([
        linear(dtype, "attention.o_proj", "attended_map", "attended"),
        node("Add", &["x", "attended"], &["middle"], vec![]),
        norm("layernorm_after", "middle", "normed_middle"),
        linear(dtype, "mlp.fc1", "normed_middle", "inner_map"),
        channels_first("inner_map", "inner_channels"),
        node(
            "Conv",
            &[
                "inner_channels",
                "mlp.dwconv.dwconv.weight",
                "mlp.dwconv.dwconv.bias",
            ],
            &["mixed_channels"],
            vec![
                reference("group", AttributeType::Int, "inner"),
                ints("kernel_shape", &[3, 3]),
                ints("pads", &[1, 1, 1, 1]),
            ],
        ),
        channels_last("mixed_channels", "u"),
    ]);
    body.extend(activation_nodes(activation));
    body.extend([
        one_sided(dtype, "mlp.fc2", "activated", "mlp"),
        node("Add", &["middle", "mlp"], &["y"], vec![]),
    ]);
    let mut attributes = vec!["num_heads", "scale", "epsilon", "activation", "inner"];
    if reduced {
        attributes.push("sr_ratio");
    }
    let constants = parts::block_constants(reduced);
    named_function(
        block_name(dtype, reduced),
        &constants,
        dtype,
        &attributes,
        body,
    )
}

/// `normed` to `keys_and_values`, a pixel for every whole window.
fn reduction(dtype: Dtype) -> Vec<NodeProto> {
    let ratio = |name: &str| vec![reference(name, AttributeType::Int, "sr_ratio")];
    let name = "attention.sequence_reduction";
    vec![
        node("Constant", &[], &["ratio"], ratio("value_int")),
        node(
            "Shape",
            &["normed"],
            &["size"],
            vec![int("start", 1), int("end", 3)],
        ),
        node("Div", &["size", "ratio"], &["reduced_size"], vec![]),
        node("Mul", &["reduced_size", "ratio"], &["whole_size"], vec![]),
        constant_ints("corner", &[0, 0]),
        constant_ints("rows_and_columns", &[1, 2]),
        node(
            "Slice",
            &["normed", "corner", "whole_size", "rows_and_columns"],
            &["whole"],
            vec![],
        ),
        channels_first("whole", "whole_channels"),
        // Its channels come out in the order of a window's pixels, each with all its channels.
        node(
            "SpaceToDepth",
            &["whole_channels"],
            &["window_channels"],
            ratio("blocksize"),
        ),
        channels_last("window_channels", "windows"),
        linear(
            dtype,
            &format!("{name}.sequence_reduction"),
            "windows",
            "reduced",
        ),
        norm(&format!("{name}.layer_norm"), "reduced", "keys_and_values"),
    ]
}

/// `query_map`, `key_map` and `value_map` to `attended_map`: every pixel sees every key.
fn attention() -> Vec<NodeProto> {
    let heads = |name: &str| reference(name, AttributeType::Int, "num_heads");
    let attributes: Vec<AttributeProto> = vec![
        int("is_causal", 0),
        heads("q_num_heads"),
        heads("kv_num_heads"),
        reference("scale", AttributeType::Float, "scale"),
    ];
    let mut nodes = vec![
        // The batch as it is, all pixels, all channels.
        constant_ints("all_pixels", &[0, -1]),
        node(
            "Shape",
            &["query_map"],
            &["attention_width"],
            vec![int("start", -1)],
        ),
        node(
            "Concat",
            &["all_pixels", "attention_width"],
            &["rows"],
            vec![int("axis", 0)],
        ),
    ];
    nodes.extend(["query", "key", "value"].map(|name| {
        node(
            "Reshape",
            &[&format!("{name}_map"), "rows"],
            &[name],
            vec![],
        )
    }));
    nodes.extend([
        node(
            "Attention",
            &["query", "key", "value"],
            &["heads"],
            attributes,
        ),
        node("Shape", &["query_map"], &["map_shape"], vec![]),
        node(
            "Reshape",
            &["heads", "map_shape"],
            &["attended_map"],
            vec![],
        ),
    ]);
    nodes
}

fn classification_head() -> FunctionProto {
    let body = vec![
        constant_ints("pixels", &[1, 2]),
        node(
            "ReduceMean",
            &["x", "pixels"],
            &["pooled"],
            vec![int("keepdims", 0)],
        ),
        node("Transpose", &["weight"], &["weight_t"], vec![]),
        node("MatMul", &["pooled", "weight_t"], &["product"], vec![]),
        node("Add", &["product", "bias"], &["y"], vec![]),
    ];
    function(
        "SegformerClassificationHead",
        &["x", "weight", "bias"],
        "y",
        body,
    )
}
