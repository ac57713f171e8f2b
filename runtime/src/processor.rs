//! `ImageGptImageProcessor`: an RGB8 image becomes tokens, and tokens become an image.
//!
//! Token-exact with both of Hugging Face's processors in transformers 5: `ImageGPTImageProcessorPil`
//! (Pillow's antialiased resize, colours compared in f64) and torchvision's `ImageGPTImageProcessor` (torch's
//! resize, centre crop, f32). [`Backend`] says which; docs/processor.md how they differ.

pub(crate) mod backend;
mod config;
mod crop;
mod error;
pub(crate) mod fields;
mod filter;
mod palette;
mod resample;
pub(crate) mod scaling;
mod scratch;
mod window;

pub use backend::{Backend, BackendChoice, BackendError};
pub use config::{MAX_COLORS, ProcessorConfig};
pub use error::ProcessorError;
pub use filter::Resample;
pub use scratch::ProcessorScratch;

use std::path::Path;

use crate::config::ImageGptConfig;
use crate::config::fields::Fields;
use crate::image::{DecodedImage, check};

use crop::center_crop;
use palette::{Channels, Palette};

/// Hugging Face's older name of [`ImageGptImageProcessor`].
pub type ImageGptFeatureExtractor = ImageGptImageProcessor;

/// Turns images into the tokens a checkpoint was trained on.
#[derive(Debug)]
pub struct ImageGptImageProcessor {
    config: ProcessorConfig,
    /// `None` if and only if `do_color_quantize` is off.
    palette: Option<Box<Palette>>,
}

impl ImageGptImageProcessor {
    /// A processor with these options.
    ///
    /// # Errors
    /// The first option out of range, by name.
    pub fn new(mut config: ProcessorConfig) -> Result<Self, ProcessorError> {
        config.validate()?;
        if config.backend == Backend::Torchvision {
            // Its palette is a tensor of f32, and that is what it saves.
            for x in config.clusters.iter_mut().flatten() {
                *x = f64::from(*x as f32);
            }
        }
        let palette = config.do_color_quantize.then(|| {
            let value = config.scaling().channel_values();
            let square = if config.do_rescale || config.do_normalize {
                value.map(|channel| channel.map(|v| v * v))
            } else {
                // Hugging Face then squares 8-bit integers, which wrap.
                [std::array::from_fn(|i| f32::from((i as u8).wrapping_mul(i as u8))); 3]
            };
            let channels = Channels { value, square };
            Box::new(Palette::new(config.backend, &config.clusters, channels))
        });
        Ok(Self { config, palette })
    }

    /// Reads a `preprocessor_config.json`: the hub's form or that of transformers 5.
    ///
    /// # Errors
    /// The first field of the wrong type, out of range or unsupported, by name.
    pub fn from_json(text: &str) -> Result<Self, ProcessorError> {
        Self::from_json_as(text, None)
    }

    /// As [`ImageGptImageProcessor::from_json`], with another backend than the one that the config names.
    ///
    /// # Errors
    /// The same.
    pub fn from_json_as(text: &str, backend: Option<Backend>) -> Result<Self, ProcessorError> {
        let value: serde_json::Value = serde_json::from_str(text)?;
        Self::new(ProcessorConfig::from_value(&value, backend)?)
    }

    /// Which backend a `preprocessor_config.json` names, and why we think so.
    ///
    /// # Errors
    /// Text that is no JSON object, clusters that are none, the class of another processor.
    pub fn backend_of_json(text: &str) -> Result<BackendChoice, ProcessorError> {
        let value: serde_json::Value = serde_json::from_str(text)?;
        Ok(ProcessorConfig::backend_of(&Fields::of(
            "preprocessor_config.json",
            &value,
        )?)?)
    }

    /// Reads the `preprocessor_config.json` at `path`.
    ///
    /// # Errors
    /// As [`ImageGptImageProcessor::from_json`], with the path.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, ProcessorError> {
        Self::from_file_as(path, None)
    }

    /// As [`ImageGptImageProcessor::from_file`], with another backend than the one that the file names.
    ///
    /// # Errors
    /// The same.
    pub fn from_file_as(
        path: impl AsRef<Path>,
        backend: Option<Backend>,
    ) -> Result<Self, ProcessorError> {
        read(path.as_ref(), |text| Self::from_json_as(text, backend))
    }

    /// The options as transformers 5 writes them, except that PIL's class is named as it is loaded.
    #[must_use]
    pub fn to_json(&self) -> String {
        format!("{:#}", self.config.to_value())
    }

    /// The options.
    #[must_use]
    pub fn config(&self) -> &ProcessorConfig {
        &self.config
    }

    /// The prepared palette.
    pub(crate) fn palette(&self) -> Result<&Palette, ProcessorError> {
        self.palette.as_deref().ok_or(ProcessorError::NotQuantizing)
    }

    /// The palette in normalised colour, usually within [-1, 1]; token `t` is `clusters()[t]`.
    #[must_use]
    pub fn clusters(&self) -> &[[f64; 3]] {
        &self.config.clusters
    }

    /// Checks that the processor fits a model: every colour must be a token, and every pixel must have a position.
    ///
    /// # Errors
    /// What does not fit, for a message that begins with whose it is.
    pub(crate) fn check_config(&self, config: &ImageGptConfig) -> Result<(), String> {
        if !self.config.do_color_quantize {
            return Err(
                "has do_color_quantize = false, expected true: pixels are no tokens".into(),
            );
        }
        let (colors, expected) = (self.clusters().len(), config.num_colors());
        if colors != expected {
            return Err(format!(
                "has {colors} clusters, expected vocab_size - 1 = {expected}"
            ));
        }
        let (height, width) = self.size();
        if height * width > config.n_positions {
            return Err(format!(
                "makes {height} x {width} tokens, the model has {} positions",
                config.n_positions
            ));
        }
        Ok(())
    }

    /// (height, width) of the image that becomes tokens, in pixels: the crop's if there is one, else the
    /// resized one's.
    #[must_use]
    pub fn size(&self) -> (usize, usize) {
        let c = &self.config;
        c.output_size().unwrap_or((c.height, c.width))
    }

    /// Tokens of an RGB8 image of `width` x `height` pixels, in raster order.
    ///
    /// # Errors
    /// An empty or oversized image, or a buffer of another length than it says.
    pub fn tokens_from_rgb8(
        &self,
        rgb: &[u8],
        width: usize,
        height: usize,
    ) -> Result<Vec<u16>, ProcessorError> {
        let mut tokens = Vec::new();
        self.tokens_into(
            rgb,
            width,
            height,
            &mut ProcessorScratch::default(),
            &mut tokens,
        )?;
        Ok(tokens)
    }

    /// Tokens of a decoded image, in raster order.
    ///
    /// # Errors
    /// As [`ImageGptImageProcessor::tokens_from_rgb8`].
    pub fn tokens_from_image(&self, image: &DecodedImage) -> Result<Vec<u16>, ProcessorError> {
        self.tokens_from_rgb8(image.rgb(), image.width(), image.height())
    }

    /// As [`ImageGptImageProcessor::tokens_from_rgb8`], into a vector whose capacity is reused.
    ///
    /// # Errors
    /// The same; `tokens` is empty then.
    pub fn tokens_into(
        &self,
        rgb: &[u8],
        width: usize,
        height: usize,
        scratch: &mut ProcessorScratch,
        tokens: &mut Vec<u16>,
    ) -> Result<(), ProcessorError> {
        tokens.clear();
        let palette = self.palette()?;
        let resized = self.resized_into(rgb, width, height, scratch)?;
        tokens.extend(
            resized
                .as_chunks::<3>()
                .0
                .iter()
                .map(|&pixel| palette.nearest(pixel)),
        );
        Ok(())
    }

    /// What the model is shown before its palette: the resized and cropped image, or the image itself
    /// when there is neither.
    ///
    /// # Errors
    /// As [`ImageGptImageProcessor::tokens_from_rgb8`].
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
        let (to_height, to_width) = self.config.output_size().unwrap_or((height, width));
        Ok(DecodedImage::new(to_width, to_height, pixels)?)
    }

    /// As [`ImageGptImageProcessor::resized`], borrowing the RGB8 pixels from `scratch`.
    ///
    /// # Errors
    /// As [`ImageGptImageProcessor::tokens_from_rgb8`].
    pub fn resized_into<'a>(
        &self,
        rgb: &'a [u8],
        width: usize,
        height: usize,
        scratch: &'a mut ProcessorScratch,
    ) -> Result<&'a [u8], ProcessorError> {
        check(rgb, width, height)?;
        let c = &self.config;
        let from = (width, height);
        let to = if c.do_resize {
            (c.width, c.height)
        } else {
            from
        };
        scratch.resize(c.backend, c.resample, rgb, from, to);
        let ProcessorScratch {
            resized, cropped, ..
        } = scratch;
        let resized: &'a [u8] = if from == to { rgb } else { resized };
        match c.crop().map(|(height, width)| (width, height)) {
            Some(size) if size != to => {
                center_crop(resized, to, size, cropped);
                Ok(cropped)
            }
            _ => Ok(resized),
        }
    }

    /// The image that `tokens` stand for, one pixel a token, at the processor's size.
    ///
    /// # Errors
    /// Another number of tokens than the image has pixels, or a token that is no colour. Sequences
    /// from generation carry a start token: drop it first.
    pub fn decode_tokens(&self, tokens: &[u16]) -> Result<DecodedImage, ProcessorError> {
        let (height, width) = self.size();
        if tokens.len() != height * width {
            return Err(ProcessorError::TokenCount {
                found: tokens.len(),
                width,
                height,
            });
        }
        let mut rgb = Vec::with_capacity(3 * tokens.len());
        for (position, &token) in tokens.iter().enumerate() {
            let colors = self.config.clusters.len();
            let color = self.color_rgb8(token).ok_or(ProcessorError::TokenRange {
                token,
                position,
                colors,
            })?;
            rgb.extend(color);
        }
        Ok(DecodedImage::new(width, height, rgb)?)
    }

    /// The RGB8 colour of a token; `None` for the start token and beyond.
    ///
    /// `rint(127.5 * (c + 1))` for ImageGPT's own normalisation, as in Hugging Face's example;
    /// the inverse of whatever normalisation is configured in general.
    #[must_use]
    pub fn color_rgb8(&self, token: u16) -> Option<[u8; 3]> {
        let c = &self.config;
        let color = c.clusters.get(usize::from(token))?;
        let factor = if c.do_rescale { c.rescale_factor } else { 1.0 };
        Some(std::array::from_fn(|i| {
            let (mean, std) = if c.do_normalize {
                (c.image_mean[i], c.image_std[i])
            } else {
                (0.0, 1.0)
            };
            // Grouped so that the usual constants, 1 and 127.5, come out exact. `as` saturates.
            (std / factor * (color[i] + mean / std)).round_ties_even() as u8
        }))
    }
}

/// Reads the file at `path` and has `parse` make a processor of its text.
pub(crate) fn read<T>(
    path: &Path,
    parse: impl FnOnce(&str) -> Result<T, ProcessorError>,
) -> Result<T, ProcessorError> {
    let at = |source: ProcessorError| ProcessorError::File {
        path: path.to_path_buf(),
        source: Box::new(source),
    };
    let text = std::fs::read_to_string(path).map_err(|e| at(e.into()))?;
    if crate::lfs::is_pointer(text.as_bytes()) {
        return Err(at(ProcessorError::LfsPointer));
    }
    parse(&text).map_err(at)
}

#[cfg(test)]
mod tests;
