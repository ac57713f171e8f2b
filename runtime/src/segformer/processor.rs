//! `SegformerImageProcessor`: an RGB8 image becomes the numbers that a Mix Transformer takes.
//!
//! Bit for bit those of Hugging Face's processors in transformers 5: `SegformerImageProcessorPil` (Pillow's resize) and
//! torchvision's `SegformerImageProcessor`. [`Backend`] says which; docs/processor.md how they differ.

mod config;

use std::path::Path;

use crate::config::fields::Fields;
use crate::image::{DecodedImage, check};
use crate::processor::{Backend, BackendChoice, ProcessorError, ProcessorScratch};

pub(crate) use config::MAX_PIXELS;
pub use config::SegformerProcessorConfig;

/// Turns images into the numbers that a checkpoint was trained on.
#[derive(Debug)]
pub struct SegformerImageProcessor {
    config: SegformerProcessorConfig,
    /// What each level of each channel becomes.
    values: Box<[[f32; 256]; 3]>,
}

impl SegformerImageProcessor {
    /// A processor with these options.
    ///
    /// # Errors
    /// The first option out of range, by name.
    pub fn new(config: SegformerProcessorConfig) -> Result<Self, ProcessorError> {
        config.validate()?;
        let values = Box::new(config.scaling().channel_values());
        Ok(Self { config, values })
    }

    /// Reads a `preprocessor_config.json`: the hub's form or that of transformers 5.
    ///
    /// # Errors
    /// The first field of the wrong type, out of range or unsupported, by name.
    pub fn from_json(text: &str) -> Result<Self, ProcessorError> {
        Self::from_json_as(text, None)
    }

    /// As [`SegformerImageProcessor::from_json`], with another backend than the one that the config names.
    ///
    /// # Errors
    /// The same.
    pub fn from_json_as(text: &str, backend: Option<Backend>) -> Result<Self, ProcessorError> {
        let value: serde_json::Value = serde_json::from_str(text)?;
        Self::new(SegformerProcessorConfig::from_value(&value, backend)?)
    }

    /// Which backend a `preprocessor_config.json` names, and why we think so.
    ///
    /// # Errors
    /// Text that is no JSON object, the class of another processor.
    pub fn backend_of_json(text: &str) -> Result<BackendChoice, ProcessorError> {
        let value: serde_json::Value = serde_json::from_str(text)?;
        let fields = Fields::of("preprocessor_config.json", &value)?;
        Ok(SegformerProcessorConfig::backend_of(&fields)?)
    }

    /// Reads the `preprocessor_config.json` at `path`.
    ///
    /// # Errors
    /// As [`SegformerImageProcessor::from_json`], with the path.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, ProcessorError> {
        Self::from_file_as(path, None)
    }

    /// As [`SegformerImageProcessor::from_file`], with another backend than the one that the file names.
    ///
    /// # Errors
    /// The same.
    pub fn from_file_as(
        path: impl AsRef<Path>,
        backend: Option<Backend>,
    ) -> Result<Self, ProcessorError> {
        crate::processor::read(path.as_ref(), |text| Self::from_json_as(text, backend))
    }

    /// The options as transformers 5 writes them, except that PIL's class is named as it is loaded.
    #[must_use]
    pub fn to_json(&self) -> String {
        format!("{:#}", self.config.to_value())
    }

    /// The options.
    #[must_use]
    pub fn config(&self) -> &SegformerProcessorConfig {
        &self.config
    }

    /// (height, width) of the image that the model sees, in pixels.
    #[must_use]
    pub fn size(&self) -> (usize, usize) {
        (self.config.height, self.config.width)
    }

    /// Hugging Face's `pixel_values` of one RGB8 image of `width` x `height` pixels: `[3, height, width]` of
    /// [`SegformerImageProcessor::size`].
    ///
    /// # Errors
    /// An empty or oversized image, or a buffer of another length than it says.
    pub fn pixel_values(
        &self,
        rgb: &[u8],
        width: usize,
        height: usize,
    ) -> Result<Vec<f32>, ProcessorError> {
        let mut scratch = ProcessorScratch::default();
        let resized = self.resized_into(rgb, width, height, &mut scratch)?;
        let (pixels, _) = resized.as_chunks::<3>();
        let plane = |channel: usize| {
            let values = &self.values[channel];
            pixels
                .iter()
                .map(move |pixel| values[usize::from(pixel[channel])])
        };
        Ok((0..3).flat_map(plane).collect())
    }

    /// What the model is shown: the resized image.
    ///
    /// # Errors
    /// As [`SegformerImageProcessor::pixel_values`].
    pub fn resized(
        &self,
        rgb: &[u8],
        width: usize,
        height: usize,
    ) -> Result<DecodedImage, ProcessorError> {
        let mut scratch = ProcessorScratch::default();
        let pixels = self
            .resized_into(rgb, width, height, &mut scratch)?
            .to_vec();
        let (to_height, to_width) = self.size();
        Ok(DecodedImage::new(to_width, to_height, pixels)?)
    }

    /// As [`SegformerImageProcessor::resized`], borrowing the RGB8 pixels from `scratch`, or from `rgb` if it has the
    /// size already.
    ///
    /// # Errors
    /// As [`SegformerImageProcessor::pixel_values`].
    pub fn resized_into<'a>(
        &self,
        rgb: &'a [u8],
        width: usize,
        height: usize,
        scratch: &'a mut ProcessorScratch,
    ) -> Result<&'a [u8], ProcessorError> {
        check(rgb, width, height)?;
        let c = &self.config;
        let (from, to) = ((width, height), (c.width, c.height));
        scratch.resize(c.backend, c.resample, rgb, from, to);
        Ok(if from == to { rgb } else { &scratch.resized })
    }

    /// Numbers of a resized image, pixel by pixel: channels last. `out` has as many as the image has bytes.
    pub(super) fn values_into(&self, resized: &[u8], out: &mut [f32]) {
        let [red, green, blue] = &*self.values;
        let (pixels, _) = resized.as_chunks::<3>();
        let (outs, _) = out.as_chunks_mut::<3>();
        for (out, [r, g, b]) in outs.iter_mut().zip(pixels) {
            *out = [
                red[usize::from(*r)],
                green[usize::from(*g)],
                blue[usize::from(*b)],
            ];
        }
    }
}

#[cfg(test)]
mod tests;
