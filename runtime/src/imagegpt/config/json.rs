//! `config.json` to [`ImageGptConfig`] and back.

use serde_json::{Value, json};

use super::ImageGptConfig;
use crate::config::ConfigError;
use crate::config::fields::Fields;
use crate::config::shared::{
    activation, aliased, architectures, labels, model_type, problem_type,
    refuse_what_changes_the_weights, write_labels,
};

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
    model_type(&fields, "imagegpt")?;
    refuse_what_changes_the_weights(&fields)?;

    let d = ImageGptConfig::default();
    let config = ImageGptConfig {
        vocab_size: fields.usize("vocab_size")?.unwrap_or(d.vocab_size),
        n_positions: aliased(&fields, "n_positions", "max_position_embeddings")?
            .unwrap_or(d.n_positions),
        n_embd: aliased(&fields, "n_embd", "hidden_size")?.unwrap_or(d.n_embd),
        n_layer: aliased(&fields, "n_layer", "num_hidden_layers")?.unwrap_or(d.n_layer),
        n_head: aliased(&fields, "n_head", "num_attention_heads")?.unwrap_or(d.n_head),
        n_inner: fields.usize("n_inner")?,
        activation_function: activation(&fields, "activation_function")?
            .unwrap_or(d.activation_function),
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

pub(super) fn to_value(c: &ImageGptConfig) -> Value {
    let mut value = json!({
        "activation_function": c.activation_function.name(),
        "add_cross_attention": c.add_cross_attention,
        "architectures": c.architectures,
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
    write_labels(&mut value, &c.id2label, c.problem_type);
    value
}
