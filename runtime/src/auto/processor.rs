//! `AutoImageProcessor`: an image processor of either family.

use crate::image::DecodedImage;
use crate::processor::{Backend, ImageGptImageProcessor, ProcessorError, ProcessorScratch};
use crate::segformer::SegformerImageProcessor;

/// An image processor, whatever its family.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum AutoImageProcessor<'a> {
    /// Makes tokens.
    ImageGpt(&'a ImageGptImageProcessor),
    /// Makes pixel values.
    Segformer(&'a SegformerImageProcessor),
}

impl<'a> AutoImageProcessor<'a> {
    /// (height, width) of the image that the model sees, in pixels.
    #[must_use]
    pub fn size(&self) -> (usize, usize) {
        match self {
            Self::ImageGpt(processor) => processor.size(),
            Self::Segformer(processor) => processor.size(),
        }
    }

    /// Whose arithmetic it is.
    #[must_use]
    pub fn backend(&self) -> Backend {
        match self {
            Self::ImageGpt(processor) => processor.config().backend,
            Self::Segformer(processor) => processor.config().backend,
        }
    }

    /// What the model is shown, before a palette if it has one: the resized and cropped image.
    ///
    /// # Errors
    /// An empty or oversized image, or a buffer of another length than it says.
    pub fn resized(
        &self,
        rgb: &[u8],
        width: usize,
        height: usize,
    ) -> Result<DecodedImage, ProcessorError> {
        match self {
            Self::ImageGpt(processor) => processor.resized(rgb, width, height),
            Self::Segformer(processor) => processor.resized(rgb, width, height),
        }
    }

    /// As [`AutoImageProcessor::resized`], borrowing the RGB8 pixels from `scratch`.
    ///
    /// # Errors
    /// The same.
    pub fn resized_into<'b>(
        &self,
        rgb: &'b [u8],
        width: usize,
        height: usize,
        scratch: &'b mut ProcessorScratch,
    ) -> Result<&'b [u8], ProcessorError> {
        match self {
            Self::ImageGpt(processor) => processor.resized_into(rgb, width, height, scratch),
            Self::Segformer(processor) => processor.resized_into(rgb, width, height, scratch),
        }
    }
}

impl<'a> From<&'a ImageGptImageProcessor> for AutoImageProcessor<'a> {
    fn from(processor: &'a ImageGptImageProcessor) -> Self {
        Self::ImageGpt(processor)
    }
}

impl<'a> From<&'a SegformerImageProcessor> for AutoImageProcessor<'a> {
    fn from(processor: &'a SegformerImageProcessor) -> Self {
        Self::Segformer(processor)
    }
}
