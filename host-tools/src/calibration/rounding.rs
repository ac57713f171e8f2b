//! Rounding a matrix so that its products, not its weights, are closest to the f32 model's.
//!
//! For inputs X (what the layer will meet, rounded as a board rounds it), wanted outputs Y and a matrix Q on its grid, the
//! error |Y - X Q - b|^2 is a quadratic form in every weight, and rounding to the nearest is not its minimum: what one
//! weight loses, another that sees the same inputs can make good (GPTQ, Frantar et al. 2022, arXiv:2210.17323). Found by
//! coordinate descent from the nearest rounding (QuantEase, Behdin et al. 2023, arXiv:2309.01885): one weight after the
//! other moves to the step where the error is least, which never makes it larger. Since Y is the f32 model's and X the
//! int8 model's, what earlier layers lost is made good too. The bias takes the mean of what is left.

use igpt_kernels::PackedF32;
use rayon::prelude::*;

use super::RoundedBlock;
use super::forward::{Forward, NotFinite, Trace, dequantize};
use crate::quantization::block::{BlockWeights, LinearWeights};
use crate::quantization::{QuantizationError, QuantizedMatrix, quantize_matrix, transpose};

/// Passes over all weights. The fourth moves a weight in a thousand.
const SWEEPS: usize = 3;

/// How strongly a weight is held to its f32 value, relative to the mean square of an input: keeps directions that the
/// calibration images hardly show from being fitted to noise.
const DAMPING: f32 = 0.01;

/// Columns that share a row of the quadratic form while it is in the nearest cache.
const COLUMNS: usize = 8;

/// Rows of a partial product.
const ROWS: usize = 2048;

/// Rounds `block` for the int8 model's stream `x`, and gives what that stream becomes behind it.
pub(super) fn round(
    forward: &Forward,
    layer: usize,
    mut block: BlockWeights,
    trace: &Trace,
    x: &[f32],
) -> Result<(RoundedBlock, Vec<f32>), NotFinite> {
    let rows = forward.normed_rows(x, &block.ln_1);
    let (c_attn, qkv) = fit(forward, &mut block.c_attn, &rows, &trace.qkv);
    let rows = forward.attended_rows(layer, qkv)?;
    let wanted = minus(&trace.middle, x);
    let (attn_c_proj, attended) = fit(forward, &mut block.attn_c_proj, &rows, &wanted);
    let middle = plus(attended, x);
    let rows = forward.normed_rows(&middle, &block.ln_2);
    let (c_fc, inner) = fit(forward, &mut block.c_fc, &rows, &trace.inner);
    let rows = forward.active_rows(inner);
    let wanted = minus(&trace.output, &middle);
    let (mlp_c_proj, output) = fit(forward, &mut block.mlp_c_proj, &rows, &wanted);
    let output = plus(output, &middle);
    let matrices = [c_attn, attn_c_proj, c_fc, mlp_c_proj];
    Ok((RoundedBlock { block, matrices }, output))
}

/// Rounds `linear` for inputs `x` `[rows, in]` and outputs `wanted` `[rows, out]`, corrects its bias, and gives what it then
/// computes from `x`.
fn fit(
    forward: &Forward,
    linear: &mut LinearWeights,
    x: &[f32],
    wanted: &[f32],
) -> (QuantizedMatrix, Vec<f32>) {
    let outputs = linear.outputs().max(1);
    let inputs = linear.weight.len() / outputs;
    let mut matrix = quantize_matrix(&linear.weight, outputs);
    let zeros = vec![0.0; outputs];
    let products = forward.linear(x, &dequantize(&matrix), &zeros);
    let (form, gradient) = quadratic(forward, x, inputs, &minus(wanted, &products), outputs);
    descend(&mut matrix, &linear.weight, &form, &gradient);
    let mut products = forward.linear(x, &dequantize(&matrix), &zeros);
    let off = means(&minus(wanted, &products), outputs);
    for row in products.chunks_exact_mut(outputs) {
        row.iter_mut().zip(&off).for_each(|(y, b)| *y += b);
    }
    linear.bias = off;
    let stored = dequantize(&matrix);
    matrix.error = QuantizationError::measure(&linear.weight, stored.into_iter());
    (matrix, products)
}

/// `Xc^T Xc` `[in, in]` and `Xc^T R` `[in, out]`, where Xc is `x` less its columns' means: a bias makes the rest good.
fn quadratic(
    forward: &Forward,
    x: &[f32],
    inputs: usize,
    residual: &[f32],
    outputs: usize,
) -> (Vec<f32>, Vec<f32>) {
    let means = means(x, inputs);
    let mut form = vec![0.0; inputs * inputs];
    let mut gradient = vec![0.0; inputs * outputs];
    let (no_form_bias, no_gradient_bias) = (vec![0.0; inputs], vec![0.0; outputs]);
    for (x, residual) in x.chunks(ROWS * inputs).zip(residual.chunks(ROWS * outputs)) {
        let mut centred = x.to_vec();
        for row in centred.chunks_exact_mut(inputs) {
            row.iter_mut().zip(&means).for_each(|(x, mean)| *x -= mean);
        }
        let rows = centred.len() / inputs;
        let columns = transpose(&centred, inputs);
        let packed = PackedF32::new(&centred, rows, inputs);
        forward.multiply(&columns, rows, &packed, &no_form_bias, &mut form, true);
        let packed = PackedF32::new(residual, rows, outputs);
        forward.multiply(
            &columns,
            rows,
            &packed,
            &no_gradient_bias,
            &mut gradient,
            true,
        );
    }
    (form, gradient)
}

/// Coordinate descent over the weights of each column, which are independent of the other columns'.
fn descend(matrix: &mut QuantizedMatrix, weights: &[f32], form: &[f32], gradient: &[f32]) {
    let outputs = matrix.scales.len().max(1);
    let inputs = matrix.values.len() / outputs;
    let trace: f32 = (0..inputs).filter_map(|i| form.get(i * inputs + i)).sum();
    let damping = DAMPING * trace / inputs.max(1) as f32;
    let per_column = |values: &[f32]| transpose(values, outputs);
    let (weights, gradient) = (per_column(weights), per_column(gradient));
    let values: Vec<f32> = matrix.values.iter().map(|q| f32::from(*q)).collect();
    let mut values = per_column(&values);
    let blocks = values.par_chunks_mut(COLUMNS * inputs);
    let blocks = blocks.zip(gradient.par_chunks(COLUMNS * inputs));
    let blocks = blocks.zip(weights.par_chunks(COLUMNS * inputs));
    blocks
        .zip(matrix.scales.par_chunks(COLUMNS))
        .for_each(|(((q, gradient), weights), scales)| {
            let mut columns: Vec<Column<'_>> = q
                .chunks_exact_mut(inputs)
                .zip(gradient.chunks_exact(inputs))
                .zip(weights.chunks_exact(inputs))
                .zip(scales)
                .map(|(((q, gradient), weights), scale)| Column {
                    q,
                    weights,
                    gradient: gradient.to_vec(),
                    scale: *scale,
                })
                .collect();
            for _ in 0..SWEEPS {
                for (i, row) in form.chunks_exact(inputs).enumerate() {
                    for column in &mut columns {
                        column.step(i, row, damping);
                    }
                }
            }
        });
    let rows = transpose(&values, inputs);
    for (stored, q) in matrix.values.iter_mut().zip(rows) {
        *stored = q as i8;
    }
}

/// A column being rounded.
struct Column<'a> {
    /// Its integers.
    q: &'a mut [f32],
    /// The f32 weights.
    weights: &'a [f32],
    /// Half the derivative of the error by each weight, negated, without the damping's part.
    gradient: Vec<f32>,
    scale: f32,
}

impl Column<'_> {
    /// Moves weight `i` to its best step; `row` is its row of the quadratic form.
    fn step(&mut self, i: usize, row: &[f32], damping: f32) {
        let (Some(q), Some(w)) = (self.q.get_mut(i), self.weights.get(i)) else {
            return;
        };
        let (Some(curvature), Some(slope)) = (row.get(i), self.gradient.get(i)) else {
            return;
        };
        let curvature = curvature + damping;
        let slope = slope + damping * (w - *q * self.scale);
        if curvature <= 0.0 || self.scale <= 0.0 {
            return;
        }
        let best = (*q + slope / (curvature * self.scale))
            .round_ties_even()
            .clamp(-127.0, 127.0);
        if best == *q || !best.is_finite() {
            return;
        }
        let change = (best - *q) * self.scale;
        *q = best;
        for (gradient, h) in self.gradient.iter_mut().zip(row) {
            *gradient -= h * change;
        }
    }
}

fn means(values: &[f32], columns: usize) -> Vec<f32> {
    let mut sums = vec![0f64; columns];
    let mut rows = 0usize;
    for row in values.chunks_exact(columns.max(1)) {
        sums.iter_mut()
            .zip(row)
            .for_each(|(sum, x)| *sum += f64::from(*x));
        rows += 1;
    }
    sums.iter()
        .map(|sum| (sum / rows.max(1) as f64) as f32)
        .collect()
}

fn minus(a: &[f32], b: &[f32]) -> Vec<f32> {
    a.iter().zip(b).map(|(a, b)| a - b).collect()
}

fn plus(mut a: Vec<f32>, b: &[f32]) -> Vec<f32> {
    a.iter_mut().zip(b).for_each(|(a, b)| *a += b);
    a
}
