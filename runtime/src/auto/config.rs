//! `ModelConfig`: a `config.json` of either family, told apart by its `model_type`.

use std::path::Path;

use serde_json::Value;

use crate::config::fields::Fields;
use crate::config::{
    ConfigError, FieldError, ImageGptConfig, ProblemType, SegformerConfig, shared,
};

/// The configuration of a checkpoint or of a model file, whatever its family.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum ModelConfig {
    /// `model_type` is `imagegpt`.
    ImageGpt(ImageGptConfig),
    /// `model_type` is `segformer`.
    Segformer(SegformerConfig),
}

/// `$body` for the configuration of either family.
macro_rules! either {
    ($self:expr, $config:ident => $body:expr) => {
        match $self {
            ModelConfig::ImageGpt($config) => $body,
            ModelConfig::Segformer($config) => $body,
        }
    };
}

impl ModelConfig {
    /// Reads and validates a `config.json`.
    ///
    /// # Errors
    /// Another `model_type`, or none; otherwise as the family's own `from_json`.
    pub fn from_json(text: &str) -> Result<Self, ConfigError> {
        let value: Value = serde_json::from_str(text)?;
        let fields = Fields::of("config.json", &value)?;
        let found = match fields.str("model_type")? {
            Some("imagegpt") => return Ok(Self::ImageGpt(value.try_into()?)),
            Some("segformer") => return Ok(Self::Segformer(value.try_into()?)),
            Some(other) => format!("{other:?}"),
            None => "absent".to_owned(),
        };
        Err(FieldError::new("model_type", found, "\"imagegpt\" or \"segformer\"").into())
    }

    /// Reads and validates the `config.json` at `path`.
    ///
    /// # Errors
    /// As [`ModelConfig::from_json`], with the path.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        shared::read(path.as_ref(), Self::from_json)
    }

    /// The config as Hugging Face writes it.
    #[must_use]
    pub fn to_json(&self) -> String {
        either!(self, config => config.to_json())
    }

    /// Hugging Face's name of the family.
    #[must_use]
    pub fn model_type(&self) -> &'static str {
        match self {
            Self::ImageGpt(_) => "imagegpt",
            Self::Segformer(_) => "segformer",
        }
    }

    /// Checks every field against its range and against the others.
    ///
    /// # Errors
    /// The first field that does not fit.
    pub fn validate(&self) -> Result<(), ConfigError> {
        either!(self, config => config.validate())
    }

    /// The labels in index order.
    #[must_use]
    pub fn labels(&self) -> &[String] {
        either!(self, config => config.labels())
    }

    /// Number of classes of a classification head.
    #[must_use]
    pub fn num_labels(&self) -> usize {
        self.labels().len()
    }

    /// What a classifier's logits mean.
    #[must_use]
    pub fn resolved_problem_type(&self) -> ProblemType {
        either!(self, config => config.resolved_problem_type())
    }

    /// What a classifier's logits mean, if the checkpoint says it.
    #[must_use]
    pub fn problem_type(&self) -> Option<ProblemType> {
        either!(self, config => config.problem_type)
    }

    /// The classes that the checkpoint was saved from.
    #[must_use]
    pub fn architectures(&self) -> &[String] {
        either!(self, config => &config.architectures)
    }

    /// Parameters of the model without a head.
    #[must_use]
    pub fn num_parameters(&self) -> u64 {
        either!(self, config => config.num_parameters())
    }
}

impl From<ImageGptConfig> for ModelConfig {
    fn from(config: ImageGptConfig) -> Self {
        Self::ImageGpt(config)
    }
}

impl From<SegformerConfig> for ModelConfig {
    fn from(config: SegformerConfig) -> Self {
        Self::Segformer(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_type_decides() {
        let of = |text: &str| ModelConfig::from_json(text);
        let imagegpt = of(r#"{"model_type": "imagegpt"}"#).unwrap();
        assert_eq!(imagegpt, ImageGptConfig::small().into());
        let segformer = of(r#"{"model_type": "segformer", "num_labels": 3}"#).unwrap();
        assert_eq!(segformer.model_type(), "segformer");
        assert_eq!(segformer.num_labels(), 3);
        for config in [imagegpt, segformer] {
            assert_eq!(of(&config.to_json()).unwrap(), config);
        }
        for (text, found) in [
            (r#"{"model_type": "vit"}"#, "model_type is \"vit\", "),
            ("{}", "model_type is absent, "),
            (
                r#"{"model_type": "segformer", "depths": 1}"#,
                "depths is 1, ",
            ),
        ] {
            let error = of(text).unwrap_err().to_string();
            assert!(error.starts_with(found), "{error}");
        }
    }
}
