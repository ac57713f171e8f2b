//! What a layer says of an image: the mean over its tokens of its normalised hidden state.

use igpt_runtime::ModelConfig;
use indicatif::ProgressBar;

use crate::failure::{Blame as _, Failure};
use crate::labelled::LabelledSet;
use crate::loaded::LoadedModel;
use crate::logistic::Samples;
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
                pooled.extend(pool(hidden, *width, epsilon));
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

/// The mean of the rows of `hidden`, `[tokens, width]`, each divided by its root mean square first if
/// `epsilon` is given: what
/// `ln_f` with a gain of one would make of them.
fn pool(hidden: &[f32], width: usize, epsilon: Option<f64>) -> Vec<f32> {
    let mut sums = vec![0f64; width];
    for row in hidden.chunks_exact(width) {
        let factor = epsilon.map_or(1.0, |epsilon| {
            let squares: f64 = row.iter().map(|x| f64::from(*x).powi(2)).sum();
            (squares / width as f64 + epsilon).sqrt().recip()
        });
        sums.iter_mut()
            .zip(row)
            .for_each(|(sum, x)| *sum += f64::from(*x) * factor);
    }
    let tokens = (hidden.len() / width.max(1)).max(1) as f64;
    sums.into_iter().map(|sum| (sum / tokens) as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_normalised_before_their_mean() {
        assert_eq!(pool(&[3.0, 4.0, 0.0, 2.0], 2, None), [1.5, 3.0]);
        let root = 2f32.sqrt();
        let expected = [0.6 * root / 2.0, (0.8 * root + root) / 2.0];
        for (found, expected) in pool(&[3.0, 4.0, 0.0, 2.0], 2, Some(0.0))
            .iter()
            .zip(expected)
        {
            assert!(
                (found - expected).abs() < 1e-6,
                "{found}, expected {expected}"
            );
        }
        assert_eq!(pool(&[0.0, 0.0], 2, Some(1e-5)), [0.0, 0.0]);
    }
}
