//! `AutoFeatureSession`: features of images, whatever the family.

use std::ops::RangeInclusive;

use super::classification::AutoModelForImageClassification;
use super::model::AutoModel;
use crate::error::Error;
use crate::features::Features;
use crate::image::DecodedImage;
use crate::imagegpt::{FeatureSession, ImageGptModel};
use crate::segformer::{SegformerFeatureSession, SegformerModel};

/// Takes features of one image after another with a model of either family.
#[derive(Debug)]
#[non_exhaustive]
pub enum AutoFeatureSession {
    /// Of an ImageGPT.
    ImageGpt(FeatureSession),
    /// Of a SegFormer.
    Segformer(SegformerFeatureSession),
}

impl AutoFeatureSession {
    /// The features of one RGB8 picture, `width * height * 3` bytes, of any size.
    ///
    /// # Errors
    /// On a picture that does not have that many bytes, or activations that overflow; the session then starts afresh.
    pub fn features_rgb8(
        &mut self,
        rgb: &[u8],
        width: usize,
        height: usize,
    ) -> Result<Features, Error> {
        match self {
            Self::ImageGpt(session) => session.features_rgb8(rgb, width, height),
            Self::Segformer(session) => session.features_rgb8(rgb, width, height),
        }
    }

    /// The features of a decoded image.
    ///
    /// # Errors
    /// As [`AutoFeatureSession::features_rgb8`].
    pub fn features_image(&mut self, image: &DecodedImage) -> Result<Features, Error> {
        self.features_rgb8(image.rgb(), image.width(), image.height())
    }
}

/// Features of an ImageGPT.
fn of_imagegpt(model: &ImageGptModel, layers: &[usize]) -> Result<AutoFeatureSession, Error> {
    model
        .feature_session(layers)
        .map(AutoFeatureSession::ImageGpt)
}

/// Features of a SegFormer.
fn of_segformer(model: &SegformerModel, layers: &[usize]) -> Result<AutoFeatureSession, Error> {
    model
        .feature_session(layers)
        .map(AutoFeatureSession::Segformer)
}

impl AutoModel {
    /// The layers whose features can be had: of an ImageGPT 0, the embeddings, to its number of blocks; of a SegFormer its
    /// stages from 1 on.
    #[must_use]
    pub fn layers(&self) -> RangeInclusive<usize> {
        match self {
            Self::ImageGpt(model) => 0..=model.config().n_layer,
            Self::Segformer(model) => 1..=model.config().num_encoder_blocks,
        }
    }

    /// Numbers that a layer says of an image; none of a layer that is not there.
    #[must_use]
    pub fn width(&self, layer: usize) -> Option<usize> {
        match self {
            Self::ImageGpt(model) => {
                (layer <= model.config().n_layer).then(|| model.config().n_embd)
            }
            Self::Segformer(model) => {
                let widths = &model.config().hidden_sizes;
                widths.get(layer.checked_sub(1)?).copied()
            }
        }
    }

    /// A session for the features of these layers. It shares the model's weights, and may go to another thread.
    ///
    /// # Errors
    /// A layer that the model does not have, none at all, a file without an image processor.
    pub fn feature_session(&self, layers: &[usize]) -> Result<AutoFeatureSession, Error> {
        match self {
            Self::ImageGpt(model) => of_imagegpt(model, layers),
            Self::Segformer(model) => of_segformer(model, layers),
        }
    }
}

impl AutoModelForImageClassification {
    /// A session for the features of these layers, as [`AutoModel::feature_session`].
    ///
    /// # Errors
    /// The same.
    pub fn feature_session(&self, layers: &[usize]) -> Result<AutoFeatureSession, Error> {
        match self {
            Self::ImageGpt(model) => of_imagegpt(model.model(), layers),
            Self::Segformer(model) => of_segformer(model.model(), layers),
        }
    }
}
