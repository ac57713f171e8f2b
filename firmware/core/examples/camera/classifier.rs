//! A model of one layer: norm, int8 product and softmax over the brightness of 64 cells, by the kernels that run ImageGPT.
//!
//! On a PC they are the best that its processor has, on a board without an operating system the scalar ones: the bits
//! are the same.

use alloc::vec::Vec;

use igpt_kernels::{
    Kernels, Linear, LinearScratch, NonFinite, PackedInt8, PackedRows, Prepare, RowsF32,
};

use crate::scene::{Frame, HEIGHT, Pattern, WIDTH};

/// Classes.
pub(crate) const CLASSES: usize = Pattern::ALL.len();
/// Cells each way.
const CELLS: usize = 8;
const INPUTS: usize = CELLS * CELLS;
/// A weight's magnitude.
const WEIGHT: i8 = 100;
/// The logit of a frame that is its class's pattern to the pixel.
const SHARPNESS: f32 = 6.0;

/// Weights and working memory.
pub(crate) struct Classifier {
    kernels: Kernels,
    weights: PackedInt8,
    scales: [f32; CLASSES],
    gain: [f32; INPUTS],
    rows: PackedRows,
    scratch: LinearScratch,
}

impl Classifier {
    /// Its weights are the patterns themselves.
    pub(crate) fn new() -> Self {
        let kernels = Kernels::best();
        let weights: Vec<i8> = (0..INPUTS)
            .flat_map(|cell| Pattern::ALL.map(|pattern| (pattern, cell)))
            .map(|(pattern, cell)| {
                let (x, y) = (
                    cell % CELLS * (WIDTH / CELLS),
                    cell / CELLS * (HEIGHT / CELLS),
                );
                if pattern.is_bright(x, y) {
                    WEIGHT
                } else {
                    -WEIGHT
                }
            })
            .collect();
        Self {
            weights: kernels.pack(&weights, INPUTS, CLASSES),
            kernels,
            scales: [SHARPNESS / (INPUTS as f32 * f32::from(WEIGHT)); CLASSES],
            gain: [1.0; INPUTS],
            rows: PackedRows::default(),
            scratch: LinearScratch::default(),
        }
    }

    /// The probability of each class.
    pub(crate) fn classify(&mut self, frame: &Frame) -> Result<[f32; CLASSES], NonFinite> {
        let inputs = brightness(frame);
        let norm = Prepare::Norm {
            gain: &self.gain,
            eps: 1e-5,
        };
        let row = RowsF32::dense(&inputs, 1, INPUTS);
        self.kernels.prepare(row, norm, &mut self.rows)?;
        let mut logits = [0.0; CLASSES];
        self.kernels.linear(Linear {
            a: &self.rows,
            w: &self.weights,
            w_scale: &self.scales,
            bias: &[0.0; CLASSES],
            out: &mut logits,
            ldo: CLASSES,
            add: false,
            panels: 0..self.weights.panels(),
            scratch: &mut self.scratch,
        });
        Ok(softmax(logits))
    }
}

/// The brightness of each cell, less that of the frame.
fn brightness(frame: &Frame) -> [f32; INPUTS] {
    let mut sums = [0_i32; INPUTS];
    for (at, pixel) in frame.rgb.chunks_exact(3).enumerate() {
        let (x, y) = (at % WIDTH, at / WIDTH);
        let cell = y / (HEIGHT / CELLS) * CELLS + x / (WIDTH / CELLS);
        sums[cell] += pixel.iter().map(|channel| i32::from(*channel)).sum::<i32>();
    }
    let mean = sums.iter().sum::<i32>() / INPUTS as i32;
    sums.map(|sum| (sum - mean) as f32)
}

/// libm's exponential is the same arithmetic on every machine; a C library's is not.
fn softmax(logits: [f32; CLASSES]) -> [f32; CLASSES] {
    let largest = logits.into_iter().fold(f32::NEG_INFINITY, f32::max);
    let powers = logits.map(|logit| libm::expf(logit - largest));
    let sum: f32 = powers.iter().sum();
    powers.map(|power| power / sum)
}
