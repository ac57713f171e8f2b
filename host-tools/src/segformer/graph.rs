//! The graph `segformer`: one node per patch convolution, block, norm and head.

use igpt_runtime::tools::pb::tensor_proto::DataType;
use igpt_runtime::tools::pb::{GraphProto, NodeProto};
use igpt_runtime::{SegformerConfig, Task};

use super::functions::{block_name, patches_name};
use super::parts::{self, Constant};
use super::sized::SizedModel;
use super::tensors::at;
use crate::onnx::nodes::{Dim, call, float, int, named, node, string, value_info};
use crate::onnx::plan::Form;

/// The graph without its initializers, which are written one by one.
pub(super) fn graph(model: &SizedModel<'_>, form: Form) -> GraphProto {
    let SizedModel {
        config,
        size: (height, width),
        ref grids,
    } = *model;
    let hidden = |stage: usize| format!("hidden_states.{stage}");
    let mut nodes = Vec::new();
    let mut map = "pixel_values".to_owned();
    for stage in 0..config.num_encoder_blocks {
        nodes.push(patches(config, form, stage, &map));
        map = format!("segformer.stages.{stage}.patches");
        for index in 0..at(&config.depths, stage) {
            let prefix = format!("segformer.stages.{stage}.blocks.{index}");
            let output = format!("{prefix}.output");
            nodes.push(block(config, form, stage, &prefix, (&map, &output)));
            map = output;
        }
        nodes.push(norm(stage, (&map, &hidden(stage))));
        map = hidden(stage);
    }
    let states = grids.iter().zip(&config.hidden_sizes).enumerate();
    let mut values: Vec<_> = states
        .map(|(stage, ((height, width), channels))| {
            let dims = [
                Dim::Symbol("batch"),
                Dim::Fixed(*height),
                Dim::Fixed(*width),
                Dim::Fixed(*channels),
            ];
            value_info(&hidden(stage), DataType::Float, &dims)
        })
        .collect();
    let output = if form.task == Task::Classify {
        let inputs = [&*map, "classifier.weight", "classifier.bias"];
        let head = call("SegformerClassificationHead", &inputs, "logits", vec![]);
        nodes.push(named("classifier", head));
        let dims = [Dim::Symbol("batch"), Dim::Fixed(config.num_labels())];
        vec![value_info("logits", DataType::Float, &dims)]
    } else {
        std::mem::take(&mut values)
    };
    let dims = [
        Dim::Symbol("batch"),
        Dim::Fixed(config.num_channels),
        Dim::Fixed(height),
        Dim::Fixed(width),
    ];
    GraphProto {
        name: "segformer".into(),
        node: nodes,
        input: vec![value_info("pixel_values", DataType::Float, &dims)],
        output,
        value_info: values,
        ..GraphProto::default()
    }
}

/// `input` and the constants of the node called `prefix`.
fn operands(input: &str, prefix: &str, constants: &[Constant], form: Form) -> Vec<String> {
    let names = constants
        .iter()
        .flat_map(|constant| constant.names(form.dtype));
    let names = names.map(|name| format!("{prefix}.{name}"));
    std::iter::once(input.to_owned()).chain(names).collect()
}

fn patches(config: &SegformerConfig, form: Form, stage: usize, input: &str) -> NodeProto {
    let prefix = format!("segformer.stages.{stage}.patch_embeddings");
    let inputs = operands(input, &prefix, &parts::PATCHES, form);
    let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
    let attributes = vec![
        int("kernel", at(&config.patch_sizes, stage) as i64),
        int("stride", at(&config.strides, stage) as i64),
        float("epsilon", SegformerConfig::EPSILON),
    ];
    let output = format!("segformer.stages.{stage}.patches");
    let op = patches_name(config, form.dtype, stage);
    named(&prefix, call(&op, &inputs, &output, attributes))
}

fn block(
    config: &SegformerConfig,
    form: Form,
    stage: usize,
    prefix: &str,
    (input, output): (&str, &str),
) -> NodeProto {
    let inputs = operands(input, prefix, &parts::block(config, stage), form);
    let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
    let reduced = parts::is_reduced(config, stage);
    let scale = 1.0 / (config.head_dim(stage) as f64).sqrt();
    let mut attributes = vec![
        int("num_heads", at(&config.num_attention_heads, stage) as i64),
        float("scale", scale as f32),
        float("epsilon", SegformerConfig::EPSILON),
        string("activation", config.hidden_act.name()),
        int("inner", config.inner_dim(stage) as i64),
    ];
    if reduced {
        attributes.push(int("sr_ratio", at(&config.sr_ratios, stage) as i64));
    }
    named(
        prefix,
        call(block_name(form.dtype, reduced), &inputs, output, attributes),
    )
}

fn norm(stage: usize, (input, output): (&str, &str)) -> NodeProto {
    let prefix = format!("segformer.stages.{stage}.layer_norm");
    let (gain, bias) = (format!("{prefix}.weight"), format!("{prefix}.bias"));
    let attributes = vec![int("axis", -1), float("epsilon", SegformerConfig::EPSILON)];
    let inputs = [input, &gain, &bias];
    named(
        &prefix,
        node("LayerNormalization", &inputs, &[output], attributes),
    )
}
