//! Calibration of an ImageGPT: the images' residual streams pass through it block by block, in f32, with the weights that a
//! conversion without calibration stores, and with those chosen on the way.

mod forward;
mod images;
mod rounding;
mod smooth;

use igpt_kernels::NonFinite;
use igpt_runtime::ImageGptConfig;

use self::forward::Forward;
pub use self::images::ImageSet;
pub(super) use self::images::read as read_images;
use super::block::BlockWeights;
use crate::calibration::{CalibrationReport, distance};
use crate::quantization::linear_weights::LinearWeights;
use crate::quantization::{Grid, QuantizedMatrix};

/// The four linear layers of a block, in the order of the forward pass.
pub(super) const LINEARS: [&str; 4] = ["attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj"];

/// A block on its grid.
#[derive(Clone, Debug)]
pub(super) struct RoundedBlock {
    /// Gains and corrected biases; the matrices are those that were rounded.
    pub(super) block: BlockWeights,
    /// The rounded matrices, as [`LINEARS`].
    pub(super) matrices: [QuantizedMatrix; 4],
}

/// The residual streams of the calibration images, in front of the next block: all that is held of them.
#[derive(Debug)]
pub(super) struct Calibrator {
    forward: Forward,
    exact: Vec<f32>,
    plain: Vec<f32>,
    rounded: Vec<f32>,
}

impl Calibrator {
    /// Embeds `set` with `wte` and `wpe`, both row-major with n_embd columns.
    pub(super) fn new(
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
    pub(super) fn block(
        &mut self,
        layer: usize,
        mut block: BlockWeights,
    ) -> Result<(RoundedBlock, CalibrationReport), NonFinite> {
        let forward = &self.forward;
        let plain = round_plainly(block.clone(), forward.products().grid());
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
fn round_plainly(block: BlockWeights, grid: Grid) -> RoundedBlock {
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
