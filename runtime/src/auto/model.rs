//! `AutoModel`: a model file of either family.

use std::path::Path;

use bytes::Bytes;
use igpt_kernels::Isa;

use super::config::ModelConfig;
use crate::error::Error;
use crate::imagegpt::ImageGptModel;
use crate::kind::{Dtype, Task};
use crate::model::Opened;
use crate::onnx::Family;
use crate::options::LoadOptions;
use crate::segformer::SegformerModel;

/// A loaded model file, whatever its family and its head.
#[derive(Debug)]
#[non_exhaustive]
#[allow(
    clippy::large_enum_variant,
    reason = "one a program, and never moved about"
)]
pub enum AutoModel {
    /// Of `model_type` `imagegpt`.
    ImageGpt(ImageGptModel),
    /// Of `model_type` `segformer`.
    Segformer(SegformerModel),
}

/// `$body` for the model of either family.
macro_rules! either {
    ($self:expr, $model:ident => $body:expr) => {
        match $self {
            AutoModel::ImageGpt($model) => $body,
            AutoModel::Segformer($model) => $body,
        }
    };
}

impl AutoModel {
    /// Loads a file.
    ///
    /// # Errors
    /// If it cannot be read, is damaged, or is not for this build or machine.
    pub fn load(path: impl AsRef<Path>, options: &LoadOptions) -> Result<Self, Error> {
        Opened::file(path.as_ref(), options)?.try_into()
    }

    /// Loads a file that is in memory, such as an embedded one (`&'static [u8]`); its weights are used where they lie
    /// if they can be.
    ///
    /// # Errors
    /// As [`AutoModel::load`].
    pub fn from_bytes(bytes: impl Into<Bytes>, options: &LoadOptions) -> Result<Self, Error> {
        Opened::bytes(bytes.into(), options)?.try_into()
    }

    /// Its configuration.
    #[must_use]
    pub fn config(&self) -> ModelConfig {
        either!(self, model => model.config().clone().into())
    }

    /// What to tell whoever runs a file that was packed for another CPU: loading it takes longer than it has to.
    #[must_use]
    pub fn repacked(&self) -> Option<String> {
        either!(self, model => model.repacked())
    }

    /// What the file is for.
    #[must_use]
    pub fn task(&self) -> Task {
        either!(self, model => model.task())
    }

    /// How its linear layers are stored and computed.
    #[must_use]
    pub fn dtype(&self) -> Dtype {
        either!(self, model => model.dtype())
    }

    /// The instruction set in use.
    #[must_use]
    pub fn isa(&self) -> Isa {
        either!(self, model => model.isa())
    }

    /// The threads that runs are spread over.
    #[must_use]
    pub fn threads(&self) -> usize {
        either!(self, model => model.threads())
    }
}

impl TryFrom<Opened> for AutoModel {
    type Error = Error;

    fn try_from(opened: Opened) -> Result<Self, Error> {
        Ok(match opened.family() {
            Family::ImageGpt { .. } => Self::ImageGpt(opened.try_into()?),
            Family::Segformer { .. } => Self::Segformer(opened.try_into()?),
        })
    }
}
