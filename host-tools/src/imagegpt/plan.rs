//! Which initializers a file of an ImageGPT holds, in file order.

use igpt_runtime::{Dtype, ImageGptConfig, Task};

use super::tensors::body_tensors;
use crate::onnx::plan::{Form, Initializer, Role, push_linear};

/// Every initializer of the file; with `head_bias` a classifier's `score` has one.
pub(crate) fn initializers(
    config: &ImageGptConfig,
    form: Form,
    head_bias: bool,
) -> Vec<Initializer> {
    let Form { task, dtype, .. } = form;
    let mut list = Vec::new();
    for (tensor, dims) in body_tensors(config) {
        let name = format!("transformer.{tensor}");
        let embedding = tensor.starts_with("wte.") || tensor.starts_with("wpe.");
        if dims.len() == 2 && !embedding {
            push_linear(&mut list, name, tensor, dims, form, false);
            continue;
        }
        let role = if embedding && dtype != Dtype::F32 {
            Role::F16
        } else {
            Role::F32
        };
        list.push(Initializer {
            name,
            dims,
            tensor,
            role,
            panels: None,
        });
    }
    match task {
        Task::Features => {}
        Task::Classify => {
            let mut push = |name: &str, dims| {
                list.push(Initializer {
                    name: name.into(),
                    dims,
                    tensor: name.into(),
                    role: Role::F32,
                    panels: None,
                });
            };
            push("score.weight", vec![config.num_labels(), config.n_embd]);
            if head_bias {
                push("score.bias", vec![config.num_labels()]);
            }
        }
        Task::Causal => {
            let dims = vec![config.n_embd, config.num_colors()];
            let name = "lm_head.weight".to_owned();
            push_linear(&mut list, name.clone(), name, dims, form, true);
            list.push(Initializer {
                name: "lm_head.bias".into(),
                dims: vec![config.num_colors()],
                tensor: String::new(),
                role: Role::Zeros,
                panels: None,
            });
        }
    }
    list
}
