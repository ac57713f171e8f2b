//! `AutoModelForImageClassification`: a classifier of either family, and its session.

use std::path::Path;

use bytes::Bytes;
use igpt_kernels::Isa;

use super::config::ModelConfig;
use super::model::AutoModel;
use super::processor::AutoImageProcessor;
use crate::classification::Classification;
use crate::config::ProblemType;
use crate::error::Error;
use crate::image::DecodedImage;
use crate::imagegpt::{ImageGptForImageClassification, Session};
use crate::options::LoadOptions;
use crate::segformer::{SegformerForImageClassification, SegformerSession};

/// A classifier, whatever its family.
#[derive(Debug)]
#[non_exhaustive]
pub enum AutoModelForImageClassification {
    /// Of `model_type` `imagegpt`.
    ImageGpt(ImageGptForImageClassification),
    /// Of `model_type` `segformer`.
    Segformer(SegformerForImageClassification),
}

/// `$body` for the classifier of either family.
macro_rules! either {
    ($self:expr, $model:ident => $body:expr) => {
        match $self {
            AutoModelForImageClassification::ImageGpt($model) => $body,
            AutoModelForImageClassification::Segformer($model) => $body,
        }
    };
}

impl AutoModelForImageClassification {
    /// Loads a file made with `--task classify`.
    ///
    /// # Errors
    /// If it cannot be loaded, is for another task, or has no image processor.
    pub fn load(path: impl AsRef<Path>, options: &LoadOptions) -> Result<Self, Error> {
        AutoModel::load(path, options)?.try_into()
    }

    /// Loads a file that is in memory.
    ///
    /// # Errors
    /// As [`AutoModelForImageClassification::load`].
    pub fn from_bytes(bytes: impl Into<Bytes>, options: &LoadOptions) -> Result<Self, Error> {
        AutoModel::from_bytes(bytes, options)?.try_into()
    }

    /// Its configuration.
    #[must_use]
    pub fn config(&self) -> ModelConfig {
        either!(self, model => model.config().clone().into())
    }

    /// The class names, in index order.
    #[must_use]
    pub fn labels(&self) -> &[String] {
        either!(self, model => model.config().labels())
    }

    /// What its logits mean.
    #[must_use]
    pub fn problem_type(&self) -> ProblemType {
        either!(self, model => model.problem_type())
    }

    /// The image processor.
    #[must_use]
    pub fn processor(&self) -> AutoImageProcessor<'_> {
        either!(self, model => model.processor().into())
    }

    /// The instruction set in use.
    #[must_use]
    pub fn isa(&self) -> Isa {
        either!(self, model => model.isa())
    }

    /// The threads that runs are spread over.
    #[must_use]
    pub fn threads(&self) -> usize {
        either!(self, model => model.model().threads())
    }

    /// What to tell whoever runs a file that was packed for another CPU: loading it takes longer than it has to.
    #[must_use]
    pub fn repacked(&self) -> Option<String> {
        either!(self, model => model.model().repacked())
    }

    /// A session of its own. It keeps the model alive, and may go to another thread.
    ///
    /// # Errors
    /// If tract cannot set it up.
    pub fn session(&self) -> Result<AutoSession, Error> {
        Ok(match self {
            Self::ImageGpt(model) => AutoSession::ImageGpt(model.session()?),
            Self::Segformer(model) => AutoSession::Segformer(model.session()?),
        })
    }
}

impl TryFrom<AutoModel> for AutoModelForImageClassification {
    type Error = Error;

    fn try_from(model: AutoModel) -> Result<Self, Error> {
        Ok(match model {
            AutoModel::ImageGpt(model) => Self::ImageGpt(model.try_into()?),
            AutoModel::Segformer(model) => Self::Segformer(model.try_into()?),
        })
    }
}

/// Classifies one image after another with a model of either family, and reuses what did not change where that family
/// can.
#[derive(Debug)]
#[non_exhaustive]
pub enum AutoSession {
    /// Of an ImageGPT.
    ImageGpt(Session),
    /// Of a SegFormer.
    Segformer(SegformerSession),
}

impl AutoSession {
    /// Classifies one RGB8 picture, `width * height * 3` bytes, of any size.
    ///
    /// # Errors
    /// On a picture that does not have that many bytes, or activations that overflow; the session then starts afresh.
    pub fn classify_rgb8(
        &mut self,
        rgb: &[u8],
        width: usize,
        height: usize,
    ) -> Result<Classification, Error> {
        match self {
            Self::ImageGpt(session) => session.classify_rgb8(rgb, width, height),
            Self::Segformer(session) => session.classify_rgb8(rgb, width, height),
        }
    }

    /// Classifies a decoded image.
    ///
    /// # Errors
    /// As [`AutoSession::classify_rgb8`].
    pub fn classify_image(&mut self, image: &DecodedImage) -> Result<Classification, Error> {
        self.classify_rgb8(image.rgb(), image.width(), image.height())
    }
}
