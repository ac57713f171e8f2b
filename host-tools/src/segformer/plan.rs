//! Which initializers a file of a SegFormer holds, in file order.

use igpt_runtime::{SegformerConfig, Task};

use super::parts::{self, Constant};
use super::tensors::at;
use crate::onnx::plan::{Form, Initializer, push_linear};

/// Every initializer of the file. Its tensors are those of [`super::layout::FileLayout`].
pub(super) fn initializers(config: &SegformerConfig, form: Form) -> Vec<Initializer> {
    let mut list = Vec::new();
    for stage in 0..config.num_encoder_blocks {
        let prefix = format!("stages.{stage}");
        let mut push = |part: &str, constants: &[Constant]| {
            for constant in constants {
                let (Constant::Plain(name) | Constant::Matrix(name)) = *constant;
                let (tensor, dims) = (format!("{part}.{name}"), parts::dims(config, stage, name));
                let full = format!("segformer.{tensor}");
                match constant {
                    Constant::Plain(_) => list.push(Initializer::f32(full, tensor, dims)),
                    Constant::Matrix(_) => push_linear(&mut list, full, tensor, dims, form, false),
                }
            }
        };
        push(&format!("{prefix}.patch_embeddings"), &parts::PATCHES);
        for block in 0..at(&config.depths, stage) {
            push(
                &format!("{prefix}.blocks.{block}"),
                &parts::block(config, stage),
            );
        }
        let norm = ["weight", "bias"].map(Constant::Plain);
        push(&format!("{prefix}.layer_norm"), &norm);
    }
    if form.task == Task::Classify {
        let width = config.hidden_sizes.last().copied().unwrap_or_default();
        let labels = config.num_labels();
        let mut push = |name: &str, dims| list.push(Initializer::f32(name, name, dims));
        push("classifier.weight", vec![labels, width]);
        push("classifier.bias", vec![labels]);
    }
    list
}
