//! Rounding a matrix so that its products, not its weights, are closest to the f32 model's.
//!
//! For inputs X (what the layer will meet, rounded as a board rounds it), wanted outputs Y and a matrix Q on
//! its grid, the error |Y - X Q - b|^2 is a quadratic form in every weight, and rounding to the nearest is
//! not its minimum: what one weight loses, another that sees the same inputs can make good (GPTQ, Frantar et
//! al. 2022, arXiv:2210.17323). Found by coordinate descent from the nearest rounding (QuantEase, Behdin et
//! al. 2023, arXiv:2309.01885): one weight after the other moves to the step where the error is least, which
//! never makes it larger. Since Y is the f32 model's and X the int8 model's, what earlier layers lost is made
//! good too. The bias takes the mean of what is left.

use igpt_kernels::INT4_LIMIT;
use rayon::prelude::*;

use super::RoundedBlock;
use super::forward::{Forward, NotFinite, add, dequantize};
use super::quadratic::Quadratic;
use crate::imagegpt::block::BlockWeights;
use crate::quantization::linear_weights::LinearWeights;
use crate::quantization::{INT4_GROUP, QuantizationError, QuantizedMatrix, transpose};

/// Passes over all weights. The fourth moves a weight in a thousand.
const SWEEPS: usize = 3;

/// How strongly a weight is held to its f32 value, relative to the mean square of an input: keeps directions
/// that the calibration images hardly show from being fitted to noise.
const DAMPING: f32 = 0.01;

/// Columns that share a row of the quadratic form while it is in the nearest cache.
const COLUMNS: usize = 8;

/// Rounds `block` for the int8 model's stream `x`, beside the f32 model's `exact`, and takes both past it, a
/// chunk after the other: what lies between two layers is computed anew for each of them rather than held for
/// all sequences.
pub(super) fn round(
    forward: &Forward,
    layer: usize,
    mut block: BlockWeights,
    exact: &mut [f32],
    x: &mut [f32],
) -> Result<RoundedBlock, NotFinite> {
    let c_attn = fit(forward, &block.c_attn, exact, x, |exact, x| {
        let rows = forward.normed_rows(x, &block.ln_1);
        Ok((rows, forward.queries_keys_values(&block, exact)))
    })?;
    let attended = |x: &[f32]| {
        let rows = forward.normed_rows(x, &block.ln_1);
        forward.attended_rows(layer, c_attn.apply(forward, &rows))
    };
    let attn_c_proj = fit(forward, &block.attn_c_proj, exact, x, |exact, x| {
        let middle = forward.middle(layer, &block, exact)?;
        exact.copy_from_slice(&middle);
        Ok((attended(x)?, minus(&middle, x)))
    })?;
    for x in x.chunks_mut(forward.chunk()) {
        let added = attn_c_proj.apply(forward, &attended(x)?);
        add(x, &added);
    }
    let c_fc = fit(forward, &block.c_fc, exact, x, |exact, x| {
        let rows = forward.normed_rows(x, &block.ln_2);
        Ok((rows, forward.inner_rows(&block, exact)))
    })?;
    let active = |x: &[f32]| {
        let rows = forward.normed_rows(x, &block.ln_2);
        forward.active_rows(c_fc.apply(forward, &rows))
    };
    let mlp_c_proj = fit(forward, &block.mlp_c_proj, exact, x, |exact, x| {
        let output = forward.output(&block, exact);
        exact.copy_from_slice(&output);
        Ok((active(x), minus(&output, x)))
    })?;
    for x in x.chunks_mut(forward.chunk()) {
        let added = mlp_c_proj.apply(forward, &active(x));
        add(x, &added);
    }
    block.c_attn.bias = c_attn.bias;
    block.attn_c_proj.bias = attn_c_proj.bias;
    block.c_fc.bias = c_fc.bias;
    block.mlp_c_proj.bias = mlp_c_proj.bias;
    let matrices = [
        c_attn.matrix,
        attn_c_proj.matrix,
        c_fc.matrix,
        mlp_c_proj.matrix,
    ];
    Ok(RoundedBlock { block, matrices })
}

/// A rounded layer.
struct Fitted {
    matrix: QuantizedMatrix,
    bias: Vec<f32>,
}

impl Fitted {
    fn apply(&self, forward: &Forward, rows: &[f32]) -> Vec<f32> {
        forward.linear(rows, &dequantize(&self.matrix), &self.bias)
    }
}

/// Rounds `linear` and corrects its bias. Of each chunk of the two streams `of` gives what the layer reads,
/// `[rows, in]`, and what it should then write, `[rows, out]`.
fn fit(
    forward: &Forward,
    linear: &LinearWeights,
    exact: &mut [f32],
    x: &mut [f32],
    mut of: impl FnMut(&mut [f32], &[f32]) -> Result<(Vec<f32>, Vec<f32>), NotFinite>,
) -> Result<Fitted, NotFinite> {
    let outputs = linear.outputs().max(1);
    let mut matrix = forward.grid().quantize(&linear.weight, outputs);
    let nearest = dequantize(&matrix);
    let zeros = vec![0.0; outputs];
    let mut form = Quadratic::new(linear.weight.len() / outputs, outputs);
    let chunk = forward.chunk();
    for (exact, x) in exact.chunks_mut(chunk).zip(x.chunks(chunk)) {
        let (rows, wanted) = of(exact, x)?;
        let products = forward.linear(&rows, &nearest, &zeros);
        form.add(forward, &rows, &minus(&wanted, &products));
    }
    form.centre();
    descend(&mut matrix, &linear.weight, &form.form, &form.gradient);
    let stored = dequantize(&matrix);
    // The mean of what is wanted less that of the products, which are linear in the mean of the rows.
    let mut bias = form.residual_means();
    let rows = nearest
        .chunks_exact(outputs)
        .zip(stored.chunks_exact(outputs));
    for (mean, (nearest, stored)) in form.x_means().into_iter().zip(rows) {
        for (bias, (nearest, stored)) in bias.iter_mut().zip(nearest.iter().zip(stored)) {
            *bias += mean * f64::from(nearest - stored);
        }
    }
    let bias = bias.into_iter().map(|b| b as f32).collect();
    matrix.error = QuantizationError::measure(&linear.weight, stored.into_iter());
    Ok(Fitted { matrix, bias })
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
    let units = units(matrix, inputs, outputs);
    let blocks = values.par_chunks_mut(COLUMNS * inputs);
    let blocks = blocks.zip(gradient.par_chunks(COLUMNS * inputs));
    let blocks = blocks.zip(weights.par_chunks(COLUMNS * inputs));
    let groups = inputs.div_ceil(INT4_GROUP);
    let blocks = blocks.zip(units.par_chunks(COLUMNS * groups));
    blocks.zip(matrix.scales.par_chunks(COLUMNS)).for_each(
        |((((q, gradient), weights), units), scales)| {
            let mut columns: Vec<Column<'_>> = q
                .chunks_exact_mut(inputs)
                .zip(gradient.chunks_exact(inputs))
                .zip(weights.chunks_exact(inputs))
                .zip(units.chunks_exact(groups))
                .zip(scales)
                .map(|((((q, gradient), weights), units), scale)| Column {
                    q,
                    weights,
                    units,
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
        },
    );
    let rows = transpose(&values, inputs);
    for (stored, q) in matrix.values.iter_mut().zip(rows) {
        *stored = q as i8;
    }
}

/// Of each column and group of rows, the distance between neighbours on the grid, in integers, and the most
/// that a weight may be.
fn units(matrix: &QuantizedMatrix, inputs: usize, outputs: usize) -> Vec<(f32, f32)> {
    match &matrix.multipliers {
        None => vec![(1.0, 127.0); inputs.div_ceil(INT4_GROUP) * outputs],
        Some(multipliers) => {
            let m: Vec<f32> = multipliers.iter().map(|m| f32::from(*m)).collect();
            let of = |m: f32| (m, m * f32::from(INT4_LIMIT));
            transpose(&m, outputs).into_iter().map(of).collect()
        }
    }
}

/// A column being rounded.
struct Column<'a> {
    /// Its integers.
    q: &'a mut [f32],
    /// The f32 weights.
    weights: &'a [f32],
    /// See [`units`].
    units: &'a [(f32, f32)],
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
        let Some((unit, limit)) = self.units.get(i / INT4_GROUP).copied() else {
            return;
        };
        let wanted = *q + slope / (curvature * self.scale);
        let best = ((wanted / unit).round_ties_even() * unit).clamp(-limit, limit);
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

fn minus(a: &[f32], b: &[f32]) -> Vec<f32> {
    a.iter().zip(b).map(|(a, b)| a - b).collect()
}
