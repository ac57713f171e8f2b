//! Whether a decoded file is the graph its configuration asks for: every node, name, type, shape, attribute
//! and constant.
//!
//! Written against docs/model-format.md, not against the code that writes the file. What passes here cannot
//! surprise tract or the kernels, which trust shapes and finite constants.

use std::collections::BTreeMap;
use std::ops::Range;

use bytes::Bytes;
use half::f16;
use igpt_kernels::{INT4_GROUP, Panels};
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{GraphProto, NodeProto, TensorProto, ValueInfoProto};

use super::weights::Constant;
use crate::config::ImageGptConfig;
use crate::kind::{Dtype, Task};

/// The domain of our functions.
const DOMAIN: &str = "ai.igpt";

/// What a file of this configuration must hold.
pub(super) struct Expected<'a> {
    pub(super) config: &'a ImageGptConfig,
    pub(super) task: Task,
    pub(super) dtype: Dtype,
    /// The classification head has a bias: the file says so by having `score.bias`.
    pub(super) head_bias: bool,
    /// How int8 weights lie; row-major if absent.
    pub(super) panels: Option<Panels>,
}

/// An attribute's value.
enum Value<'a> {
    Int(i64),
    Float(f32),
    String(&'a str),
}

impl Expected<'_> {
    /// The graph's constants, whose values lie in `file` at `raw_data`. The values of int8 and int4 weights
    /// are checked when a kernel takes them.
    ///
    /// # Errors
    /// The first difference: what, found, expected.
    pub(super) fn check(
        &self,
        graph: &GraphProto,
        file: &Bytes,
        raw_data: &[Range<usize>],
    ) -> Result<BTreeMap<String, Constant>, String> {
        let names = |values: &[ValueInfoProto]| -> Vec<String> {
            values.iter().map(|value| value.name.clone()).collect()
        };
        let expected_outputs = match self.task {
            Task::Features => (0..=self.config.n_layer).map(hidden_states).collect(),
            Task::Classify | Task::Causal => vec!["logits".to_owned()],
        };
        // tract-onnx 0.23.9 relies on the names being there.
        for (what, found, expected) in [
            ("inputs", names(&graph.input), vec!["input_ids".to_owned()]),
            ("outputs", names(&graph.output), expected_outputs),
        ] {
            if found != expected {
                return Err(format!("graph {what} are {found:?}, expected {expected:?}"));
            }
        }
        if !graph.sparse_initializer.is_empty() {
            return Err("the graph has sparse initializers, expected none".into());
        }
        self.check_nodes(graph)?;
        self.check_constants(graph, file, raw_data)
    }

    fn check_nodes(&self, graph: &GraphProto) -> Result<(), String> {
        let Self {
            config,
            task,
            dtype,
            head_bias,
            ..
        } = *self;
        let layers = config.n_layer;
        let count = layers + 2 + usize::from(task != Task::Features);
        if graph.node.len() != count {
            return Err(format!(
                "the graph has {} nodes, expected {count}",
                graph.node.len()
            ));
        }
        let hidden = hidden_states;
        let mut nodes = graph.node.iter();
        let mut next = |name: &str,
                        op: &str,
                        inputs: &[String],
                        output: &str,
                        attributes: &[(&str, Value<'_>)]| {
            let node = nodes.next().ok_or("the graph has too few nodes")?;
            check_node(node, op, inputs, output, attributes)
                .map_err(|what| format!("node {name}: {what}"))
        };
        let (linear, block) = match dtype {
            Dtype::Int8 => ("ImageGptLinearInt8", "ImageGptBlockInt8"),
            // The head stays int8.
            Dtype::Int4 => ("ImageGptLinearInt8", "ImageGptBlockInt4"),
            Dtype::F32 => ("ImageGptLinearF32", "ImageGptBlockF32"),
        };
        let own = |names: &[&str]| {
            names
                .iter()
                .map(|name| (*name).to_owned())
                .collect::<Vec<_>>()
        };
        let inputs = own(&[
            "input_ids",
            "transformer.wte.weight",
            "transformer.wpe.weight",
        ]);
        next(
            "transformer.embed",
            "ImageGptEmbedding",
            &inputs,
            &hidden(0),
            &[],
        )?;
        let last = format!("transformer.h.{}.output", layers - 1);
        for layer in 0..layers {
            let name = format!("transformer.h.{layer}");
            let mut inputs = vec![hidden(layer)];
            inputs.extend(
                self.block_constants()
                    .into_iter()
                    .map(|(constant, ..)| format!("{name}.{constant}")),
            );
            let output = if layer + 1 == layers {
                last.clone()
            } else {
                hidden(layer + 1)
            };
            let attributes = [
                ("num_heads", Value::Int(config.n_head as i64)),
                ("epsilon", Value::Float(config.epsilon())),
                ("scale", Value::Float(config.attn_scale(layer))),
                (
                    "activation",
                    Value::String(config.activation_function.name()),
                ),
            ];
            next(&name, block, &inputs, &output, &attributes)?;
        }
        let attributes = [
            ("axis", Value::Int(-1)),
            ("epsilon", Value::Float(config.epsilon())),
        ];
        let inputs = [last, "transformer.ln_f.weight".into()];
        next(
            "transformer.ln_f",
            "RMSNormalization",
            &inputs,
            &hidden(layers),
            &attributes,
        )?;
        match task {
            Task::Features => Ok(()),
            Task::Classify => {
                let mut inputs = vec![hidden(layers), "score.weight".into()];
                if head_bias {
                    inputs.push("score.bias".into());
                }
                next(
                    "score",
                    "ImageGptClassificationHead",
                    &inputs,
                    "logits",
                    &[],
                )
            }
            Task::Causal => {
                let mut inputs = vec![hidden(layers)];
                inputs.extend(self.lm_head().into_iter().map(|(name, ..)| name));
                next("lm_head", linear, &inputs, "logits", &[])
            }
        }
    }

    /// The constants of a language model's head.
    fn lm_head(&self) -> Vec<(String, DataType, Vec<usize>)> {
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
    fn block_constants(&self) -> Vec<(String, DataType, Vec<usize>)> {
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

    fn constants(&self) -> BTreeMap<String, (DataType, Vec<usize>)> {
        let Self {
            config,
            task,
            dtype,
            head_bias,
            ..
        } = *self;
        let c = config.n_embd;
        let embedding = match dtype {
            Dtype::Int8 | Dtype::Int4 => DataType::Float16,
            Dtype::F32 => DataType::Float,
        };
        let mut list = vec![
            (
                "transformer.wte.weight".to_owned(),
                embedding,
                vec![config.vocab_size, c],
            ),
            (
                "transformer.wpe.weight".to_owned(),
                embedding,
                vec![config.n_positions, c],
            ),
            (
                "transformer.ln_f.weight".to_owned(),
                DataType::Float,
                vec![c],
            ),
        ];
        for layer in 0..config.n_layer {
            let block = self.block_constants().into_iter();
            list.extend(
                block.map(|(name, kind, dims)| {
                    (format!("transformer.h.{layer}.{name}"), kind, dims)
                }),
            );
        }
        match task {
            Task::Features => {}
            Task::Classify => {
                let labels = config.num_labels();
                list.push(("score.weight".into(), DataType::Float, vec![labels, c]));
                if head_bias {
                    list.push(("score.bias".into(), DataType::Float, vec![labels]));
                }
            }
            Task::Causal => list.extend(self.lm_head()),
        }
        list.into_iter()
            .map(|(name, kind, dims)| (name, (kind, dims)))
            .collect()
    }

    fn check_constants(
        &self,
        graph: &GraphProto,
        file: &Bytes,
        raw_data: &[Range<usize>],
    ) -> Result<BTreeMap<String, Constant>, String> {
        let mut expected = self.constants();
        let mut constants = BTreeMap::new();
        for (tensor, range) in graph.initializer.iter().zip(raw_data) {
            let Some((kind, dims)) = expected.remove(&tensor.name) else {
                return Err(format!(
                    "initializer {} is unknown or there twice",
                    tensor.name
                ));
            };
            let bytes = file.slice(range.clone());
            let stored = self.stored_dims(kind, &dims);
            check_tensor(tensor, &bytes, kind, &stored)
                .map_err(|what| format!("initializer {}: {what}", tensor.name))?;
            let constant = Constant { dims, kind, bytes };
            constants.insert(tensor.name.clone(), constant);
        }
        expected.keys().next().map_or(Ok(constants), |name| {
            Err(format!("initializer {name} is missing"))
        })
    }

    /// The shape of a tensor in the file.
    fn stored_dims(&self, kind: DataType, dims: &[usize]) -> Vec<usize> {
        match (self.panels, dims) {
            (Some(panels), [k, n]) if kind == DataType::Int8 => panels.dims(*k, *n).into(),
            _ => dims.into(),
        }
    }
}

/// The residual stream before block `i`, after the last one `ln_f`'s.
fn hidden_states(i: usize) -> String {
    format!("hidden_states.{i}")
}

/// Name, type and shape of a linear layer's weight, multipliers (int4 only), scales (not f32) and bias.
fn linear(dtype: Dtype, name: &str, k: usize, n: usize) -> Vec<(String, DataType, Vec<usize>)> {
    let bias = (format!("{name}.bias"), DataType::Float, vec![n]);
    let scale = (format!("{name}.weight_scale"), DataType::Float, vec![n]);
    let weight = format!("{name}.weight");
    match dtype {
        Dtype::F32 => vec![(weight, DataType::Float, vec![k, n]), bias],
        Dtype::Int8 => vec![(weight, DataType::Int8, vec![k, n]), scale, bias],
        Dtype::Int4 => {
            let groups = vec![k.div_ceil(INT4_GROUP), n];
            let multiplier = (format!("{weight}_multiplier"), DataType::Uint4, groups);
            vec![
                (weight, DataType::Int4, vec![k, n]),
                multiplier,
                scale,
                bias,
            ]
        }
    }
}

fn check_node(
    node: &NodeProto,
    op: &str,
    inputs: &[String],
    output: &str,
    attributes: &[(&str, Value<'_>)],
) -> Result<(), String> {
    let domain = if op == "RMSNormalization" { "" } else { DOMAIN };
    if node.op_type != op || node.domain != domain {
        return Err(format!(
            "operator {}::{}, expected {domain}::{op}",
            node.domain, node.op_type
        ));
    }
    if node.input != inputs || node.output != [output] {
        return Err(format!(
            "{:?} -> {:?}, expected {inputs:?} -> {output}",
            node.input, node.output
        ));
    }
    if node.attribute.len() != attributes.len() {
        return Err(format!(
            "{} attributes, expected {}",
            node.attribute.len(),
            attributes.len()
        ));
    }
    for (name, value) in attributes {
        let found = node
            .attribute
            .iter()
            .find(|a| a.name == *name)
            .ok_or_else(|| format!("no attribute {name}"))?;
        let (right, found, expected) = match value {
            Value::Int(x) => (found.i == *x, found.i.to_string(), x.to_string()),
            Value::Float(x) => (
                found.f.to_bits() == x.to_bits(),
                found.f.to_string(),
                x.to_string(),
            ),
            Value::String(x) => (
                found.s == x.as_bytes(),
                String::from_utf8_lossy(&found.s).into_owned(),
                (*x).into(),
            ),
        };
        if !right {
            return Err(format!(
                "{name} is {found}, the configuration says {expected}"
            ));
        }
    }
    Ok(())
}

fn check_tensor(
    tensor: &TensorProto,
    bytes: &[u8],
    kind: DataType,
    dims: &[usize],
) -> Result<(), String> {
    if tensor.data_type != i32::from(kind) {
        return Err(format!("data type {}, expected {kind:?}", tensor.data_type));
    }
    if !tensor
        .dims
        .iter()
        .map(|d| usize::try_from(*d).ok())
        .eq(dims.iter().map(|d| Some(*d)))
    {
        return Err(format!("shape {:?}, expected {dims:?}", tensor.dims));
    }
    if !tensor.external_data.is_empty() {
        return Err("external data, expected all in one file".into());
    }
    let count = dims.iter().product::<usize>();
    let len = match kind {
        DataType::Float => 4 * count,
        DataType::Float16 => 2 * count,
        DataType::Int4 | DataType::Uint4 => count.div_ceil(2),
        _ => count,
    };
    if bytes.len() != len {
        return Err(format!("{} bytes of raw_data, expected {len}", bytes.len()));
    }
    let scale = tensor.name.ends_with("_scale");
    let bad = match kind {
        DataType::Float => {
            let fits = |x: f32| x.is_finite() && !(scale && x < 0.0);
            bytes
                .as_chunks::<4>()
                .0
                .iter()
                .position(|b| !fits(f32::from_le_bytes(*b)))
        }
        DataType::Float16 => bytes
            .as_chunks::<2>()
            .0
            .iter()
            .position(|b| !f16::from_le_bytes(*b).is_finite()),
        _ => None,
    };
    let allowed = if scale {
        "a finite number, not negative"
    } else {
        "a finite number"
    };
    bad.map_or(Ok(()), |at| Err(format!("value {at} is not {allowed}")))
}
