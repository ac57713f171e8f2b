//! Calibration: the form and the rounding of a model's int8 weights, chosen on real images.
//!
//! The images pass through the model block by block, three times side by side: in f32, with the weights that
//! a conversion without calibration stores, and with those chosen here, both with activations rounded as a
//! board rounds them. For each block, first every exact pair ([`crate::imagegpt::block::Pair`]) is
//! rescaled by SmoothQuant's factors (Xiao et al. 2023, arXiv:2211.10438) for the exponent that gives the
//! least error of the block's output; then every matrix is rounded so that its product with the activations
//! that it will meet is closest to the f32 model's ([`rounding`]).

mod forward;
mod images;
mod quadratic;
mod rounding;
mod smooth;

use std::path::PathBuf;

use igpt_runtime::ImageGptConfig;
use serde::Serialize;

pub use forward::{Forward, NotFinite};
pub use images::{ImageSet, read as read_images};

use crate::imagegpt::block::BlockWeights;
use crate::quantization::linear_weights::LinearWeights;
use crate::quantization::outliers::PairName;
use crate::quantization::{Grid, QuantizedMatrix};

/// The four linear layers of a block, in the order of the forward pass.
pub const LINEARS: [&str; 4] = ["attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj"];

/// A block on its grid.
#[derive(Clone, Debug)]
pub struct RoundedBlock {
    /// Gains and corrected biases; the matrices are those that were rounded.
    pub block: BlockWeights,
    /// The rounded matrices, as [`LINEARS`].
    pub matrices: [QuantizedMatrix; 4],
}

/// What calibration did to a block.
#[derive(Clone, Debug, Serialize)]
pub struct CalibrationReport {
    /// The exponent chosen for each pair that was rescaled.
    pub smoothed: Vec<Smoothed>,
    /// Error of the residual stream after this block, all blocks before it included, relative to the f32
    /// model's: what a conversion without calibration gives.
    pub error_before: f64,
    /// The same with the weights chosen here.
    pub error_after: f64,
}

/// A pair that was rescaled.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Smoothed {
    /// Which.
    pub pair: PairName,
    /// SmoothQuant's alpha.
    pub alpha: f32,
}

/// The residual streams of the calibration images, in front of the next block: all that is held of them.
#[derive(Debug)]
pub struct Calibrator {
    forward: Forward,
    exact: Vec<f32>,
    plain: Vec<f32>,
    rounded: Vec<f32>,
}

impl Calibrator {
    /// Embeds `set` with `wte` and `wpe`, both row-major with n_embd columns.
    pub fn new(
        config: &ImageGptConfig,
        grid: Grid,
        set: &ImageSet,
        wte: &[f32],
        wpe: &[f32],
    ) -> Self {
        let forward = Forward::new(config, grid, set.length);
        let exact = forward.embed(&set.tokens, wte, wpe);
        Self {
            forward,
            plain: exact.clone(),
            rounded: exact.clone(),
            exact,
        }
    }

    /// Rounds block `layer`, which is next, and takes the streams past it.
    ///
    /// # Errors
    /// An activation that is not finite.
    pub fn block(
        &mut self,
        layer: usize,
        mut block: BlockWeights,
    ) -> Result<(RoundedBlock, CalibrationReport), NotFinite> {
        let forward = &self.forward;
        let plain = round_plainly(block.clone(), forward.grid());
        for x in self.plain.chunks_mut(forward.chunk()) {
            x.copy_from_slice(&forward.int8(layer, &plain, x)?);
        }
        drop(plain);
        let smoothed = smooth::smooth(forward, layer, &mut block, &self.rounded)?;
        let (exact, x) = (&mut self.exact, &mut self.rounded);
        let rounded = rounding::round(forward, layer, block, exact, x)?;
        let report = CalibrationReport {
            smoothed,
            error_before: distance(&self.exact, &self.plain),
            error_after: distance(&self.exact, &self.rounded),
        };
        Ok((rounded, report))
    }
}

/// Rounds every matrix by itself, as a conversion without calibration does.
pub(crate) fn round_plainly(block: BlockWeights, grid: Grid) -> RoundedBlock {
    let matrix = |linear: &LinearWeights| grid.quantize(&linear.weight, linear.outputs());
    RoundedBlock {
        matrices: [
            matrix(&block.c_attn),
            matrix(&block.attn_c_proj),
            matrix(&block.c_fc),
            matrix(&block.mlp_c_proj),
        ],
        block,
    }
}

/// |a - b| / |a|.
pub(crate) fn distance(a: &[f32], b: &[f32]) -> f64 {
    let (mut difference, mut size) = (0f64, 0f64);
    for (a, b) in a.iter().zip(b) {
        difference += f64::from(a - b) * f64::from(a - b);
        size += f64::from(*a) * f64::from(*a);
    }
    if size > 0.0 {
        (difference / size).sqrt()
    } else {
        0.0
    }
}

/// Where calibration images come from, and how many are taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// A folder of images, an IDX file, a folder of IDX files, or tokens in an `.npy`.
    pub path: PathBuf,
    /// At most so many, evenly spaced over all there are.
    pub count: usize,
}
