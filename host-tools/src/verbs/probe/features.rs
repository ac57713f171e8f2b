//! What a layer says of an image: the mean over its tokens of its normalised hidden state.

use igpt_heads::Samples;
use igpt_runtime::{ModelConfig, tools};
use indicatif::ProgressBar;

use crate::failure::{Blame as _, Failure};
use crate::labelled::LabelledSet;
use crate::loaded::LoadedModel;
use crate::skips::Reader;

/// The features of some images at every layer.
#[derive(Debug)]
pub(super) struct Features {
    /// Per hidden state, `[images, width]`.
    pub(super) layers: Vec<Vec<f32>>,
    /// The images, those that can be read: places in their set.
    pub(super) images: Vec<usize>,
    /// The class of each image.
    pub(super) labels: Vec<usize>,
    /// Channels of each hidden state.
    pub(super) widths: Vec<usize>,
}

impl Features {
    /// Runs every image of `chosen` that can be read once.
    ///
    /// # Errors
    /// A model that cannot be used, an image as `reader` says (bad input).
    pub(super) fn of(
        model: &LoadedModel,
        set: &LabelledSet,
        chosen: &[usize],
        reader: &mut Reader,
        bar: &ProgressBar,
    ) -> Result<Self, Failure> {
        let widths = model.widths();
        let mut layers = vec![Vec::new(); widths.len()];
        let mut images = Vec::with_capacity(chosen.len());
        for index in chosen {
            bar.inc(1);
            let input = set.read_image(*index, |image| model.input(image));
            let Some(input) = reader.take(set.name(*index), input)? else {
                continue;
            };
            images.push(*index);
            let output = model.forward(&input).bad_input()?;
            let states = output.hidden_states.iter().zip(&widths).enumerate();
            for (pooled, (layer, (hidden, width))) in layers.iter_mut().zip(states) {
                // Those of a SegFormer are normalised already, and the last of an ImageGPT, after ln_f.
                let epsilon = match model.config() {
                    ModelConfig::ImageGpt(config) if layer < config.n_layer => {
                        Some(f64::from(config.epsilon()))
                    }
                    _ => None,
                };
                pooled.extend(tools::pooled(hidden, *width, epsilon));
            }
        }
        Ok(Self {
            layers,
            labels: images.iter().map(|index| set.label(*index)).collect(),
            images,
            widths,
        })
    }

    /// Those of one layer.
    pub(super) fn samples(&self, layer: usize) -> Samples<'_> {
        Samples {
            features: self.layers.get(layer).map_or(&[], Vec::as_slice),
            width: self.widths.get(layer).copied().unwrap_or_default(),
            labels: &self.labels,
        }
    }
}
