//! `config.json` to [`ImageGptConfig`] and back.

use serde_json::{Value, json};

use super::fields::Fields;
use super::{
    Activation, ConfigError, FieldError, ImageGptConfig, MAX_LABELS, ProblemType, default_labels,
};

/// What Hugging Face's `attribute_map` calls our fields.
const ALIASES: [(&str, &str); 4] = [
    ("n_embd", "hidden_size"),
    ("n_positions", "max_position_embeddings"),
    ("n_head", "num_attention_heads"),
    ("n_layer", "num_hidden_layers"),
];

impl TryFrom<Value> for ImageGptConfig {
    type Error = ConfigError;

    fn try_from(value: Value) -> Result<Self, ConfigError> {
        from_value(&value)
    }
}

impl From<ImageGptConfig> for Value {
    fn from(config: ImageGptConfig) -> Value {
        to_value(&config)
    }
}

pub(super) fn from_value(value: &Value) -> Result<ImageGptConfig, ConfigError> {
    let fields = Fields::of("config.json", value)?;
    match fields.str("model_type")? {
        Some("imagegpt") => {}
        Some(other) => {
            return Err(FieldError::new("model_type", format!("{other:?}"), "\"imagegpt\"").into());
        }
        None => return Err(FieldError::new("model_type", "absent", "\"imagegpt\"").into()),
    }
    refuse_what_changes_the_weights(&fields)?;

    let d = ImageGptConfig::default();
    let config = ImageGptConfig {
        vocab_size: fields.usize("vocab_size")?.unwrap_or(d.vocab_size),
        n_positions: aliased(&fields, "n_positions")?.unwrap_or(d.n_positions),
        n_embd: aliased(&fields, "n_embd")?.unwrap_or(d.n_embd),
        n_layer: aliased(&fields, "n_layer")?.unwrap_or(d.n_layer),
        n_head: aliased(&fields, "n_head")?.unwrap_or(d.n_head),
        n_inner: fields.usize("n_inner")?,
        activation_function: activation(&fields)?.unwrap_or(d.activation_function),
        layer_norm_epsilon: fields
            .f64("layer_norm_epsilon")?
            .unwrap_or(d.layer_norm_epsilon),
        scale_attn_weights: fields
            .bool("scale_attn_weights")?
            .unwrap_or(d.scale_attn_weights),
        scale_attn_by_inverse_layer_idx: fields
            .bool("scale_attn_by_inverse_layer_idx")?
            .unwrap_or(d.scale_attn_by_inverse_layer_idx),
        reorder_and_upcast_attn: fields
            .bool("reorder_and_upcast_attn")?
            .unwrap_or(d.reorder_and_upcast_attn),
        add_cross_attention: fields.bool("add_cross_attention")?.unwrap_or(false),
        tie_word_embeddings: fields.bool("tie_word_embeddings")?.unwrap_or(false),
        problem_type: problem_type(&fields)?,
        id2label: labels(&fields)?,
        architectures: architectures(&fields)?,
    };
    config.validate()?;
    Ok(config)
}

/// A field under its own name or Hugging Face's alias; both may be present if they agree.
fn aliased(fields: &Fields<'_>, name: &'static str) -> Result<Option<usize>, FieldError> {
    let own = fields.usize(name)?;
    let Some((_, alias)) = ALIASES.iter().find(|(n, _)| *n == name) else {
        return Ok(own);
    };
    match (own, fields.usize(alias)?) {
        (Some(a), Some(b)) if a != b => Err(FieldError::new(
            *alias,
            b,
            format!("the same as {name} = {a}"),
        )),
        (a, b) => Ok(a.or(b)),
    }
}

fn activation(fields: &Fields<'_>) -> Result<Option<Activation>, ConfigError> {
    let Some(name) = fields.str("activation_function")? else {
        return Ok(None);
    };
    Activation::from_name(name).map(Some).ok_or_else(|| {
        ConfigError::unsupported(
            "activation_function",
            format!("{name:?}"),
            "the kernels have quick_gelu, gelu, gelu_new, relu and silu",
        )
    })
}

/// An unknown name is refused: transformers takes it silently, for a softmax.
fn problem_type(fields: &Fields<'_>) -> Result<Option<ProblemType>, FieldError> {
    let Some(name) = fields.str("problem_type")? else {
        return Ok(None);
    };
    ProblemType::from_name(name).map(Some).ok_or_else(|| {
        let names = ProblemType::ALL.map(|kind| format!("{:?}", kind.name()));
        FieldError::new("problem_type", format!("{name:?}"), names.join(", "))
    })
}

/// Keys of other Hugging Face configs that mean other tensors or another computation than the rest of the
/// file says.
fn refuse_what_changes_the_weights(fields: &Fields<'_>) -> Result<(), ConfigError> {
    if let Some(pruned) = fields.object("pruned_heads")?
        && !pruned.is_empty()
    {
        let found = Value::Object(pruned.clone()).to_string();
        let why = "blocks of unequal head counts have no kernel; save the checkpoint unpruned";
        return Err(ConfigError::unsupported("pruned_heads", found, why));
    }
    // Written as an object with a key for each block.
    if let Some(layers) = fields.get("per_layer_config")
        && layers.as_object().is_none_or(|layers| !layers.is_empty())
    {
        return Err(ConfigError::unsupported(
            "per_layer_config",
            "set",
            "all blocks of an ImageGPT have the same configuration",
        ));
    }
    if fields.get("quantization_config").is_some() {
        return Err(ConfigError::unsupported(
            "quantization_config",
            "set",
            "its weights are quantised already; start from the floating-point checkpoint",
        ));
    }
    Ok(())
}

/// `id2label` with keys `"0".."n-1"` in any order, or `num_labels` unnamed ones.
///
/// A number as a label is its digits. `label2id` is not read beside it: it is the inverse of `id2label`,
/// and lossy where two classes share a name, as in ImageNet.
fn labels(fields: &Fields<'_>) -> Result<Vec<String>, FieldError> {
    let num_labels = fields.usize("num_labels")?;
    let within = |field, n: usize| {
        if (1..=MAX_LABELS).contains(&n) {
            return Ok(n);
        }
        Err(FieldError::new(
            field,
            n,
            format!("1 to {MAX_LABELS} labels"),
        ))
    };
    let Some(map) = fields.object("id2label")? else {
        let labels = default_labels(within("num_labels", num_labels.unwrap_or(2))?);
        refuse_lone_label2id(fields, &labels)?;
        return Ok(labels);
    };
    let n = within("id2label", map.len())?;
    if let Some(declared) = num_labels
        && declared != n
    {
        return Err(FieldError::new(
            "num_labels",
            declared,
            format!("{n}, as in id2label"),
        ));
    }
    let mut labels: Vec<Option<String>> = vec![None; n];
    for (key, label) in map {
        // "007" and "+7" parse as 7 too: taking them would let two keys name one label.
        let slot = key
            .parse::<usize>()
            .ok()
            .filter(|i| i.to_string() == *key)
            .and_then(|i| labels.get_mut(i))
            .ok_or_else(|| {
                FieldError::new(
                    "id2label",
                    format!("keyed {key:?}"),
                    format!("keys 0 to {}", n - 1),
                )
            })?;
        let name = match label {
            Value::String(name) => name.clone(),
            Value::Number(number) => number.to_string(),
            _ => {
                let field = format!("id2label[{key:?}]");
                return Err(FieldError::of_value(field, label, "a string or a number"));
            }
        };
        *slot = Some(name);
    }
    // n distinct keys below n fill every slot; `flatten` drops nothing.
    Ok(labels.into_iter().flatten().collect())
}

/// transformers takes names from `id2label` alone; without it those of `label2id` would be lost silently.
fn refuse_lone_label2id(fields: &Fields<'_>, labels: &[String]) -> Result<(), FieldError> {
    let Some(map) = fields.object("label2id")? else {
        return Ok(());
    };
    if map.keys().all(|name| labels.contains(name)) {
        return Ok(());
    }
    let expected = "id2label beside it, from which alone transformers takes the labels";
    Err(FieldError::new(
        "label2id",
        "set without id2label",
        expected,
    ))
}

fn architectures(fields: &Fields<'_>) -> Result<Vec<String>, FieldError> {
    let list = fields.array("architectures")?.unwrap_or_default();
    list.iter()
        .map(|v| {
            let name = v.as_str().map(str::to_owned);
            name.ok_or_else(|| FieldError::of_value("architectures", v, "a list of strings"))
        })
        .collect()
}

pub(super) fn to_value(c: &ImageGptConfig) -> Value {
    let id2label: serde_json::Map<String, Value> = c
        .id2label
        .iter()
        .enumerate()
        .map(|(i, label)| (i.to_string(), Value::from(label.as_str())))
        .collect();
    let label2id: serde_json::Map<String, Value> = c
        .id2label
        .iter()
        .enumerate()
        .map(|(i, label)| (label.clone(), Value::from(i)))
        .collect();
    let mut value = json!({
        "activation_function": c.activation_function.name(),
        "add_cross_attention": c.add_cross_attention,
        "architectures": c.architectures,
        "id2label": id2label,
        "label2id": label2id,
        "layer_norm_epsilon": c.layer_norm_epsilon,
        "model_type": "imagegpt",
        "n_embd": c.n_embd,
        "n_head": c.n_head,
        "n_inner": c.n_inner,
        "n_layer": c.n_layer,
        "n_positions": c.n_positions,
        "reorder_and_upcast_attn": c.reorder_and_upcast_attn,
        "scale_attn_by_inverse_layer_idx": c.scale_attn_by_inverse_layer_idx,
        "scale_attn_weights": c.scale_attn_weights,
        "tie_word_embeddings": c.tie_word_embeddings,
        "vocab_size": c.vocab_size,
    });
    // Said only where the checkpoint says it, as Hugging Face does.
    if let (Some(kind), Some(map)) = (c.problem_type, value.as_object_mut()) {
        map.insert("problem_type".to_owned(), kind.name().into());
    }
    value
}
