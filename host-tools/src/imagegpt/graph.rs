//! The graph `imagegpt`: one node per embedding, block, norm and head.

use igpt_runtime::tools::pb::tensor_proto::DataType;
use igpt_runtime::tools::pb::{GraphProto, NodeProto};
use igpt_runtime::{Dtype, ImageGptConfig, Task};

use super::functions::{block_attributes, op_names};
use crate::onnx::nodes::{Dim, call, float, int, named, node, value_info};

/// The graph without its initializers, which are written one by one.
pub(crate) fn graph(
    config: &ImageGptConfig,
    task: Task,
    dtype: Dtype,
    head_bias: bool,
) -> GraphProto {
    let layers = config.n_layer;
    let last_block = format!("transformer.h.{}.output", layers.saturating_sub(1));
    let hidden = |index: usize| format!("hidden_states.{index}");
    let mut nodes = vec![named(
        "transformer.embed",
        call(
            "ImageGptEmbedding",
            &[
                "input_ids",
                "transformer.wte.weight",
                "transformer.wpe.weight",
            ],
            &hidden(0),
            vec![],
        ),
    )];
    for layer in 0..layers {
        let output = if layer + 1 == layers {
            last_block.clone()
        } else {
            hidden(layer + 1)
        };
        nodes.push(block(config, dtype, layer, &hidden(layer), &output));
    }
    let norm = node(
        "RMSNormalization",
        &[&last_block, "transformer.ln_f.weight"],
        &[&hidden(layers)],
        vec![int("axis", -1), float("epsilon", config.epsilon())],
    );
    nodes.push(named("transformer.ln_f", norm));

    let (batch, tokens) = (Dim::Symbol("batch"), Dim::Symbol("tokens"));
    let mut values: Vec<_> = (0..=layers)
        .map(|index| {
            let dims = [
                Dim::Symbol("batch"),
                Dim::Symbol("tokens"),
                Dim::Fixed(config.n_embd),
            ];
            value_info(&hidden(index), DataType::Float, &dims)
        })
        .collect();
    let output = match task {
        Task::Features => std::mem::take(&mut values),
        Task::Classify => {
            let last = hidden(layers);
            let mut inputs = vec![last.as_str(), "score.weight"];
            if head_bias {
                inputs.push("score.bias");
            }
            let head = call("ImageGptClassificationHead", &inputs, "logits", vec![]);
            nodes.push(named("score", head));
            let dims = [Dim::Symbol("batch"), Dim::Fixed(config.num_labels())];
            vec![value_info("logits", DataType::Float, &dims)]
        }
        Task::Causal => {
            let last = hidden(layers);
            let mut inputs = vec![last.as_str(), "lm_head.weight"];
            if dtype != Dtype::F32 {
                inputs.push("lm_head.weight_scale");
            }
            inputs.push("lm_head.bias");
            nodes.push(named(
                "lm_head",
                call(op_names(dtype).0, &inputs, "logits", vec![]),
            ));
            let dims = [
                Dim::Symbol("batch"),
                Dim::Symbol("tokens"),
                Dim::Fixed(config.num_colors()),
            ];
            vec![value_info("logits", DataType::Float, &dims)]
        }
    };
    GraphProto {
        name: "imagegpt".into(),
        node: nodes,
        input: vec![value_info("input_ids", DataType::Int64, &[batch, tokens])],
        output,
        value_info: values,
        ..GraphProto::default()
    }
}

fn block(
    config: &ImageGptConfig,
    dtype: Dtype,
    layer: usize,
    input: &str,
    output: &str,
) -> NodeProto {
    let mut operands = vec!["ln_1.weight".to_owned()];
    for linear in ["attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj"] {
        if linear == "mlp.c_fc" {
            operands.push("ln_2.weight".into());
        }
        operands.push(format!("{linear}.weight"));
        if dtype == Dtype::Int4 {
            operands.push(format!("{linear}.weight_multiplier"));
        }
        if dtype != Dtype::F32 {
            operands.push(format!("{linear}.weight_scale"));
        }
        operands.push(format!("{linear}.bias"));
    }
    let prefix = format!("transformer.h.{layer}");
    let operands: Vec<String> = operands
        .iter()
        .map(|name| format!("{prefix}.{name}"))
        .collect();
    let mut inputs = vec![input];
    inputs.extend(operands.iter().map(String::as_str));
    let attributes = block_attributes(
        config.n_head,
        config.epsilon(),
        config.attn_scale(layer),
        config.activation_function,
    );
    named(
        &prefix,
        call(op_names(dtype).1, &inputs, output, attributes),
    )
}
