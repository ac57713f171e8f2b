//! What a file of this family must hold.

use tract_onnx::pb::tensor_proto::DataType;

use super::config::ImageGptConfig;
use crate::kind::{Dtype, Task};
use crate::onnx::check::{Expected, Node, Tensor, Value, linear};

/// What decides it.
pub(crate) struct Graph<'a> {
    pub(crate) config: &'a ImageGptConfig,
    /// The blocks after which there is a probe.
    pub(crate) exits: &'a [usize],
    pub(crate) task: Task,
    pub(crate) dtype: Dtype,
    /// The classification head has a bias: the file says so by having `score.bias`.
    pub(crate) head_bias: bool,
}

/// The residual stream before block `i`, after the last one `ln_f`'s.
pub(crate) fn hidden_states(i: usize) -> String {
    format!("hidden_states.{i}")
}

/// What a probe after this block says.
pub(crate) fn exit_logits(layer: usize) -> String {
    format!("exits.{layer}.logits")
}

impl Graph<'_> {
    /// The whole of it.
    pub(crate) fn expected(&self) -> Expected {
        Expected {
            inputs: vec!["input_ids".to_owned()],
            outputs: match self.task {
                Task::Features => (0..=self.config.n_layer).map(hidden_states).collect(),
                Task::Classify | Task::Causal => {
                    let exits = self.exits.iter().map(|layer| exit_logits(*layer));
                    std::iter::once("logits".to_owned()).chain(exits).collect()
                }
            },
            nodes: self.nodes(),
            constants: self.constants(),
        }
    }

    fn nodes(&self) -> Vec<Node> {
        let config = self.config;
        let layers = config.n_layer;
        let hidden = hidden_states;
        let (linear, block) = match self.dtype {
            Dtype::Int8 => ("ImageGptLinearInt8", "ImageGptBlockInt8"),
            // The head stays int8.
            Dtype::Int4 => ("ImageGptLinearInt8", "ImageGptBlockInt4"),
            Dtype::F32 => ("ImageGptLinearF32", "ImageGptBlockF32"),
        };
        let own = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let mut nodes = vec![Node {
            name: "transformer.embed".into(),
            op: "ImageGptEmbedding".into(),
            inputs: own(&[
                "input_ids",
                "transformer.wte.weight",
                "transformer.wpe.weight",
            ]),
            output: hidden(0),
            attributes: vec![],
        }];
        let last = format!("transformer.h.{}.output", layers - 1);
        for layer in 0..layers {
            let name = format!("transformer.h.{layer}");
            let mut inputs = vec![hidden(layer)];
            let constants = self.block_constants().into_iter();
            inputs.extend(constants.map(|(constant, ..)| format!("{name}.{constant}")));
            let output = if layer + 1 == layers {
                last.clone()
            } else {
                hidden(layer + 1)
            };
            nodes.push(Node {
                name,
                op: block.into(),
                inputs,
                output,
                attributes: vec![
                    ("num_heads", Value::Int(config.n_head)),
                    ("epsilon", Value::Float(config.epsilon())),
                    ("scale", Value::Float(config.attn_scale(layer))),
                    (
                        "activation",
                        Value::String(config.activation_function.name()),
                    ),
                ],
            });
        }
        nodes.push(Node {
            name: "transformer.ln_f".into(),
            op: "RMSNormalization".into(),
            inputs: vec![last, "transformer.ln_f.weight".into()],
            output: hidden(layers),
            attributes: vec![
                ("axis", Value::Last),
                ("epsilon", Value::Float(config.epsilon())),
            ],
        });
        let (name, op, constants) = match self.task {
            Task::Features => return nodes,
            Task::Classify => ("score", "ImageGptClassificationHead", self.score()),
            Task::Causal => ("lm_head", linear, self.lm_head()),
        };
        let mut inputs = vec![hidden(layers)];
        inputs.extend(constants.into_iter().map(|(name, ..)| name));
        nodes.push(Node {
            name: name.into(),
            op: op.into(),
            inputs,
            output: "logits".into(),
            attributes: vec![],
        });
        nodes.extend(self.exits.iter().flat_map(|layer| self.exit(*layer)));
        nodes
    }

    /// The probe after this block: a norm and a head of its own.
    fn exit(&self, layer: usize) -> [Node; 2] {
        let name = format!("exits.{layer}");
        let normed = format!("{name}.hidden_states");
        let norm = Node {
            name: format!("{name}.ln_f"),
            op: "RMSNormalization".into(),
            inputs: vec![hidden_states(layer), format!("{name}.ln_f.weight")],
            output: normed.clone(),
            attributes: vec![
                ("axis", Value::Last),
                ("epsilon", Value::Float(self.config.epsilon())),
            ],
        };
        let [weight, bias] = ["weight", "bias"].map(|part| format!("{name}.score.{part}"));
        let head = Node {
            name: format!("{name}.score"),
            op: "ImageGptClassificationHead".into(),
            inputs: vec![normed, weight, bias],
            output: exit_logits(layer),
            attributes: vec![],
        };
        [norm, head]
    }

    /// The constants of a classification head.
    fn score(&self) -> Vec<Tensor> {
        let (labels, c) = (self.config.num_labels(), self.config.n_embd);
        let mut list = vec![("score.weight".into(), DataType::Float, vec![labels, c])];
        if self.head_bias {
            list.push(("score.bias".into(), DataType::Float, vec![labels]));
        }
        list
    }

    /// The constants of a language model's head.
    fn lm_head(&self) -> Vec<Tensor> {
        let dtype = match self.dtype {
            Dtype::Int4 => Dtype::Int8,
            dtype => dtype,
        };
        linear(
            dtype,
            "lm_head",
            self.config.n_embd,
            self.config.num_colors(),
        )
    }

    /// The constants of a block, in the order of its inputs.
    fn block_constants(&self) -> Vec<Tensor> {
        let (c, inner) = (self.config.n_embd, self.config.inner_dim());
        let norm = |name: &str| vec![(format!("{name}.weight"), DataType::Float, vec![c])];
        let linear = |name, k, n| linear(self.dtype, name, k, n);
        [
            norm("ln_1"),
            linear("attn.c_attn", c, 3 * c),
            linear("attn.c_proj", c, c),
            norm("ln_2"),
            linear("mlp.c_fc", c, inner),
            linear("mlp.c_proj", inner, c),
        ]
        .concat()
    }

    fn constants(&self) -> Vec<Tensor> {
        let config = self.config;
        let c = config.n_embd;
        let embedding = match self.dtype {
            Dtype::Int8 | Dtype::Int4 => DataType::Float16,
            Dtype::F32 => DataType::Float,
        };
        let mut list: Vec<Tensor> = vec![
            (
                "transformer.wte.weight".into(),
                embedding,
                vec![config.vocab_size, c],
            ),
            (
                "transformer.wpe.weight".into(),
                embedding,
                vec![config.n_positions, c],
            ),
            ("transformer.ln_f.weight".into(), DataType::Float, vec![c]),
        ];
        for layer in 0..config.n_layer {
            let block = self.block_constants().into_iter();
            list.extend(
                block.map(|(name, kind, dims)| {
                    (format!("transformer.h.{layer}.{name}"), kind, dims)
                }),
            );
        }
        for layer in self.exits {
            let (name, labels) = (format!("exits.{layer}"), config.num_labels());
            let float = |part: &str, dims| (format!("{name}.{part}"), DataType::Float, dims);
            list.extend([
                float("ln_f.weight", vec![c]),
                float("score.weight", vec![labels, c]),
                float("score.bias", vec![labels]),
            ]);
        }
        list.extend(match self.task {
            Task::Features => vec![],
            Task::Classify => self.score(),
            Task::Causal => self.lm_head(),
        });
        list
    }
}
