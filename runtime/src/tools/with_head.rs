//! A model file that ends at one of its layers with another classifier: what a head that was trained on a machine leaves to
//! run elsewhere. What it writes is what `igpt probe -o` writes of the same head.

use std::collections::BTreeSet;

use prost::Message as _;
use serde_json::{Value, json};
use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{
    AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto, StringStringEntryProto,
    TensorProto, TensorShapeProto, TypeProto, ValueInfoProto, tensor_shape_proto, type_proto,
};

use crate::auto::ModelConfig;
use crate::config::ProblemType;

/// The domain of our functions.
const DOMAIN: &str = "ai.igpt";
/// What the metadata of a file is made of; the rest belongs to heads that are left behind.
const KEPT: [&str; 6] = [
    "igpt.format",
    "igpt.dtype",
    "igpt.processor",
    "igpt.preprocessor",
    "igpt.source",
    "igpt.task",
];

/// A classifier on the features of a layer.
#[derive(Clone, Copy, Debug)]
pub struct NewHead<'a> {
    /// The layer, as `igpt probe` counts: 1 at least.
    pub layer: usize,
    /// Row-major `[labels, width]`.
    pub weight: &'a [f32],
    /// `[labels]`.
    pub bias: &'a [f32],
    /// The name of each class.
    pub labels: &'a [String],
    /// How often it was right on what it was not fitted on, if that is known.
    pub accuracy: Option<f64>,
}

/// The bytes of a model file like `file`, which ends at the head's layer in that head.
///
/// # Errors
/// In words: a file that is no model of ours, whose weights are in a CPU's order, or that the head does not fit.
pub fn with_head(file: &[u8], head: &NewHead<'_>) -> Result<Vec<u8>, String> {
    let mut model = ModelProto::decode(file).map_err(|error| error.to_string())?;
    let entry = |key: &str| {
        let mut entries = model.metadata_props.iter();
        entries.find(|e| e.key == key).map(|e| e.value.clone())
    };
    if entry("igpt.panels").is_some() {
        return Err(
            "its weights are packed for a CPU: use the file that `igpt quantize` writes without --pack"
                .into(),
        );
    }
    let config = entry("igpt.config").ok_or("no igpt.config, which a model file has")?;
    let config = ModelConfig::from_json(&config).map_err(|error| error.to_string())?;
    let recipe = entry("igpt.recipe").unwrap_or_default();
    let plan = Plan::of(&config, head)?;
    let graph = model.graph.take().ok_or("no graph")?;
    let graph = plan.graph(graph, head)?;
    let needed = reachable(&graph, &model.functions, plan.function.name.as_deref());
    model
        .functions
        .retain(|function| needed.contains(name(function)));
    model.functions.push(plan.function);
    model.graph = Some(graph);
    model
        .metadata_props
        .retain(|entry| KEPT.contains(&entry.key.as_str()));
    let of = plan.of;
    let mut put = |key: &str, value: String| {
        model.metadata_props.retain(|entry| entry.key != key);
        let key = key.to_owned();
        model
            .metadata_props
            .push(StringStringEntryProto { key, value });
    };
    put("igpt.task", "classify".into());
    put("igpt.config", plan.config);
    let mut recipe: Value = serde_json::from_str(&recipe).unwrap_or_else(|_| json!({}));
    if let Value::Object(recipe) = &mut recipe {
        let mut probe = json!({ "layer": head.layer, "of": of, "taught": true });
        if let (Some(accuracy), Some(probe)) = (head.accuracy, probe.as_object_mut()) {
            probe.insert("held_out_accuracy".into(), json!(accuracy));
        }
        recipe.insert("probe".into(), probe);
    }
    put("igpt.recipe", recipe.to_string());
    let mut bytes = model.encode_to_vec();
    // The reader takes the last 24 bytes: the field `metadata_props` of an entry whose length is fixed by its two strings.
    let seal = ModelProto {
        metadata_props: vec![StringStringEntryProto {
            key: "igpt.crc32".into(),
            value: format!("{:08x}", crc32fast::hash(&bytes)),
        }],
        ..ModelProto::default()
    };
    bytes.extend(seal.encode_to_vec());
    Ok(bytes)
}

/// What of a family's graph stays, and what takes the head's place.
struct Plan {
    /// The names of the nodes that stay, or what they begin with.
    stay: Vec<String>,
    /// The norm at the end, and what it is given, if that is not what it was given before.
    norm: Option<(&'static str, String)>,
    /// A gain that becomes 1: that of a norm whose features were normalised without it.
    unit_gain: Option<&'static str>,
    /// What the head is given.
    features: String,
    /// The values that are described.
    values: Vec<String>,
    node: &'static str,
    function: FunctionProto,
    config: String,
    width: usize,
    /// Layers of the model.
    of: usize,
}

impl Plan {
    fn of(config: &ModelConfig, head: &NewHead<'_>) -> Result<Self, String> {
        let (layer, labels) = (head.layer, head.labels.len());
        if labels < 2 {
            return Err("a classifier needs two classes at least; teach another".into());
        }
        let (plan, config) = match config {
            ModelConfig::ImageGpt(config) => {
                let of = config.n_layer;
                let mut config = config.clone();
                config.n_layer = layer;
                config.id2label = head.labels.to_vec();
                config.architectures = vec!["ImageGPTForImageClassification".into()];
                config.problem_type = Some(ProblemType::SingleLabel);
                let mut stay = vec!["transformer.embed".to_owned()];
                stay.extend((0..layer).map(|block| format!("transformer.h.{block}")));
                stay.push("transformer.ln_f".into());
                let before = format!("transformer.h.{}.output", layer.saturating_sub(1));
                let plan = Self {
                    stay,
                    norm: Some(("transformer.ln_f", before)),
                    unit_gain: (layer < of).then_some("transformer.ln_f.weight"),
                    features: format!("hidden_states.{layer}"),
                    values: (0..=layer).map(|i| format!("hidden_states.{i}")).collect(),
                    node: "score",
                    function: imagegpt_head(),
                    config: config.to_json(),
                    width: config.n_embd,
                    of,
                };
                (plan, ModelConfig::ImageGpt(config))
            }
            ModelConfig::Segformer(config) => {
                let of = config.num_encoder_blocks;
                let mut config = config.clone();
                config.num_encoder_blocks = layer;
                for list in [
                    &mut config.depths,
                    &mut config.sr_ratios,
                    &mut config.hidden_sizes,
                    &mut config.patch_sizes,
                    &mut config.strides,
                    &mut config.num_attention_heads,
                    &mut config.mlp_ratios,
                ] {
                    list.truncate(layer);
                }
                config.id2label = head.labels.to_vec();
                config.architectures = vec!["SegformerForImageClassification".into()];
                config.problem_type = Some(ProblemType::SingleLabel);
                let plan = Self {
                    stay: (0..layer)
                        .map(|i| format!("segformer.stages.{i}."))
                        .collect(),
                    norm: None,
                    unit_gain: None,
                    features: format!("hidden_states.{}", layer.saturating_sub(1)),
                    values: (0..layer).map(|i| format!("hidden_states.{i}")).collect(),
                    node: "classifier",
                    function: segformer_head(),
                    config: config.to_json(),
                    width: config.hidden_sizes.last().copied().unwrap_or_default(),
                    of,
                };
                (plan, ModelConfig::Segformer(config))
            }
        };
        if layer == 0 || layer > plan.of {
            return Err(format!("layer {layer}: the model has 1 to {}", plan.of));
        }
        config.validate().map_err(|error| error.to_string())?;
        if head.weight.len() != labels * plan.width || head.bias.len() != labels {
            let (found, width) = (head.weight.len(), plan.width);
            return Err(format!("{found} weights for {labels} classes of {width}"));
        }
        Ok(plan)
    }

    fn stays(&self, node: &str) -> bool {
        let mut stay = self.stay.iter();
        stay.any(|stay| node == stay || (stay.ends_with('.') && node.starts_with(stay)))
    }

    /// The graph with what stays of it and the head.
    fn graph(&self, mut graph: GraphProto, head: &NewHead<'_>) -> Result<GraphProto, String> {
        graph.node.retain(|node| self.stays(&node.name));
        if let Some((norm, before)) = &self.norm {
            let last = graph.node.len().checked_sub(2).ok_or("no blocks")?;
            graph.node[last].output = vec![before.clone()];
            let norm = graph.node.iter_mut().find(|node| node.name == *norm);
            let norm = norm.ok_or("no norm at the end")?;
            norm.output = vec![self.features.clone()];
            *norm.input.first_mut().ok_or("a norm of nothing")? = before.clone();
        }
        let used: BTreeSet<&String> = graph.node.iter().flat_map(|node| &node.input).collect();
        graph
            .initializer
            .retain(|tensor| used.contains(&tensor.name));
        let gain = graph
            .initializer
            .iter_mut()
            .find(|t| Some(&*t.name) == self.unit_gain);
        if let Some(gain) = gain {
            let ones = gain.raw_data.len() / 4;
            gain.raw_data = 1f32.to_le_bytes().repeat(ones);
        }
        let [weight, bias] = ["weight", "bias"].map(|part| format!("{}.{part}", self.node));
        graph.node.push(NodeProto {
            name: self.node.into(),
            op_type: name(&self.function).to_owned(),
            domain: DOMAIN.into(),
            input: vec![self.features.clone(), weight.clone(), bias.clone()],
            output: vec!["logits".into()],
            ..NodeProto::default()
        });
        let labels = head.labels.len() as i64;
        graph
            .initializer
            .push(tensor(&weight, &[labels, self.width as i64], head.weight));
        graph.initializer.push(tensor(&bias, &[labels], head.bias));
        let mut values: Vec<ValueInfoProto> = std::mem::take(&mut graph.value_info);
        values.append(&mut graph.output);
        values.retain(|value| self.values.contains(&value.name));
        graph.value_info = values;
        graph.output = vec![logits(labels)];
        Ok(graph)
    }
}

/// The functions that the nodes of a graph call, and those that these call; not `head`, which is added.
fn reachable(graph: &GraphProto, all: &[FunctionProto], head: Option<&str>) -> BTreeSet<String> {
    let mut needed = BTreeSet::new();
    let mut next: Vec<&str> = graph
        .node
        .iter()
        .map(|node| node.op_type.as_str())
        .collect();
    while let Some(op) = next.pop() {
        let Some(function) = all.iter().find(|function| name(function) == op) else {
            continue;
        };
        if Some(op) != head && needed.insert(op.to_owned()) {
            next.extend(function.node.iter().map(|node| node.op_type.as_str()));
        }
    }
    needed
}

fn name(function: &FunctionProto) -> &str {
    function.name.as_deref().unwrap_or_default()
}

fn tensor(name: &str, dims: &[i64], values: &[f32]) -> TensorProto {
    TensorProto {
        name: name.into(),
        dims: dims.to_vec(),
        data_type: DataType::Float.into(),
        raw_data: values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect(),
        ..TensorProto::default()
    }
}

/// `logits`, `[batch, labels]`.
fn logits(labels: i64) -> ValueInfoProto {
    use tensor_shape_proto::dimension::Value::{DimParam, DimValue};
    let dim = |value| tensor_shape_proto::Dimension {
        value: Some(value),
        ..tensor_shape_proto::Dimension::default()
    };
    let tensor = type_proto::Tensor {
        elem_type: DataType::Float.into(),
        shape: Some(TensorShapeProto {
            dim: vec![dim(DimParam("batch".into())), dim(DimValue(labels))],
        }),
    };
    ValueInfoProto {
        name: "logits".into(),
        r#type: Some(TypeProto {
            value: Some(type_proto::Value::TensorType(tensor)),
            ..TypeProto::default()
        }),
        ..ValueInfoProto::default()
    }
}

fn imagegpt_head() -> FunctionProto {
    let names = ["y", "w", "bias"];
    head(
        "ImageGptClassificationHead",
        names,
        "logits",
        ("tokens", &[1]),
    )
}

fn segformer_head() -> FunctionProto {
    let names = ["x", "weight", "bias"];
    head(
        "SegformerClassificationHead",
        names,
        "y",
        ("pixels", &[1, 2]),
    )
}

/// The mean over `axes`, times a weight, plus a bias.
fn head(
    name: &str,
    [x, weight, bias]: [&str; 3],
    output: &str,
    (axes, values): (&str, &[i64]),
) -> FunctionProto {
    let attribute = |name: &str, kind: AttributeType| AttributeProto {
        name: name.into(),
        r#type: kind.into(),
        ..AttributeProto::default()
    };
    let node =
        |op: &str, inputs: &[&str], output: &str, attribute: Vec<AttributeProto>| NodeProto {
            op_type: op.into(),
            input: inputs.iter().map(|name| (*name).into()).collect(),
            output: vec![output.into()],
            attribute,
            ..NodeProto::default()
        };
    let axes_value = AttributeProto {
        ints: values.to_vec(),
        ..attribute("value_ints", AttributeType::Ints)
    };
    let transposed = format!("{weight}_t");
    let keepdims = attribute("keepdims", AttributeType::Int);
    let opset = |domain: &str, version| tract_onnx::pb::OperatorSetIdProto {
        domain: domain.into(),
        version,
    };
    FunctionProto {
        name: Some(name.into()),
        domain: Some(DOMAIN.into()),
        input: [x, weight, bias].map(str::to_owned).to_vec(),
        output: vec![output.into()],
        node: vec![
            node("Constant", &[], axes, vec![axes_value]),
            node("ReduceMean", &[x, axes], "pooled", vec![keepdims]),
            node("Transpose", &[weight], &transposed, vec![]),
            node("MatMul", &["pooled", &transposed], "product", vec![]),
            node("Add", &["product", bias], output, vec![]),
        ],
        opset_import: vec![opset("", 23), opset(DOMAIN, 1)],
        ..FunctionProto::default()
    }
}
