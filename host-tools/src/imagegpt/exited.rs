//! The file of an ImageGPT with exits: beside the whole model's logits those of a probe after some of its blocks.

use std::collections::BTreeMap;
use std::path::PathBuf;

use igpt_heads::LinearHead;
use igpt_runtime::processor::Backend;
use igpt_runtime::tools::pb::tensor_proto::DataType;
use igpt_runtime::tools::pb::{FunctionProto, GraphProto};
use igpt_runtime::{Exits, ImageGptConfig};

use super::{functions, graph, plan};
use crate::checkpoint::{CheckpointError, Weights};
use crate::onnx::CutModel;
use crate::onnx::design::Design;
use crate::onnx::nodes::{Dim, call, float, int, named, node, value_info};
use crate::onnx::plan::{Form, Initializer};
use crate::quantization::QuantizedMatrix;

/// A model and where it may stop.
#[derive(Clone, Copy, Debug)]
pub struct ExitedModel<'a> {
    /// The model's configuration.
    pub config: &'a ImageGptConfig,
    /// Its exits.
    pub exits: &'a Exits,
}

/// What the tensors of the probe after this block are called.
fn prefix(layer: usize) -> String {
    format!("exits.{layer}")
}

impl Design for ExitedModel<'_> {
    fn config(&self) -> String {
        self.config.to_json()
    }

    fn metadata(&self) -> Vec<(&'static str, String)> {
        vec![("igpt.exits", self.exits.to_json())]
    }

    fn format(&self, _: Form, _: Option<Backend>) -> &'static str {
        "5"
    }

    fn initializers(&self, form: Form, _: bool) -> Vec<Initializer> {
        let (labels, c) = (self.config.num_labels(), self.config.n_embd);
        let mut list = plan::initializers(self.config, form, true);
        for layer in &self.exits.layers {
            let prefix = prefix(*layer);
            let tensors = [
                ("ln_f.weight", vec![c]),
                ("score.weight", vec![labels, c]),
                ("score.bias", vec![labels]),
            ];
            list.extend(tensors.map(|(tensor, dims)| {
                let name = format!("{prefix}.{tensor}");
                Initializer::f32(name.clone(), name, dims)
            }));
        }
        list
    }

    fn graph(&self, form: Form, _: bool) -> GraphProto {
        let mut graph = graph::graph(self.config, form.task, form.dtype, true);
        for layer in &self.exits.layers {
            let prefix = prefix(*layer);
            let at = |part: &str| format!("{prefix}.{part}");
            let hidden = format!("hidden_states.{layer}");
            let normed = at("hidden_states");
            let norm = node(
                "RMSNormalization",
                &[&hidden, &at("ln_f.weight")],
                &[&normed],
                vec![int("axis", -1), float("epsilon", self.config.epsilon())],
            );
            let inputs = [&normed, &at("score.weight"), &at("score.bias")];
            let head = call(
                "ImageGptClassificationHead",
                &inputs.map(String::as_str),
                &at("logits"),
                vec![],
            );
            graph.node.push(named(&at("ln_f"), norm));
            graph.node.push(named(&at("score"), head));
            let dims = [Dim::Symbol("batch"), Dim::Fixed(self.config.num_labels())];
            let logits = value_info(&at("logits"), DataType::Float, &dims);
            graph.output.push(logits);
        }
        graph
    }

    fn functions(&self, form: Form, _: bool) -> Vec<FunctionProto> {
        functions::functions(form, self.config.activation_function, true)
    }
}

/// The weights of a classifier's file and of the probes that it gets.
#[derive(Debug)]
pub struct ExitedWeights<'a> {
    model: &'a CutModel,
    probes: BTreeMap<String, Vec<f32>>,
}

impl<'a> ExitedWeights<'a> {
    /// Those of `model`, whose rows are `width` wide, and of a probe after each of these blocks.
    pub fn new(model: &'a CutModel, width: usize, probes: &[(usize, LinearHead)]) -> Self {
        let tensors = probes.iter().flat_map(|(layer, head)| {
            let prefix = prefix(*layer);
            [
                // Features were normalised without a gain.
                (format!("{prefix}.ln_f.weight"), vec![1.0; width]),
                (format!("{prefix}.score.weight"), head.weight.clone()),
                (format!("{prefix}.score.bias"), head.bias.clone()),
            ]
        });
        Self {
            model,
            probes: tensors.collect(),
        }
    }
}

impl Weights for ExitedWeights<'_> {
    fn to_f32(&self, name: &str) -> Result<Vec<f32>, CheckpointError> {
        let probe = self.probes.get(name).cloned();
        probe.map_or_else(|| self.model.to_f32(name), Ok)
    }

    fn quantized(&self, name: &str) -> Result<Option<QuantizedMatrix>, CheckpointError> {
        self.model.quantized(name)
    }

    fn head_bias(&self) -> bool {
        true
    }

    fn place(&self, name: &str) -> (PathBuf, String) {
        self.model.place(name)
    }
}
