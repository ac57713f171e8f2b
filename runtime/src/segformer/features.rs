//! `SegformerFeatureSession`: what stages of a SegFormer say of one image after another, for heads that are trained on it.

use std::sync::Arc;

use tract_onnx::prelude::TypedSimplePlan;

use super::model::SegformerModel;
use super::processor::SegformerImageProcessor;
use crate::error::{Error, FormatError};
use crate::features::{Features, pooled};
use crate::image::DecodedImage;
use crate::model::State;
use crate::processor::ProcessorScratch;

/// Takes features of one image after another: of each stage the mean of its map, as `igpt probe` does. Stages after the last
/// that was asked for are not computed, and an image that becomes the same pixels as the one before is not computed again.
#[derive(Debug)]
pub struct SegformerFeatureSession {
    model: SegformerModel,
    processor: Arc<SegformerImageProcessor>,
    plan: Arc<TypedSimplePlan>,
    state: State,
    widths: Vec<usize>,
    scratch: ProcessorScratch,
    /// The resized image before, and its features; empty if there is none.
    last: Vec<u8>,
    features: Vec<Vec<f32>>,
}

impl SegformerModel {
    /// A session for the features of these stages, the first of which is 1. It shares the model's weights, and may go to
    /// another thread.
    ///
    /// # Errors
    /// A stage that the model does not have, none at all, a file without an image processor.
    pub fn feature_session(&self, stages: &[usize]) -> Result<SegformerFeatureSession, Error> {
        let Some(processor) = self.processor.clone() else {
            return Err(Error::Format {
                name: self.core.name.clone(),
                source: FormatError::NoProcessor,
            });
        };
        let widths = &self.config.hidden_sizes;
        let plan = self.core.layers(stages, 1, widths.len())?;
        let width = |stage: &usize| widths.get(stage.wrapping_sub(1)).copied();
        Ok(SegformerFeatureSession {
            state: self.core.spawn(&plan)?,
            widths: stages.iter().filter_map(width).collect(),
            model: self.clone(),
            processor,
            plan,
            scratch: ProcessorScratch::default(),
            last: Vec::new(),
            features: Vec::new(),
        })
    }
}

impl SegformerFeatureSession {
    /// The features of one RGB8 picture, `width * height * 3` bytes, of any size.
    ///
    /// # Errors
    /// On a picture that does not have that many bytes, or activations that overflow.
    pub fn features_rgb8(
        &mut self,
        rgb: &[u8],
        width: usize,
        height: usize,
    ) -> Result<Features, Error> {
        let (processor, scratch) = (&self.processor, &mut self.scratch);
        let resized = processor.resized_into(rgb, width, height, scratch);
        let resized = resized.map_err(|source| Error::Processor {
            name: self.model.core.name.clone(),
            source,
        })?;
        if self.features.is_empty() || self.last != resized {
            self.features.clear();
            let input = (self.model).filled(|values| processor.values_into(resized, values))?;
            match self.model.core.run(&mut self.state, input) {
                Ok(maps) => {
                    let maps = maps.iter().zip(&self.widths);
                    self.features = maps.map(|(map, width)| pooled(map, *width, None)).collect();
                }
                Err(error) => {
                    // tract leaves a failed run's state half done.
                    self.state = self.model.core.spawn(&self.plan)?;
                    return Err(error);
                }
            }
            self.last.clear();
            self.last.extend_from_slice(resized);
        }
        Ok(Features {
            layers: self.features.clone(),
            ..Features::default()
        })
    }

    /// The features of a decoded image.
    ///
    /// # Errors
    /// As [`SegformerFeatureSession::features_rgb8`].
    pub fn features_image(&mut self, image: &DecodedImage) -> Result<Features, Error> {
        self.features_rgb8(image.rgb(), image.width(), image.height())
    }
}
