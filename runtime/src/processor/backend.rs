//! Which of transformers' two ImageGPT processors is meant, and what a config says of it.
//!
//! The two give the same tokens for most pixels of a picture and not for all. No config of transformers has a
//! field for the choice: it follows from the name of the class and from which version wrote that name.

use std::fmt;
use std::str::FromStr;

use serde_json::Value;

use crate::config::FieldError;
use crate::config::fields::Fields;

/// Whose arithmetic turns an image into tokens. docs/processor.md has the differences.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Backend {
    /// `ImageGPTImageProcessorPil`: Pillow's resize, colours compared in f64. transformers 4 knew no other.
    #[default]
    Pil,
    /// `ImageGPTImageProcessor` of transformers 5: torch's resize, colours compared in f32.
    Torchvision,
}

/// A backend, and what in a config decided for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct BackendChoice {
    /// The backend.
    pub backend: Backend,
    /// Why, as the end of "PIL's, because ...".
    pub because: &'static str,
}

/// A name that is no backend's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no image processor, expected pil or torchvision")]
pub struct BackendError(String);

impl Backend {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Pil, Self::Torchvision];

    /// The name in the metadata and on a command line, which is also transformers'.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pil => "pil",
            Self::Torchvision => "torchvision",
        }
    }

    /// The class that a `preprocessor_config.json` of ours names, of a family of which the names begin so.
    ///
    /// transformers 5 itself drops the ending `Pil` when it saves; it loads the name with it all the same.
    pub(crate) fn class(self, family: &str) -> String {
        match self {
            Self::Pil => format!("{family}ImageProcessorPil"),
            Self::Torchvision => format!("{family}ImageProcessor"),
        }
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Backend {
    type Err = BackendError;

    fn from_str(name: &str) -> Result<Self, BackendError> {
        let mut all = Self::ALL.into_iter();
        all.find(|backend| backend.name() == name)
            .ok_or_else(|| BackendError(name.to_owned()))
    }
}

/// Fields that the classes of transformers 5 always write and ImageGPT's of transformers 4 did not have.
const FIELDS_OF_5: [&str; 4] = ["do_rescale", "rescale_factor", "image_mean", "image_std"];

impl BackendChoice {
    /// What a `preprocessor_config.json` says, PIL if it is silent.
    ///
    /// # Errors
    /// A class that is no ImageGPT processor's, by the name of the field.
    pub(super) fn of(fields: &Fields<'_>, clusters: &[[f64; 3]]) -> Result<Self, FieldError> {
        let named = Class::named(fields, "ImageGPT")?;
        let form_of_5 = form_of_5(fields);
        // torchvision's class holds its palette in f32 and saves it so.
        let saved_in_f32 = clusters
            .iter()
            .flatten()
            .all(|x| f64::from(*x as f32) == *x);
        let (backend, because) = match named {
            None => (Backend::Pil, "it names no class"),
            Some(Class::FeatureExtractor) => (
                Backend::Pil,
                "ImageGPTFeatureExtractor was PIL's in transformers 4",
            ),
            Some(Class::Pil) => (Backend::Pil, "it names ImageGPTImageProcessorPil"),
            Some(Class::Fast) => (Backend::Torchvision, "it names ImageGPTImageProcessorFast"),
            Some(Class::Plain) if !form_of_5 => (
                Backend::Pil,
                "ImageGPTImageProcessor without image_mean and rescale_factor is transformers 4's, which was PIL's",
            ),
            Some(Class::Plain) if !saved_in_f32 => (
                Backend::Pil,
                "its clusters are not in f32, as torchvision's ImageGPTImageProcessor would have saved them",
            ),
            Some(Class::Plain) => (
                Backend::Torchvision,
                "ImageGPTImageProcessor is torchvision's in transformers 5",
            ),
        };
        Ok(Self { backend, because })
    }
}

/// Whether a config has what transformers 5 always writes.
pub(crate) fn form_of_5(fields: &Fields<'_>) -> bool {
    FIELDS_OF_5.iter().any(|field| fields.get(field).is_some())
}

/// A family's classes by their names, in all versions.
#[derive(Clone, Copy)]
pub(crate) enum Class {
    FeatureExtractor,
    Plain,
    Pil,
    Fast,
}

impl Class {
    /// The endings of their names.
    const ENDINGS: [(&str, Self); 4] = [
        ("ImageProcessor", Self::Plain),
        ("ImageProcessorPil", Self::Pil),
        ("ImageProcessorFast", Self::Fast),
        ("FeatureExtractor", Self::FeatureExtractor),
    ];

    /// The class that a config names, of a family of which the names begin so.
    ///
    /// # Errors
    /// Another family's class, by the name of the field.
    pub(crate) fn named(fields: &Fields<'_>, family: &str) -> Result<Option<Self>, FieldError> {
        // As transformers: the older key counts where the newer is missing, and both have to be ours.
        let mut named = None;
        for key in ["feature_extractor_type", "image_processor_type"] {
            let Some(name) = fields.str(key)? else {
                continue;
            };
            let ending = name.strip_prefix(family).unwrap_or_default();
            let found = Self::ENDINGS.iter().find(|(known, _)| *known == ending);
            let Some((_, class)) = found else {
                let [plain, pil, fast, old] = Self::ENDINGS.map(|(e, _)| format!("{family}{e}"));
                let expected = format!("{plain}, {pil}, {fast} or {old}");
                return Err(FieldError::of_value(key, &Value::from(name), expected));
            };
            named = Some(*class);
        }
        Ok(named)
    }
}
