//! What a file of this family must hold.

use tract_onnx::pb::tensor_proto::DataType;

use super::config::SegformerConfig;
use crate::kind::{Dtype, Task};
use crate::onnx::check::{Expected, Node, Tensor, Value, linear};

/// What decides it. The task is not causal, the data type not int4.
pub(crate) struct Graph<'a> {
    pub(crate) config: &'a SegformerConfig,
    pub(crate) task: Task,
    pub(crate) dtype: Dtype,
}

/// The map of a stage, normed.
pub(crate) fn hidden_states(stage: usize) -> String {
    format!("hidden_states.{stage}")
}

impl Graph<'_> {
    /// The whole of it.
    pub(crate) fn expected(&self) -> Expected {
        let stages = self.config.num_encoder_blocks;
        let mut expected = Expected {
            inputs: vec!["pixel_values".to_owned()],
            outputs: match self.task {
                Task::Features => (0..stages).map(hidden_states).collect(),
                Task::Classify | Task::Causal => vec!["logits".to_owned()],
            },
            nodes: Vec::new(),
            constants: Vec::new(),
        };
        for stage in 0..stages {
            self.stage(stage, &mut expected);
        }
        if self.task != Task::Features {
            let (labels, c) = (
                self.config.num_labels(),
                self.config.hidden_sizes[stages - 1],
            );
            let constants = vec![
                ("weight".into(), DataType::Float, vec![labels, c]),
                ("bias".into(), DataType::Float, vec![labels]),
            ];
            let node = Node {
                name: "classifier".into(),
                op: "SegformerClassificationHead".into(),
                inputs: vec![hidden_states(stages - 1)],
                output: "logits".into(),
                attributes: vec![],
            };
            add(&mut expected, node, constants);
        }
        expected
    }

    /// Patches, blocks and norm of a stage.
    fn stage(&self, stage: usize, expected: &mut Expected) {
        let config = self.config;
        let (kernel, stride) = (config.patch_sizes[stage], config.strides[stage]);
        let width = config.hidden_sizes[stage];
        let kind = match self.dtype {
            Dtype::F32 => "F32",
            Dtype::Int8 | Dtype::Int4 => "Int8",
        };
        let epsilon = ("epsilon", Value::Float(SegformerConfig::EPSILON));
        let name = format!("segformer.stages.{stage}");
        let (source, input) = match stage.checked_sub(1) {
            None => ("Pixel", "pixel_values".into()),
            Some(before) => ("", hidden_states(before)),
        };
        let node = Node {
            name: format!("{name}.patch_embeddings"),
            op: format!("Segformer{source}Patches{kind}_k{kernel}s{stride}"),
            inputs: vec![input],
            output: format!("{name}.patches"),
            attributes: vec![
                ("kernel", Value::Int(kernel)),
                ("stride", Value::Int(stride)),
                epsilon.clone(),
            ],
        };
        let constants = [
            linear(self.dtype, "proj", config.patch_width(stage), width),
            norm("layer_norm", width),
        ];
        add(expected, node, constants.concat());

        let mut x = format!("{name}.patches");
        let reduction = config.sr_ratios[stage];
        for block in 0..config.depths[stage] {
            let name = format!("{name}.blocks.{block}");
            let output = format!("{name}.output");
            let mut attributes = vec![
                ("num_heads", Value::Int(config.num_attention_heads[stage])),
                ("scale", Value::Float(config.attn_scale(stage))),
                epsilon.clone(),
                ("activation", Value::String(config.hidden_act.name())),
                ("inner", Value::Int(config.inner_dim(stage))),
            ];
            let mut reduced = "";
            if reduction > 1 {
                reduced = "Reduced";
                attributes.push(("sr_ratio", Value::Int(reduction)));
            }
            let node = Node {
                name,
                op: format!("Segformer{reduced}Block{kind}"),
                inputs: vec![x],
                output: output.clone(),
                attributes,
            };
            add(expected, node, self.block_constants(stage));
            x = output;
        }
        let node = Node {
            name: format!("{name}.layer_norm"),
            op: "LayerNormalization".into(),
            inputs: vec![x],
            output: hidden_states(stage),
            attributes: vec![("axis", Value::Last), epsilon],
        };
        add(expected, node, norm("", width));
    }

    /// The constants of a block, in the order of its inputs.
    fn block_constants(&self, stage: usize) -> Vec<Tensor> {
        let config = self.config;
        let (c, a) = (config.hidden_sizes[stage], config.attention_width(stage));
        let (inner, reduction) = (config.inner_dim(stage), config.sr_ratios[stage]);
        let linear = |name, k, n| linear(self.dtype, name, k, n);
        let depthwise =
            |name: &str, dims| (format!("mlp.dwconv.dwconv.{name}"), DataType::Float, dims);
        let projections = if reduction > 1 {
            let name = "attention.sequence_reduction.sequence_reduction";
            [
                linear(name, reduction * reduction * c, c),
                norm("attention.sequence_reduction.layer_norm", c),
                linear("attention.q_proj", c, a),
                linear("attention.kv_proj", c, 2 * a),
            ]
            .concat()
        } else {
            linear("attention.qkv_proj", c, 3 * a)
        };
        [
            norm("layernorm_before", c),
            projections,
            linear("attention.o_proj", a, c),
            norm("layernorm_after", c),
            linear("mlp.fc1", c, inner),
            vec![
                depthwise("weight", vec![inner, 1, 3, 3]),
                depthwise("bias", vec![inner]),
            ],
            linear("mlp.fc2", inner, c),
        ]
        .concat()
    }
}

/// Gain and bias of a norm; of a stage's, which is a node of its own, without a name.
fn norm(name: &str, width: usize) -> Vec<Tensor> {
    let name = |part: &str| match name {
        "" => part.to_owned(),
        name => format!("{name}.{part}"),
    };
    vec![
        (name("weight"), DataType::Float, vec![width]),
        (name("bias"), DataType::Float, vec![width]),
    ]
}

/// Adds a node, its constants called by its own name and theirs.
fn add(expected: &mut Expected, mut node: Node, constants: Vec<Tensor>) {
    for (name, kind, dims) in constants {
        let name = format!("{}.{name}", node.name);
        node.inputs.push(name.clone());
        expected.constants.push((name, kind, dims));
    }
    expected.nodes.push(node);
}
