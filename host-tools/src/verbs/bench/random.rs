//! A checkpoint of random weights, made a tensor at a time: any size of ImageGPT without a download.

use std::path::PathBuf;

use igpt_runtime::ImageGptConfig;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::checkpoint::{CheckpointError, Weights};
use crate::imagegpt::tensors::body_tensors;

/// Standard deviation of Hugging Face's `initializer_range`.
const INITIALIZER_RANGE: f32 = 0.02;

/// Weights as `transformers` initialises them, in scale, with gains and biases that a trained model might
/// have: a fresh checkpoint's ones and zeros would leave their paths idle.
#[derive(Debug)]
pub(super) struct RandomWeights {
    config: ImageGptConfig,
    seed: u64,
}

impl RandomWeights {
    pub(super) fn new(config: ImageGptConfig, seed: u64) -> Self {
        Self { config, seed }
    }

    /// Number of elements of a tensor, if the model has it.
    fn len(&self, name: &str) -> Option<usize> {
        let (colors, width) = (self.config.num_colors(), self.config.n_embd);
        match name {
            "score.weight" => Some(self.config.num_labels() * width),
            "lm_head.weight" => Some(colors * width),
            _ => {
                let mut tensors = body_tensors(&self.config).into_iter();
                let (_, shape) = tensors.find(|(tensor, _)| tensor == name)?;
                Some(shape.iter().product())
            }
        }
    }
}

impl Weights for RandomWeights {
    fn to_f32(&self, name: &str) -> Result<Vec<f32>, CheckpointError> {
        let len = self.len(name).ok_or_else(|| CheckpointError::NoTensor {
            folder: self.place(name).0,
            tensor: name.to_owned(),
        })?;
        let (middle, reach) = if name.contains("ln_") {
            (1.0, 0.5)
        } else {
            // Uniform, with the standard deviation of the normal distribution it stands for.
            let residual = name.ends_with("c_proj.weight");
            let layers = if residual { self.config.n_layer } else { 1 };
            let shrink = if residual { 2.0 * layers as f32 } else { 1.0 };
            (0.0, INITIALIZER_RANGE * (3.0 / shrink).sqrt())
        };
        // A stream for each tensor: its values do not depend on which others were asked for.
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream(u64::from(crc32fast::hash(name.as_bytes())));
        let uniform = |_| middle + reach * (2.0 * rng.random::<f32>() - 1.0);
        Ok((0..len).map(uniform).collect())
    }

    fn place(&self, name: &str) -> (PathBuf, String) {
        (
            PathBuf::from(format!("random weights, seed {}", self.seed)),
            name.to_owned(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_follow_from_the_seed_and_the_name_and_have_the_models_scale() {
        let weights = |seed| RandomWeights::new(ImageGptConfig::small(), seed);
        let tensor = |seed, name| weights(seed).to_f32(name).unwrap();
        let c_fc = tensor(1, "h.0.mlp.c_fc.weight");
        assert_eq!(c_fc, tensor(1, "h.0.mlp.c_fc.weight"));
        assert_ne!(c_fc, tensor(2, "h.0.mlp.c_fc.weight"));
        assert_ne!(c_fc, tensor(1, "h.1.mlp.c_fc.weight"));
        let deviation = |x: &[f32]| (x.iter().map(|x| x * x).sum::<f32>() / x.len() as f32).sqrt();
        assert!((deviation(&c_fc) - 0.02).abs() < 2e-4);
        let c_proj = deviation(&tensor(1, "h.0.attn.c_proj.weight"));
        assert!((c_proj - 0.02 / 48f32.sqrt()).abs() < 1e-4, "{c_proj}");
        assert_eq!(tensor(1, "score.weight").len(), 2 * 512);
        assert!(weights(1).to_f32("h.24.ln_1.weight").is_err());
    }
}
