//! One transformer block over many sequences, in f32 and as a board's int8 kernels round it.
//!
//! The int8 form is computed in f32 on rounded operands: the integers of a dot product are the same, only its
//! sum rounds differently. The softmax's weights, which the kernels round to a 255th of the largest in a
//! tile, are left exact.

use igpt_kernels::{AttentionF32, Heads, Kernels, LinearF32, PackedF32, TINY};
use igpt_runtime::{Activation, ImageGptConfig};
use rayon::prelude::*;
use thiserror::Error;

use super::RoundedBlock;
use crate::imagegpt::block::BlockWeights;
use crate::quantization::{Grid, QuantizedMatrix};

/// An activation beyond f32's range.
#[derive(Clone, Copy, Debug, Error)]
#[error("layer {layer}: a calibration image's attention scores are not finite")]
pub struct NotFinite {
    /// The block.
    pub layer: usize,
}

/// What every block's forward pass shares.
#[derive(Debug)]
pub struct Forward {
    kernels: Kernels,
    grid: Grid,
    heads: Heads,
    eps: f32,
    scales: Vec<f32>,
    activation: Activation,
    /// Width of the MLP's inner layer.
    inner: usize,
    /// Tokens of a sequence.
    length: usize,
}

/// What the linear layers of a block read and write, in f32.
#[derive(Debug)]
pub struct Trace {
    /// Queries, keys, values `[rows, 3C]`.
    pub qkv: Vec<f32>,
    /// The residual stream after the attention `[rows, C]`.
    pub middle: Vec<f32>,
    /// Before the activation `[rows, I]`.
    pub inner: Vec<f32>,
    /// The residual stream after the block `[rows, C]`.
    pub output: Vec<f32>,
    /// What `attn.c_proj` reads `[rows, C]`.
    pub heads: Vec<f32>,
}

/// Rows of a task.
const ROWS: usize = 48;

/// Tokens of a chunk, if a sequence has no more: 1024 of ImageGPT-large are 6 MB a layer's width.
const CHUNK: usize = 1024;

impl Forward {
    /// For sequences of `length` tokens and weights on `grid`.
    pub fn new(config: &ImageGptConfig, grid: Grid, length: usize) -> Self {
        Self {
            kernels: Kernels::best(),
            grid,
            heads: Heads {
                count: config.n_head,
                dim: config.head_dim(),
            },
            eps: config.epsilon(),
            scales: (0..config.n_layer)
                .map(|layer| config.attn_scale(layer))
                .collect(),
            activation: config.activation_function,
            inner: config.inner_dim().max(1),
            length: length.max(1),
        }
    }

    /// Width of the residual stream.
    pub fn width(&self) -> usize {
        self.heads.count * self.heads.dim
    }

    /// What weights are rounded to.
    pub fn grid(&self) -> Grid {
        self.grid
    }

    /// Tokens of a sequence.
    pub fn length(&self) -> usize {
        self.length
    }

    /// Width of the MLP's inner layer.
    pub fn inner(&self) -> usize {
        self.inner
    }

    /// The activation, by Hugging Face's name.
    pub fn activation(&self) -> Activation {
        self.activation
    }

    /// Token embeddings plus position embeddings; ids beyond the table, which the caller has refused, give
    /// zeros.
    pub fn embed(&self, tokens: &[u16], wte: &[f32], wpe: &[f32]) -> Vec<f32> {
        let width = self.width();
        let mut x = vec![0.0; tokens.len() * width];
        let positions = wpe.chunks_exact(width).take(self.length).cycle();
        for ((x, id), wpe) in x.chunks_exact_mut(width).zip(tokens).zip(positions) {
            let wte = wte
                .chunks_exact(width)
                .nth(usize::from(*id))
                .unwrap_or_default();
            for ((x, e), p) in x.iter_mut().zip(wte).zip(wpe) {
                *x = e + p;
            }
        }
        x
    }

    /// Values of a stream that pass through a block together: what lies between its layers is never held for
    /// more.
    pub fn chunk(&self) -> usize {
        (CHUNK / self.length).max(1) * self.length * self.width()
    }

    /// A block in f32.
    pub fn trace(&self, layer: usize, block: &BlockWeights, x: &[f32]) -> Result<Trace, NotFinite> {
        let qkv = self.queries_keys_values(block, x);
        let heads = self.attend(layer, &qkv)?;
        let mut middle = self.linear(&heads, &block.attn_c_proj.weight, &block.attn_c_proj.bias);
        add(&mut middle, x);
        let inner = self.inner_rows(block, &middle);
        let mut active = inner.clone();
        self.activate(&mut active);
        let mut output = self.linear(&active, &block.mlp_c_proj.weight, &block.mlp_c_proj.bias);
        add(&mut output, &middle);
        Ok(Trace {
            qkv,
            middle,
            inner,
            output,
            heads,
        })
    }

    /// `[rows, 3C]` of the stream, in f32.
    pub(super) fn queries_keys_values(&self, block: &BlockWeights, x: &[f32]) -> Vec<f32> {
        let normed = self.norm(x, &block.ln_1);
        self.linear(&normed, &block.c_attn.weight, &block.c_attn.bias)
    }

    /// The stream after the attention, in f32.
    pub(super) fn middle(
        &self,
        layer: usize,
        block: &BlockWeights,
        x: &[f32],
    ) -> Result<Vec<f32>, NotFinite> {
        let heads = self.attend(layer, &self.queries_keys_values(block, x))?;
        let mut middle = self.linear(&heads, &block.attn_c_proj.weight, &block.attn_c_proj.bias);
        add(&mut middle, x);
        Ok(middle)
    }

    /// `[rows, I]` of the stream after the attention, before the activation, in f32.
    pub(super) fn inner_rows(&self, block: &BlockWeights, middle: &[f32]) -> Vec<f32> {
        let normed = self.norm(middle, &block.ln_2);
        self.linear(&normed, &block.c_fc.weight, &block.c_fc.bias)
    }

    /// The stream after the block, from that after the attention, in f32.
    pub(super) fn output(&self, block: &BlockWeights, middle: &[f32]) -> Vec<f32> {
        let mut active = self.inner_rows(block, middle);
        self.activate(&mut active);
        let mut output = self.linear(&active, &block.mlp_c_proj.weight, &block.mlp_c_proj.bias);
        add(&mut output, middle);
        output
    }

    /// A block as a board computes it.
    pub fn int8(
        &self,
        layer: usize,
        rounded: &RoundedBlock,
        x: &[f32],
    ) -> Result<Vec<f32>, NotFinite> {
        let RoundedBlock { block, matrices } = rounded;
        let [c_attn, c_proj, c_fc, mlp_c_proj] = matrices;
        let rows = self.normed_rows(x, &block.ln_1);
        let qkv = self.linear(&rows, &dequantize(c_attn), &block.c_attn.bias);
        let rows = self.attended_rows(layer, qkv)?;
        let mut middle = self.linear(&rows, &dequantize(c_proj), &block.attn_c_proj.bias);
        add(&mut middle, x);
        let rows = self.normed_rows(&middle, &block.ln_2);
        let inner = self.linear(&rows, &dequantize(c_fc), &block.c_fc.bias);
        let rows = self.active_rows(inner);
        let mut output = self.linear(&rows, &dequantize(mlp_c_proj), &block.mlp_c_proj.bias);
        add(&mut output, &middle);
        Ok(output)
    }

    /// Normed rows, rounded: what `c_attn` and `c_fc` read.
    pub fn normed_rows(&self, x: &[f32], gain: &[f32]) -> Vec<f32> {
        let mut rows = self.norm(x, gain);
        round_rows(&mut rows, self.width());
        rows
    }

    /// Attention over rounded q, k and v, its rows rounded: what `attn.c_proj` reads.
    pub fn attended_rows(&self, layer: usize, mut qkv: Vec<f32>) -> Result<Vec<f32>, NotFinite> {
        round_rows(&mut qkv, self.heads.dim);
        let mut rows = self.attend(layer, &qkv)?;
        round_rows(&mut rows, self.width());
        Ok(rows)
    }

    /// Activated rows, rounded with a zero of their own: what `mlp.c_proj` reads.
    pub fn active_rows(&self, mut inner: Vec<f32>) -> Vec<f32> {
        self.activate(&mut inner);
        inner.par_chunks_mut(self.inner).for_each(round_skewed);
        inner
    }

    /// `a w + bias`; the inner dimension is `a`'s width.
    pub fn linear(&self, a: &[f32], w: &[f32], bias: &[f32]) -> Vec<f32> {
        let n = bias.len().max(1);
        let k = (w.len() / n).max(1);
        let packed = PackedF32::new(w, k, n);
        let mut out = vec![0.0; a.len() / k * n];
        self.multiply(a, k, &packed, bias, &mut out, false);
        out
    }

    /// `out (+)= a w + bias` over blocks of rows.
    pub fn multiply(
        &self,
        a: &[f32],
        k: usize,
        w: &PackedF32,
        bias: &[f32],
        out: &mut [f32],
        add: bool,
    ) {
        let n = w.n();
        out.par_chunks_mut(ROWS * n)
            .zip(a.par_chunks(ROWS * k))
            .for_each(|(out, a)| {
                self.kernels.linear_f32(LinearF32 {
                    a,
                    lda: k,
                    rows: a.len() / k,
                    w,
                    bias,
                    out,
                    ldo: n,
                    add,
                    panels: 0..w.panels(),
                });
            });
    }

    pub(super) fn norm(&self, x: &[f32], gain: &[f32]) -> Vec<f32> {
        let mut out = vec![0.0; x.len()];
        self.kernels.norm(x, gain, self.eps, &mut out);
        out
    }

    pub(super) fn activate(&self, x: &mut [f32]) {
        x.par_chunks_mut(1 << 14)
            .for_each(|x| self.kernels.activate(self.activation.into(), x));
    }

    fn attend(&self, layer: usize, qkv: &[f32]) -> Result<Vec<f32>, NotFinite> {
        let (width, dim) = (self.width(), self.heads.dim);
        let scale = self.scales.get(layer).copied().unwrap_or(1.0);
        let mut out = vec![0.0; qkv.len() / 3];
        let rows = out.par_chunks_mut(width).with_min_len(4).enumerate();
        let attended = rows.try_for_each(|(row, out)| {
            let (sequence, token) = (row / self.length, row % self.length);
            let qkv = qkv.get(sequence * self.length * 3 * width..);
            let qkv = qkv.unwrap_or_default();
            let queries = qkv.get(token * 3 * width..).unwrap_or_default();
            let heads = out.chunks_exact_mut(dim).zip(queries.chunks_exact(dim));
            for (head, (out, q)) in heads.enumerate() {
                self.kernels.attend_f32(AttentionF32 {
                    q,
                    keys: qkv.get(width + head * dim..).unwrap_or_default(),
                    values: qkv.get(2 * width + head * dim..).unwrap_or_default(),
                    stride: 3 * width,
                    tokens: token + 1,
                    scale,
                    out,
                })?;
            }
            Ok::<(), igpt_kernels::NonFinite>(())
        });
        attended.map_err(|_| NotFinite { layer })?;
        Ok(out)
    }
}

/// The matrix that a board multiplies with.
pub(super) fn dequantize(matrix: &QuantizedMatrix) -> Vec<f32> {
    let scales = matrix.scales.iter().cycle();
    matrix
        .values
        .iter()
        .zip(scales)
        .map(|(q, scale)| f32::from(*q) * scale)
        .collect()
}

pub(super) fn add(x: &mut [f32], y: &[f32]) {
    x.iter_mut().zip(y).for_each(|(x, y)| *x += y);
}

/// Rounds each row of `width` to 127 steps of its largest magnitude.
pub(super) fn round_rows(x: &mut [f32], width: usize) {
    x.par_chunks_mut(width.max(1))
        .with_min_len(64)
        .for_each(|row| {
            let amax = row.iter().fold(0f32, |amax, x| amax.max(x.abs()));
            if amax < TINY {
                return row.fill(0.0);
            }
            let (inverse, step) = (127.0 / amax, amax / 127.0);
            row.iter_mut()
                .for_each(|x| *x = (*x * inverse).round_ties_even() * step);
        });
}

/// Rounds a row to 255 steps from its smallest to its largest value.
fn round_skewed(row: &mut [f32]) {
    let low = row.iter().fold(0f32, |low, x| low.min(*x));
    let high = row.iter().fold(0f32, |high, x| high.max(*x));
    let span = high - low;
    if span < TINY {
        return row.fill(0.0);
    }
    let (inverse, step) = (255.0 / span, span / 255.0);
    let zero = (-low * inverse).round_ties_even();
    row.iter_mut().for_each(|x| {
        *x = (((*x * inverse).round_ties_even() + zero).clamp(0.0, 255.0) - zero) * step;
    });
}
