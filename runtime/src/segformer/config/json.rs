//! `config.json` to [`SegformerConfig`] and back.

use serde_json::{Value, json};

use super::SegformerConfig;
use crate::config::fields::{Fields, as_usize};
use crate::config::shared::{
    activation, aliased, architectures, labels, model_type, problem_type,
    refuse_what_changes_the_weights, write_labels,
};
use crate::config::{ConfigError, FieldError};

impl TryFrom<Value> for SegformerConfig {
    type Error = ConfigError;

    fn try_from(value: Value) -> Result<Self, ConfigError> {
        from_value(&value)
    }
}

impl From<SegformerConfig> for Value {
    fn from(config: SegformerConfig) -> Value {
        to_value(&config)
    }
}

pub(super) fn from_value(value: &Value) -> Result<SegformerConfig, ConfigError> {
    let fields = Fields::of("config.json", value)?;
    model_type(&fields, "segformer")?;
    refuse_what_changes_the_weights(&fields)?;
    let d = SegformerConfig::default();
    let list = |field, default: &Vec<usize>| -> Result<Vec<usize>, FieldError> {
        Ok(integers(&fields, field)?.unwrap_or_else(|| default.clone()))
    };
    let config = SegformerConfig {
        num_channels: fields.usize("num_channels")?.unwrap_or(d.num_channels),
        num_encoder_blocks: aliased(&fields, "num_encoder_blocks", "num_hidden_layers")?
            .unwrap_or(d.num_encoder_blocks),
        depths: list("depths", &d.depths)?,
        sr_ratios: list("sr_ratios", &d.sr_ratios)?,
        hidden_sizes: list("hidden_sizes", &d.hidden_sizes)?,
        patch_sizes: list("patch_sizes", &d.patch_sizes)?,
        strides: list("strides", &d.strides)?,
        num_attention_heads: list("num_attention_heads", &d.num_attention_heads)?,
        mlp_ratios: list("mlp_ratios", &d.mlp_ratios)?,
        hidden_act: activation(&fields, "hidden_act")?.unwrap_or(d.hidden_act),
        reshape_last_stage: fields
            .bool("reshape_last_stage")?
            .unwrap_or(d.reshape_last_stage),
        problem_type: problem_type(&fields)?,
        id2label: labels(&fields)?,
        architectures: architectures(&fields)?,
    };
    config.validate()?;
    Ok(config)
}

/// A list of integers. transformers 5 refuses 4.0 as it does 2.5, and a lone number.
fn integers(fields: &Fields<'_>, field: &str) -> Result<Option<Vec<usize>>, FieldError> {
    const EXPECTED: &str = "a list of integers, one for each stage";
    let Some(value) = fields.get(field) else {
        return Ok(None);
    };
    let wrong = || FieldError::of_value(field, value, EXPECTED);
    let list = value.as_array().ok_or_else(wrong)?;
    let list: Option<Vec<usize>> = list.iter().map(as_usize).collect();
    Ok(Some(list.ok_or_else(wrong)?))
}

pub(super) fn to_value(c: &SegformerConfig) -> Value {
    let mut value = json!({
        "architectures": c.architectures,
        "depths": c.depths,
        "hidden_act": c.hidden_act.name(),
        "hidden_sizes": c.hidden_sizes,
        "mlp_ratios": c.mlp_ratios,
        "model_type": "segformer",
        "num_attention_heads": c.num_attention_heads,
        "num_channels": c.num_channels,
        "num_encoder_blocks": c.num_encoder_blocks,
        "patch_sizes": c.patch_sizes,
        "reshape_last_stage": c.reshape_last_stage,
        "sr_ratios": c.sr_ratios,
        "strides": c.strides,
    });
    write_labels(&mut value, &c.id2label, c.problem_type);
    value
}
