//! The linear layers as functions: f32, and int8 with its integer arithmetic spelled out.

use igpt_runtime::tools::{INT4_GROUP, Panels};

use super::nodes::{
    cast, constant_f32, constant_i32, constant_ints, constant_u8, function, int, ints, node,
};
use igpt_runtime::tools::pb::tensor_proto::DataType;
use igpt_runtime::tools::pb::{FunctionProto, NodeProto};

/// An int8 function: its operands, and `body` after what makes a matrix `w` of weights in panels.
fn int8(name: &str, panels: Option<Panels>, body: Vec<NodeProto>) -> FunctionProto {
    let operand = if panels.is_some() { "w_panels" } else { "w" };
    let inputs = ["x", operand, "w_scale", "bias"];
    let mut nodes = panels.map_or_else(Vec::new, |_| unpacked());
    nodes.extend(body);
    function(name, &inputs, "y", nodes)
}

/// `w_panels` `[n/NR, k/KR, NR, KR]`, zero padded, to `w` `[k, n]`. The sizes are those of `x` and `w_scale`.
fn unpacked() -> Vec<NodeProto> {
    let order = vec![ints("perm", &[1, 3, 0, 2])];
    vec![
        node("Transpose", &["w_panels"], &["w_rows"], order),
        // The first two of four dimensions become one, and the last two.
        node("Flatten", &["w_rows"], &["w_padded"], vec![int("axis", 2)]),
        node("Shape", &["x"], &["k"], vec![int("start", -1)]),
        node("Shape", &["w_scale"], &["n"], vec![]),
        node("Concat", &["k", "n"], &["w_shape"], vec![int("axis", 0)]),
        constant_ints("w_start", &[0, 0]),
        node("Slice", &["w_padded", "w_start", "w_shape"], &["w"], vec![]),
    ]
}

/// Rows quantised symmetrically to [-127, 127].
pub(crate) fn linear_int8(panels: Option<Panels>) -> FunctionProto {
    let mut body = vec![
        constant_ints("last", &[-1]),
        constant_f32("limit", 127.0),
        constant_f32("minus_limit", -127.0),
        // Below it a row counts as zeros; 127 divided by it is still finite.
        constant_f32("tiny", 2f32.powi(-100)),
        constant_f32("offset", 128.0),
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
    ];
    body.extend(product("q_u8", 128));
    body.push(cast("acc", "acc_f32", DataType::Float));
    body.extend(scaled());
    int8("ImageGptLinearInt8", panels, body)
}

/// One-sided rows, as an activation leaves them, quantised to 0..=255 with a zero of their own.
pub(crate) fn linear_uint8(panels: Option<Panels>) -> FunctionProto {
    let keep = || vec![int("keepdims", 1)];
    let mut body = vec![
        constant_ints("last", &[-1]),
        constant_f32("none", 0.0),
        constant_f32("levels", 255.0),
        constant_f32("tiny", 2f32.powi(-100)),
        node("ReduceMin", &["x", "last"], &["smallest"], keep()),
        node("ReduceMax", &["x", "last"], &["largest"], keep()),
        node("Min", &["smallest", "none"], &["low"], vec![]),
        node("Max", &["largest", "none"], &["high"], vec![]),
        node("Sub", &["high", "low"], &["span"], vec![]),
        node("Max", &["span", "tiny"], &["divisor"], vec![]),
        node("Div", &["levels", "divisor"], &["to_steps"], vec![]),
        node("Div", &["span", "levels"], &["row_scale"], vec![]),
        node("Neg", &["low"], &["depth"], vec![]),
        node("Mul", &["depth", "to_steps"], &["zero_steps"], vec![]),
        node("Round", &["zero_steps"], &["zero"], vec![]),
        node("Mul", &["x", "to_steps"], &["steps"], vec![]),
        node("Round", &["steps"], &["rounded"], vec![]),
        node("Add", &["rounded", "zero"], &["shifted"], vec![]),
        node("Clip", &["shifted", "none", "levels"], &["u"], vec![]),
        cast("u", "u_u8", DataType::Uint8),
    ];
    body.extend(product("u_u8", 0));
    body.extend([
        constant_ints("inner", &[0]),
        node("ReduceSum", &["w_i32", "inner"], &["w_sum"], keep()),
        cast("zero", "zero_i32", DataType::Int32),
        node("Mul", &["zero_i32", "w_sum"], &["correction"], vec![]),
        node("Sub", &["acc", "correction"], &["centred"], vec![]),
        cast("centred", "acc_f32", DataType::Float),
    ]);
    body.extend(scaled());
    int8("ImageGptLinearUint8", panels, body)
}

/// The integer product of `rows` (uint8, their zero at `zero`) and the weights: `acc`; leaves the weights as
/// `w_i32`.
fn product(rows: &str, zero: u8) -> Vec<NodeProto> {
    vec![
        // The weights become uint8 as well (once: they are constant). onnxruntime's uint8 x int8 product
        // saturates on x86 without VNNI, its uint8 x uint8 product is exact everywhere.
        constant_u8("zero_point", 128),
        constant_u8("rows_zero", zero),
        cast("w", "w_i32", DataType::Int32),
        constant_i32("offset_i32", 128),
        node("Add", &["w_i32", "offset_i32"], &["w_shifted"], vec![]),
        cast("w_shifted", "w_u8", DataType::Uint8),
        node(
            "MatMulInteger",
            &[rows, "w_u8", "rows_zero", "zero_point"],
            &["acc"],
            vec![],
        ),
    ]
}

/// `acc_f32` with `row_scale` and `w_scale` to `y`.
fn scaled() -> Vec<NodeProto> {
    vec![
        // The outer product of the scales, which is what Mul would broadcast to. onnxruntime 1.32 fuses a Mul
        // of two scales into MatMulIntegerToFloat, which takes one scale for all rows and gives wrong
        // results.
        constant_ints("first", &[0]),
        node("Unsqueeze", &["w_scale", "first"], &["w_scale_row"], vec![]),
        node("MatMul", &["row_scale", "w_scale_row"], &["scale"], vec![]),
        node("Mul", &["acc_f32", "scale"], &["product"], vec![]),
        node("Add", &["product", "bias"], &["y"], vec![]),
    ]
}

/// `int4` values and their `multipliers`, less one each, to `int8`, the matrix that they are. Not a function
/// of its own: onnxruntime 1.32 lets a function hand int4 on to operators, but not to another function.
pub(crate) fn int4_weight(int4: &str, multipliers: &str, int8: &str) -> [NodeProto; 5] {
    let name = |part: &str| format!("{int8}_{part}");
    let (less_one, one, multiplier) = (name("less_one"), name("one"), name("multiplier"));
    let product = name("product");
    let blocks = vec![int("axis", 0), int("block_size", INT4_GROUP as i64)];
    [
        cast(multipliers, &less_one, DataType::Float),
        constant_f32(&one, 1.0),
        node("Add", &[&less_one, &one], &[&multiplier], vec![]),
        node(
            "DequantizeLinear",
            &[int4, &multiplier],
            &[&product],
            blocks,
        ),
        cast(&product, int8, DataType::Int8),
    ]
}

pub(crate) fn linear_f32() -> FunctionProto {
    let body = vec![
        node("MatMul", &["x", "w"], &["product"], vec![]),
        node("Add", &["product", "bias"], &["y"], vec![]),
    ];
    function("ImageGptLinearF32", &["x", "w", "bias"], "y", body)
}
