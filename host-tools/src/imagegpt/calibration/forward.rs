//! One transformer block over many sequences, in f32 and as a board's int8 kernels round it.
//!
//! The int8 form is computed in f32 on rounded operands: the integers of a dot product are the same, only its
//! sum rounds differently. The softmax's weights, which the kernels round to a 255th of the largest in a
//! tile, are left exact.

use igpt_kernels::{Heads, NonFinite};
use igpt_runtime::{Activation, ImageGptConfig};

use super::RoundedBlock;
use crate::calibration::products::{Attended, Products, add, dequantize, round_rows, round_skewed};
use crate::imagegpt::block::BlockWeights;
use crate::quantization::Grid;

/// What every block's forward pass shares.
#[derive(Debug)]
pub(super) struct Forward {
    products: Products,
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
pub(super) struct Trace {
    /// Queries, keys, values `[rows, 3C]`.
    pub(super) qkv: Vec<f32>,
    /// The residual stream after the attention `[rows, C]`.
    pub(super) middle: Vec<f32>,
    /// Before the activation `[rows, I]`.
    pub(super) inner: Vec<f32>,
    /// The residual stream after the block `[rows, C]`.
    pub(super) output: Vec<f32>,
    /// What `attn.c_proj` reads `[rows, C]`.
    pub(super) heads: Vec<f32>,
}

/// Tokens of a chunk, if a sequence has no more: 1024 of ImageGPT-large are 6 MB a layer's width.
const CHUNK: usize = 1024;

impl Forward {
    /// For sequences of `length` tokens and weights on `grid`.
    pub(super) fn new(config: &ImageGptConfig, grid: Grid, length: usize) -> Self {
        Self {
            products: Products::new(grid),
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
    pub(super) fn width(&self) -> usize {
        self.heads.count * self.heads.dim
    }

    /// What it computes with.
    pub(crate) fn products(&self) -> &Products {
        &self.products
    }

    /// Tokens of a sequence.
    pub(super) fn length(&self) -> usize {
        self.length
    }

    /// Width of the MLP's inner layer.
    pub(super) fn inner(&self) -> usize {
        self.inner
    }

    /// The activation, by Hugging Face's name.
    pub(super) fn activation(&self) -> Activation {
        self.activation
    }

    /// Token embeddings plus position embeddings; ids beyond the table, which the caller has refused, give
    /// zeros.
    pub(super) fn embed(&self, tokens: &[u16], wte: &[f32], wpe: &[f32]) -> Vec<f32> {
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
    pub(super) fn chunk(&self) -> usize {
        (CHUNK / self.length).max(1) * self.length * self.width()
    }

    /// A block in f32.
    pub(super) fn trace(
        &self,
        layer: usize,
        block: &BlockWeights,
        x: &[f32],
    ) -> Result<Trace, NonFinite> {
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
    ) -> Result<Vec<f32>, NonFinite> {
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
    pub(super) fn int8(
        &self,
        layer: usize,
        rounded: &RoundedBlock,
        x: &[f32],
    ) -> Result<Vec<f32>, NonFinite> {
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
    pub(super) fn normed_rows(&self, x: &[f32], gain: &[f32]) -> Vec<f32> {
        let mut rows = self.norm(x, gain);
        round_rows(&mut rows, self.width());
        rows
    }

    /// Attention over rounded q, k and v, its rows rounded: what `attn.c_proj` reads.
    pub(super) fn attended_rows(
        &self,
        layer: usize,
        mut qkv: Vec<f32>,
    ) -> Result<Vec<f32>, NonFinite> {
        round_rows(&mut qkv, self.heads.dim);
        let mut rows = self.attend(layer, &qkv)?;
        round_rows(&mut rows, self.width());
        Ok(rows)
    }

    /// Activated rows, rounded with a zero of their own: what `mlp.c_proj` reads.
    pub(super) fn active_rows(&self, mut inner: Vec<f32>) -> Vec<f32> {
        self.activate(&mut inner);
        round_skewed(&mut inner, self.inner);
        inner
    }

    fn linear(&self, a: &[f32], w: &[f32], bias: &[f32]) -> Vec<f32> {
        self.products.linear(a, w, bias)
    }

    pub(super) fn norm(&self, x: &[f32], gain: &[f32]) -> Vec<f32> {
        let mut out = vec![0.0; x.len()];
        self.products.kernels().norm(x, gain, self.eps, &mut out);
        out
    }

    pub(super) fn activate(&self, x: &mut [f32]) {
        self.products.activate(self.activation, x);
    }

    fn attend(&self, layer: usize, qkv: &[f32]) -> Result<Vec<f32>, NonFinite> {
        let width = self.width();
        let scale = self.scales.get(layer).copied().unwrap_or(1.0);
        let from = |start: usize| (qkv.get(start..).unwrap_or_default(), 3 * width);
        let of = Attended {
            queries: from(0),
            keys: from(width),
            values: from(2 * width),
        };
        // Each token sees those before it in its sequence, and itself.
        let see = |row: usize| (row - row % self.length, row % self.length + 1);
        let rows = qkv.len() / (3 * width).max(1);
        self.products.attend(self.heads, scale, rows, of, see)
    }
}
