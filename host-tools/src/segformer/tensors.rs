//! The tensors of a SegFormer classifier.

use igpt_runtime::SegformerConfig;

use crate::checkpoint::expected::{Head, Tensors};

/// Name (without `segformer.`, in the newer spelling) and shape in PyTorch's order of every tensor of the model
/// without a head, in the order of the forward pass.
pub fn body_tensors(config: &SegformerConfig) -> Vec<(String, Vec<usize>)> {
    let mut tensors = Vec::new();
    let mut channels = config.num_channels;
    for stage in 0..config.num_encoder_blocks {
        let width = at(&config.hidden_sizes, stage);
        let kernel = at(&config.patch_sizes, stage);
        let mut push = |name: &str, shape| tensors.push((format!("stages.{stage}.{name}"), shape));
        push(
            "patch_embeddings.proj.weight",
            vec![width, channels, kernel, kernel],
        );
        push("patch_embeddings.proj.bias", vec![width]);
        norm(&mut push, "patch_embeddings.layer_norm", width);
        for block in 0..at(&config.depths, stage) {
            let mut push = |name: &str, shape| push(&format!("blocks.{block}.{name}"), shape);
            block_tensors(&mut push, config, stage);
        }
        norm(&mut push, "layer_norm", width);
        channels = width;
    }
    tensors
}

/// Those of one block.
fn block_tensors(push: &mut impl FnMut(&str, Vec<usize>), config: &SegformerConfig, stage: usize) {
    let (width, attended) = (
        at(&config.hidden_sizes, stage),
        config.attention_width(stage),
    );
    let (inner, ratio) = (config.inner_dim(stage), at(&config.sr_ratios, stage));
    norm(push, "layernorm_before", width);
    if ratio > 1 {
        const REDUCTION: &str = "attention.sequence_reduction";
        push(
            &format!("{REDUCTION}.sequence_reduction.weight"),
            vec![width, width, ratio, ratio],
        );
        push(&format!("{REDUCTION}.sequence_reduction.bias"), vec![width]);
        norm(push, &format!("{REDUCTION}.layer_norm"), width);
    }
    for (name, outputs, inputs) in [
        ("attention.q_proj", attended, width),
        ("attention.k_proj", attended, width),
        ("attention.v_proj", attended, width),
        ("attention.o_proj", width, attended),
    ] {
        linear(push, name, outputs, inputs);
    }
    norm(push, "layernorm_after", width);
    linear(push, "mlp.fc1", inner, width);
    push("mlp.dwconv.dwconv.weight", vec![inner, 1, 3, 3]);
    push("mlp.dwconv.dwconv.bias", vec![inner]);
    linear(push, "mlp.fc2", width, inner);
}

fn norm(push: &mut impl FnMut(&str, Vec<usize>), name: &str, width: usize) {
    push(&format!("{name}.weight"), vec![width]);
    push(&format!("{name}.bias"), vec![width]);
}

fn linear(push: &mut impl FnMut(&str, Vec<usize>), name: &str, outputs: usize, inputs: usize) {
    push(&format!("{name}.weight"), vec![outputs, inputs]);
    push(&format!("{name}.bias"), vec![outputs]);
}

/// A stage's entry of one of the configuration's lists, which a valid one has.
pub(super) fn at(list: &[usize], stage: usize) -> usize {
    list.get(stage).copied().unwrap_or_default()
}

impl Tensors for SegformerConfig {
    const MODEL: &'static str = "SegFormer";
    const PARTS: &'static str = "stages.";

    fn body(&self) -> Vec<(String, Vec<usize>)> {
        body_tensors(self)
    }

    fn heads(&self) -> Vec<(Head, &'static str, Vec<usize>)> {
        let width = self.hidden_sizes.last().copied().unwrap_or_default();
        let labels = self.num_labels();
        vec![
            (
                Head::Classification,
                "classifier.weight",
                vec![labels, width],
            ),
            (Head::Classification, "classifier.bias", vec![labels]),
        ]
    }
}
