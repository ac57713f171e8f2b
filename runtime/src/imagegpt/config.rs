//! `ImageGptConfig`: Hugging Face's `config.json` for `imagegpt`, as far as it changes inference.

mod json;

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::config::shared::{self, check_labels, default_labels, range};
use crate::config::{
    Activation, ConfigError, FieldError, MAX_EMBD, MAX_INNER, MAX_LAYERS, MAX_POSITIONS, MAX_VOCAB,
    ProblemType,
};

/// The architecture of one ImageGPT checkpoint, under Hugging Face's field names and defaults.
///
/// The fields are public so that tools can build configurations (from [`ImageGptConfig::small`], say, as there may be
/// more of them later); [`ImageGptConfig::validate`] says whether one makes sense, and every reader calls it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "serde_json::Value", into = "serde_json::Value")]
#[non_exhaustive]
pub struct ImageGptConfig {
    /// Colours of the palette plus one start-of-sequence token, whose id is `vocab_size - 1`.
    pub vocab_size: usize,
    /// Longest sequence, in tokens (alias `max_position_embeddings`).
    pub n_positions: usize,
    /// Width of the residual stream (alias `hidden_size`).
    pub n_embd: usize,
    /// Number of transformer blocks (alias `num_hidden_layers`).
    pub n_layer: usize,
    /// Number of attention heads (alias `num_attention_heads`); divides `n_embd`.
    pub n_head: usize,
    /// Width of the MLP; `4 * n_embd` when absent.
    pub n_inner: Option<usize>,
    /// The MLP's activation.
    pub activation_function: Activation,
    /// Added to the mean square under the root of every norm.
    pub layer_norm_epsilon: f64,
    /// Divide the attention scores by the square root of the head's width.
    pub scale_attn_weights: bool,
    /// Divide the attention scores of block `l` by `l + 1` as well.
    pub scale_attn_by_inverse_layer_idx: bool,
    /// Hugging Face then scales inside the product and computes it in f32: the same mathematics.
    pub reorder_and_upcast_attn: bool,
    /// Always false in a valid config: the upstream cross attention is not supported.
    pub add_cross_attention: bool,
    /// Of no effect on a classifier or on features; [`ImageGptConfig::check_causal`] refuses it.
    pub tie_word_embeddings: bool,
    /// What a classifier's logits mean, if the checkpoint says it:
    /// [`ImageGptConfig::resolved_problem_type`] knows it in any case.
    pub problem_type: Option<ProblemType>,
    /// The label of every class, in index order. Hugging Face's default is `LABEL_0`, `LABEL_1`.
    pub id2label: Vec<String>,
    /// The classes this checkpoint was saved from, such as `ImageGPTForImageClassification`.
    pub architectures: Vec<String>,
}

impl Default for ImageGptConfig {
    fn default() -> Self {
        Self {
            vocab_size: 513,
            n_positions: 1024,
            n_embd: 512,
            n_layer: 24,
            n_head: 8,
            n_inner: None,
            activation_function: Activation::QuickGelu,
            layer_norm_epsilon: 1e-5,
            scale_attn_weights: true,
            scale_attn_by_inverse_layer_idx: false,
            reorder_and_upcast_attn: false,
            add_cross_attention: false,
            tie_word_embeddings: false,
            problem_type: None,
            id2label: default_labels(2),
            architectures: Vec::new(),
        }
    }
}

impl ImageGptConfig {
    /// iGPT-S: 24 blocks of 512, 8 heads, 76M parameters (`openai/imagegpt-small`).
    #[must_use]
    pub fn small() -> Self {
        Self::default()
    }

    /// iGPT-M: 36 blocks of 1024, 8 heads, 455M parameters (`openai/imagegpt-medium`).
    #[must_use]
    pub fn medium() -> Self {
        Self {
            n_embd: 1024,
            n_layer: 36,
            n_head: 8,
            ..Self::default()
        }
    }

    /// iGPT-L: 48 blocks of 1536, 16 heads, 1362M parameters (`openai/imagegpt-large`).
    #[must_use]
    pub fn large() -> Self {
        Self {
            n_embd: 1536,
            n_layer: 48,
            n_head: 16,
            ..Self::default()
        }
    }

    /// iGPT-XL: 60 blocks of 3072 over 64 x 64 pixels, 6.8G parameters.
    ///
    /// Its weights were never released and the paper (Chen et al., "Generative Pretraining from
    /// Pixels", 2020) gives no head count: 24 heads of 128 are our choice, for sizing only.
    #[must_use]
    pub fn xl() -> Self {
        Self {
            n_embd: 3072,
            n_layer: 60,
            n_head: 24,
            n_positions: 64 * 64,
            ..Self::default()
        }
    }

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
    /// As [`ImageGptConfig::from_json`], with the path.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        shared::read(path.as_ref(), Self::from_json)
    }

    /// The config as Hugging Face writes it: pretty-printed, every field present.
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
        range("vocab_size", self.vocab_size, 2, MAX_VOCAB)?;
        range("n_positions", self.n_positions, 1, MAX_POSITIONS)?;
        range("n_embd", self.n_embd, 1, MAX_EMBD)?;
        range("n_layer", self.n_layer, 1, MAX_LAYERS)?;
        range("n_head", self.n_head, 1, self.n_embd)?;
        if !self.n_embd.is_multiple_of(self.n_head) {
            let expected = format!("a divisor of n_embd = {}", self.n_embd);
            return Err(FieldError::new("n_head", self.n_head, expected).into());
        }
        range("n_inner", self.inner_dim(), 1, MAX_INNER)?;
        let eps = self.layer_norm_epsilon;
        // Checked as the f32 the norm uses: 1e-60 is positive here and zero there.
        if !(eps.is_finite() && eps as f32 > 0.0 && eps < 1.0) {
            return Err(FieldError::new("layer_norm_epsilon", eps, "a number in (0, 1)").into());
        }
        if self.add_cross_attention {
            return Err(ConfigError::unsupported(
                "add_cross_attention",
                "true",
                "ImageGPT has no encoder to attend to, and no published checkpoint sets it",
            ));
        }
        check_labels(&self.id2label, self.problem_type)?;
        Ok(())
    }

    /// Checks what only concerns a language model.
    ///
    /// # Errors
    /// `tie_word_embeddings`: it makes another head than a model file has.
    pub fn check_causal(&self) -> Result<(), ConfigError> {
        if self.tie_word_embeddings {
            return Err(ConfigError::unsupported(
                "tie_word_embeddings",
                "true",
                "of a language model transformers then saves no lm_head.weight and gives vocab_size logits \
                 a token, one for the start token too, where a model file has vocab_size - 1; untie it: set \
                 it to false and save lm_head.weight, the rows of wte.weight without the last. A classifier \
                 or features (task classify, features) can be taken from it as it is",
            ));
        }
        Ok(())
    }

    /// What a classifier's logits mean, by the rule of transformers' image-classification pipeline: a
    /// regression if the checkpoint says so; else a sigmoid for each label if it says multi-label or has one
    /// label only; else the softmax.
    #[must_use]
    pub fn resolved_problem_type(&self) -> ProblemType {
        ProblemType::resolve(self.problem_type, self.num_labels())
    }

    /// Width of one attention head.
    #[must_use]
    pub fn head_dim(&self) -> usize {
        self.n_embd / self.n_head.max(1)
    }

    /// Width of the MLP's inner layer.
    #[must_use]
    pub fn inner_dim(&self) -> usize {
        self.n_inner.unwrap_or(4 * self.n_embd)
    }

    /// The norms' epsilon in the precision they are computed in.
    #[must_use]
    pub fn epsilon(&self) -> f32 {
        self.layer_norm_epsilon as f32
    }

    /// What block `layer` (from 0) multiplies its attention scores by.
    #[must_use]
    pub fn attn_scale(&self, layer: usize) -> f32 {
        let mut divisor = 1.0;
        if self.scale_attn_weights {
            divisor *= (self.head_dim() as f64).sqrt();
        }
        if self.scale_attn_by_inverse_layer_idx {
            divisor *= (layer + 1) as f64;
        }
        (1.0 / divisor) as f32
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

    /// Number of colours a token can stand for: the vocabulary without the start token.
    #[must_use]
    pub fn num_colors(&self) -> usize {
        self.vocab_size.saturating_sub(1)
    }

    /// Id of the start-of-sequence token, the last of the vocabulary.
    #[must_use]
    pub fn sos_token(&self) -> u16 {
        u16::try_from(self.vocab_size.saturating_sub(1)).unwrap_or(u16::MAX)
    }

    /// Parameters of the model without a head (embeddings, blocks and the last norm).
    #[must_use]
    pub fn num_parameters(&self) -> u64 {
        let [c, i, v, p, l] = [
            self.n_embd,
            self.inner_dim(),
            self.vocab_size,
            self.n_positions,
            self.n_layer,
        ]
        .map(|n| n as u64);
        let attention = 4 * c * c + 4 * c;
        let mlp = 2 * c * i + i + c;
        let norms = 2 * c;
        (v + p) * c + l * (attention + mlp + norms) + c
    }
}

#[cfg(test)]
mod tests;
