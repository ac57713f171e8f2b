//! A classification head over the mean of all rows, summed in tiles so that whole tiles may be kept.

use igpt_kernels::{KV_TILE, Kernels};
use tract_onnx::prelude::TractResult;

use super::constants::Constants;
use super::engine::Engine;
use super::team::each;

/// Rows of a weight that are no work for two threads.
const ROWS: usize = 128;

/// Weight `[labels, width]` and bias of a head.
#[derive(Debug)]
pub(crate) struct PooledHead {
    weight: Vec<f32>,
    /// One a label, if the file has it.
    bias: Option<Vec<f32>>,
    width: usize,
}

impl PooledHead {
    /// Its weight, and the bias if a constant is left.
    pub(crate) fn new(constants: &mut Constants<'_>) -> TractResult<Self> {
        let (weight, width) = constants.head()?;
        let bias = (constants.len() > 0)
            .then(|| constants.f32s())
            .transpose()?;
        Ok(Self {
            weight,
            bias,
            width,
        })
    }

    /// Adds the rows that follow the first `past` to the sums of their tiles.
    pub(crate) fn pool(
        &self,
        kernels: Kernels,
        x: &[f32],
        past: &mut usize,
        sums: &mut Vec<Vec<f32>>,
    ) {
        let end = *past + x.len() / self.width;
        let mut rest = x;
        while *past < end {
            let tile = *past / KV_TILE;
            if sums.len() == tile {
                sums.push(vec![0.0; self.width]);
            }
            let rows = end.min((tile + 1) * KV_TILE) - *past;
            let (here, after) = rest.split_at(rows * self.width);
            kernels.add_rows(here, &mut sums[tile]);
            (*past, rest) = (*past + rows, after);
        }
    }

    /// The logits of the mean of so many rows with these sums.
    pub(crate) fn logits(&self, engine: &Engine, rows: usize, sums: &[Vec<f32>], out: &mut [f32]) {
        let kernels = engine.kernels;
        let mut mean = vec![0.0; self.width];
        for sums in sums {
            kernels.add_rows(sums, &mut mean);
        }
        let rows = rows as f32;
        for x in &mut mean {
            *x /= rows;
        }
        // Rows of the weight for each thread, if they are many: that is as fast as they can be read.
        let share = out.len().div_ceil(engine.threads()).max(ROWS);
        let weight = self.weight.chunks(share * self.width);
        each(out.chunks_mut(share).zip(weight), |_, (out, weight)| {
            for (out, w) in out.iter_mut().zip(weight.chunks_exact(self.width)) {
                *out = kernels.dot_f32(&mean, w);
            }
        });
        for (out, bias) in out.iter_mut().zip(self.bias.iter().flatten()) {
            *out += bias;
        }
    }
}
