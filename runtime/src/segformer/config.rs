//! `SegformerConfig`: Hugging Face's `config.json` for `segformer`, as far as it changes a classifier's result.
//!
//! Strict and indifferent as `ImageGptConfig` is. What transformers runs silently and wrongly (lists of more stages
//! than there are) is refused; docs/config.md lists every field.

mod json;
mod sizes;

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::config::shared::{self, check_labels, default_labels, range};
use crate::config::{
    Activation, ConfigError, FieldError, MAX_EMBD, MAX_INNER, MAX_LAYERS, ProblemType,
};

/// Most stages.
const MAX_STAGES: usize = 16;
/// Most channels of an input.
const MAX_CHANNELS: usize = 64;
/// Largest kernel, stride, reduction and MLP ratio.
const MAX_WINDOW: usize = 64;

/// The architecture of one Mix Transformer, under Hugging Face's field names and defaults.
///
/// The fields are public so that tools can build configurations (from [`SegformerConfig::b0`], say, as there may be
/// more of them later); [`SegformerConfig::validate`] says whether one makes sense, and every reader calls it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "serde_json::Value", into = "serde_json::Value")]
#[non_exhaustive]
pub struct SegformerConfig {
    /// Channels of an input: three for pictures.
    pub num_channels: usize,
    /// Number of stages (alias `num_hidden_layers`); each list below has as many entries.
    pub num_encoder_blocks: usize,
    /// Transformer blocks of each stage.
    pub depths: Vec<usize>,
    /// By how much each side of the map is reduced for keys and values; 1 for not at all.
    pub sr_ratios: Vec<usize>,
    /// Width of each stage.
    pub hidden_sizes: Vec<usize>,
    /// Kernel of the patch convolution before each stage; its padding is half of it.
    pub patch_sizes: Vec<usize>,
    /// Its stride.
    pub strides: Vec<usize>,
    /// Attention heads of each stage. One that does not divide the width makes queries, keys and values narrower.
    pub num_attention_heads: Vec<usize>,
    /// Width of the MLP, in widths of the stage.
    pub mlp_ratios: Vec<usize>,
    /// The MLP's activation.
    pub hidden_act: Activation,
    /// Whether Hugging Face gives the last hidden state as a map or as a list of tokens.
    pub reshape_last_stage: bool,
    /// What a classifier's logits mean, if the checkpoint says it:
    /// [`SegformerConfig::resolved_problem_type`] knows it in any case.
    pub problem_type: Option<ProblemType>,
    /// The label of every class, in index order. Hugging Face's default is `LABEL_0`, `LABEL_1`.
    pub id2label: Vec<String>,
    /// The classes this checkpoint was saved from, such as `SegformerForImageClassification`.
    pub architectures: Vec<String>,
}

impl Default for SegformerConfig {
    fn default() -> Self {
        Self {
            num_channels: 3,
            num_encoder_blocks: 4,
            depths: vec![2, 2, 2, 2],
            sr_ratios: vec![8, 4, 2, 1],
            hidden_sizes: vec![32, 64, 160, 256],
            patch_sizes: vec![7, 3, 3, 3],
            strides: vec![4, 2, 2, 2],
            num_attention_heads: vec![1, 2, 5, 8],
            mlp_ratios: vec![4, 4, 4, 4],
            hidden_act: Activation::Gelu,
            reshape_last_stage: true,
            problem_type: None,
            id2label: default_labels(2),
            architectures: Vec::new(),
        }
    }
}

impl SegformerConfig {
    /// The epsilon of every norm. Hugging Face's code has this number whatever `layer_norm_eps` says.
    pub const EPSILON: f32 = 1e-5;

    /// Reads and validates a `config.json`.
    ///
    /// # Errors
    /// The first field that is missing its type, out of range or unsupported, by name.
    pub fn from_json(text: &str) -> Result<Self, ConfigError> {
        let value: serde_json::Value = serde_json::from_str(text)?;
        json::from_value(&value)
    }

    /// Reads and validates the `config.json` at `path`.
    ///
    /// # Errors
    /// As [`SegformerConfig::from_json`], with the path.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        shared::read(path.as_ref(), Self::from_json)
    }

    /// The config as Hugging Face writes it: pretty-printed, every field that counts present.
    #[must_use]
    pub fn to_json(&self) -> String {
        // `{:#}` on a `Value` is serde_json's infallible pretty printer.
        format!("{:#}", json::to_value(self))
    }

    /// Checks every field against its range and against the others.
    ///
    /// # Errors
    /// The first field that does not fit.
    pub fn validate(&self) -> Result<(), ConfigError> {
        range("num_channels", self.num_channels, 1, MAX_CHANNELS)?;
        range("num_encoder_blocks", self.num_encoder_blocks, 1, MAX_STAGES)?;
        for (field, list, most) in [
            ("depths", &self.depths, MAX_LAYERS),
            ("hidden_sizes", &self.hidden_sizes, MAX_EMBD),
            ("patch_sizes", &self.patch_sizes, MAX_WINDOW),
            ("strides", &self.strides, MAX_WINDOW),
            ("sr_ratios", &self.sr_ratios, MAX_WINDOW),
            ("num_attention_heads", &self.num_attention_heads, MAX_EMBD),
            ("mlp_ratios", &self.mlp_ratios, MAX_WINDOW),
        ] {
            if list.len() != self.num_encoder_blocks {
                let expected = format!(
                    "{} of them, one for each stage of num_encoder_blocks (of a longer list transformers runs the \
                     first ones and takes the classifier's width from the last)",
                    self.num_encoder_blocks
                );
                let found = format!("a list of {}", list.len());
                return Err(FieldError::new(field, found, expected).into());
            }
            for (stage, found) in list.iter().enumerate() {
                range(format!("{field}[{stage}]"), *found, 1, most)?;
            }
        }
        // Sums of at most 16 x 1,024.
        range("the sum of depths", self.depths.iter().sum(), 1, MAX_LAYERS)?;
        for stage in 0..self.num_encoder_blocks {
            let width = self.hidden_sizes[stage];
            let heads = self.num_attention_heads[stage];
            if heads > width {
                let expected = format!("at most hidden_sizes[{stage}] = {width}");
                let field = format!("num_attention_heads[{stage}]");
                return Err(FieldError::new(field, heads, expected).into());
            }
            // Longer rows than these overflow an i32 when bytes are multiplied, and are nobody's.
            for (what, found) in [
                ("mlp_ratios", self.inner_dim(stage)),
                ("patch_sizes", self.patch_width(stage)),
                ("sr_ratios", self.sr_ratios[stage].pow(2) * width),
            ] {
                if found > MAX_INNER {
                    let found = format!("such that rows are {found} wide");
                    let expected = format!("rows of at most {MAX_INNER}");
                    return Err(FieldError::new(format!("{what}[{stage}]"), found, expected).into());
                }
            }
        }
        check_labels(&self.id2label, self.problem_type)?;
        Ok(())
    }

    /// Checks what only concerns a model of pictures, which an image processor gives.
    ///
    /// # Errors
    /// Another number of channels than three.
    pub fn check_rgb(&self) -> Result<(), ConfigError> {
        if self.num_channels != 3 {
            return Err(ConfigError::unsupported(
                "num_channels",
                self.num_channels.to_string(),
                "the image processor gives red, green and blue",
            ));
        }
        Ok(())
    }

    /// What a classifier's logits mean, by the rule of transformers' image-classification pipeline
    /// ([`ImageGptConfig::resolved_problem_type`](crate::ImageGptConfig::resolved_problem_type)).
    #[must_use]
    pub fn resolved_problem_type(&self) -> ProblemType {
        ProblemType::resolve(self.problem_type, self.num_labels())
    }

    /// The labels in index order.
    #[must_use]
    pub fn labels(&self) -> &[String] {
        &self.id2label
    }

    /// Number of classes of a classification head.
    #[must_use]
    pub fn num_labels(&self) -> usize {
        self.id2label.len()
    }
}

#[cfg(test)]
mod tests;
