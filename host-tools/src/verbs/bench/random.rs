//! A checkpoint of random weights, made a tensor at a time: any size without a download.

use std::collections::BTreeMap;
use std::path::PathBuf;

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::checkpoint::expected::Tensors;
use crate::checkpoint::{CheckpointError, Weights};

/// Standard deviation of Hugging Face's `initializer_range`.
const INITIALIZER_RANGE: f32 = 0.02;

/// Weights as `transformers` initialises them, in scale, with gains and biases that a trained model might
/// have: a fresh checkpoint's ones and zeros would leave their paths idle.
#[derive(Debug)]
pub(super) struct RandomWeights {
    shapes: BTreeMap<String, Vec<usize>>,
    /// Blocks, whose outputs the residual stream sums up.
    blocks: usize,
    seed: u64,
}

impl RandomWeights {
    /// Of a model of this configuration, which has so many blocks.
    pub(super) fn new(config: &impl Tensors, blocks: usize, seed: u64) -> Self {
        let heads = config.heads().into_iter();
        let heads = heads.map(|(_, name, shape)| (name.to_owned(), shape));
        Self {
            shapes: config.body().into_iter().chain(heads).collect(),
            blocks,
            seed,
        }
    }
}

/// Whether a tensor is what norms multiply by.
fn is_gain(name: &str) -> bool {
    name.contains("ln_") || (name.contains("norm") && name.ends_with(".weight"))
}

/// Whether it writes the residual stream.
fn writes_stream(name: &str) -> bool {
    ["c_proj.weight", "o_proj.weight", "fc2.weight"]
        .iter()
        .any(|end| name.ends_with(end))
}

impl Weights for RandomWeights {
    fn to_f32(&self, name: &str) -> Result<Vec<f32>, CheckpointError> {
        let shape = self.shapes.get(name);
        let shape = shape.ok_or_else(|| CheckpointError::NoTensor {
            folder: self.place(name).0,
            tensor: name.to_owned(),
        })?;
        let len: usize = shape.iter().product();
        let (middle, reach) = if is_gain(name) {
            (1.0, 0.5)
        } else {
            // Uniform, with the standard deviation of the normal distribution it stands for.
            let residual = writes_stream(name);
            let layers = if residual { self.blocks } else { 1 };
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
    use igpt_runtime::ImageGptConfig;

    use super::*;

    #[test]
    fn weights_follow_from_the_seed_and_the_name_and_have_the_models_scale() {
        let config = ImageGptConfig::small();
        let weights = |seed| RandomWeights::new(&config, config.n_layer, seed);
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
