//! f32 products on this machine's kernels, and rows rounded as a board rounds them.

use igpt_kernels::{AttentionF32, Heads, Kernels, LinearF32, NonFinite, PackedF32, TINY};
use igpt_runtime::Activation;
use rayon::prelude::*;

use crate::quantization::{Grid, QuantizedMatrix};

/// Rows of a task.
const ROWS: usize = 48;

/// What the forward passes of every family compute with.
#[derive(Debug)]
pub(crate) struct Products {
    kernels: Kernels,
    grid: Grid,
}

/// Queries, keys and values in rows of their own or of one matrix: slices that begin with the first one's, and the distance
/// between rows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attended<'a> {
    pub(crate) queries: (&'a [f32], usize),
    pub(crate) keys: (&'a [f32], usize),
    pub(crate) values: (&'a [f32], usize),
}

/// A linear layer as the kernels read it.
#[derive(Debug)]
pub(crate) struct PackedLinear {
    weight: PackedF32,
    inputs: usize,
    bias: Vec<f32>,
}

impl PackedLinear {
    /// Of a matrix `[in, out]`.
    pub(crate) fn new(weight: &[f32], bias: Vec<f32>) -> Self {
        let outputs = bias.len().max(1);
        let inputs = (weight.len() / outputs).max(1);
        Self {
            weight: PackedF32::new(weight, inputs, outputs),
            inputs,
            bias,
        }
    }
}

impl Products {
    /// For weights on `grid`.
    pub(crate) fn new(grid: Grid) -> Self {
        Self {
            kernels: Kernels::best(),
            grid,
        }
    }

    /// What weights are rounded to.
    pub(crate) fn grid(&self) -> Grid {
        self.grid
    }

    /// The kernels themselves.
    pub(crate) fn kernels(&self) -> &Kernels {
        &self.kernels
    }

    /// `a w + bias`; the inner dimension is `a`'s width.
    pub(crate) fn linear(&self, a: &[f32], w: &[f32], bias: &[f32]) -> Vec<f32> {
        self.apply(&PackedLinear::new(w, bias.to_vec()), a)
    }

    /// The same with a layer that is used again.
    pub(crate) fn apply(&self, layer: &PackedLinear, a: &[f32]) -> Vec<f32> {
        let (k, n) = (layer.inputs, layer.weight.n());
        let mut out = vec![0.0; a.len() / k * n];
        self.multiply(a, k, &layer.weight, &layer.bias, &mut out, false);
        out
    }

    /// `out (+)= a w + bias` over blocks of rows.
    pub(crate) fn multiply(
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

    pub(crate) fn activate(&self, activation: Activation, x: &mut [f32]) {
        x.par_chunks_mut(1 << 14)
            .for_each(|x| self.kernels.activate(activation.into(), x));
    }

    /// Attention of every query, `[rows, heads]`; `see` says of which rows of keys and values, by the query's row: the first and
    /// how many.
    pub(crate) fn attend(
        &self,
        heads: Heads,
        scale: f32,
        rows: usize,
        of: Attended<'_>,
        see: impl Fn(usize) -> (usize, usize) + Sync,
    ) -> Result<Vec<f32>, NonFinite> {
        let (width, dim) = (heads.count * heads.dim, heads.dim);
        let mut out = vec![0.0; rows * width];
        let (queries, q_stride) = of.queries;
        let (keys, stride) = of.keys;
        let (values, v_stride) = of.values;
        debug_assert_eq!(stride, v_stride, "keys and values lie in rows of one width");
        let rows = out.par_chunks_mut(width).with_min_len(4).enumerate();
        rows.try_for_each(|(row, out)| {
            let (first, tokens) = see(row);
            let queries = queries.get(row * q_stride..).unwrap_or_default();
            for (head, (out, q)) in out
                .chunks_exact_mut(dim)
                .zip(queries.chunks_exact(dim))
                .enumerate()
            {
                let from = first * stride + head * dim;
                self.kernels.attend_f32(AttentionF32 {
                    q,
                    keys: keys.get(from..).unwrap_or_default(),
                    values: values.get(from..).unwrap_or_default(),
                    stride,
                    tokens,
                    scale,
                    out,
                })?;
            }
            Ok(())
        })?;
        Ok(out)
    }
}

/// The matrix that a board multiplies with.
pub(crate) fn dequantize(matrix: &QuantizedMatrix) -> Vec<f32> {
    let scales = matrix.scales.iter().cycle();
    matrix
        .values
        .iter()
        .zip(scales)
        .map(|(q, scale)| f32::from(*q) * scale)
        .collect()
}

pub(crate) fn add(x: &mut [f32], y: &[f32]) {
    x.iter_mut().zip(y).for_each(|(x, y)| *x += y);
}

pub(crate) fn minus(a: &[f32], b: &[f32]) -> Vec<f32> {
    a.iter().zip(b).map(|(a, b)| a - b).collect()
}

/// Rounds each row of `width` to 127 steps of its largest magnitude.
pub(crate) fn round_rows(x: &mut [f32], width: usize) {
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

/// Rounds each row of `width` to 255 steps from its smallest to its largest value.
pub(crate) fn round_skewed(x: &mut [f32], width: usize) {
    x.par_chunks_mut(width.max(1)).for_each(|row| {
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
    });
}
