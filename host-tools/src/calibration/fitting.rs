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

use super::products::{PackedLinear, Products, dequantize, minus};
use super::quadratic::Quadratic;
use crate::quantization::linear_weights::LinearWeights;
use crate::quantization::{INT4_GROUP, QuantizationError, QuantizedMatrix, transpose};

/// Passes over all weights. The fourth moves a weight in a thousand.
const SWEEPS: usize = 3;

/// How strongly a weight is held to its f32 value, relative to the mean square of an input: keeps directions
/// that the calibration images hardly show from being fitted to noise.
const DAMPING: f32 = 0.01;

/// Columns that share a row of the quadratic form while it is in the nearest cache.
const COLUMNS: usize = 8;

/// A rounded layer.
#[derive(Clone, Debug)]
pub(crate) struct Fitted {
    pub(crate) matrix: QuantizedMatrix,
    pub(crate) bias: Vec<f32>,
}

impl Fitted {
    pub(crate) fn apply(&self, products: &Products, rows: &[f32]) -> Vec<f32> {
        products.apply(&self.packed(), rows)
    }

    /// As a board multiplies with it.
    pub(crate) fn packed(&self) -> PackedLinear {
        PackedLinear::new(&dequantize(&self.matrix), self.bias.clone())
    }
}

/// Rounds `linear` and corrects its bias. `pieces` are, some rows at a time, what the layer reads, `[rows, in]`, and what it should
/// then write, `[rows, out]`.
pub(crate) fn fit<E>(
    products: &Products,
    linear: &LinearWeights,
    pieces: impl Iterator<Item = Result<(Vec<f32>, Vec<f32>), E>>,
) -> Result<Fitted, E> {
    let outputs = linear.outputs().max(1);
    let mut matrix = products.grid().quantize(&linear.weight, outputs);
    let nearest = dequantize(&matrix);
    let zeros = vec![0.0; outputs];
    let mut form = Quadratic::new(linear.weight.len() / outputs, outputs);
    for piece in pieces {
        let (rows, wanted) = piece?;
        let written = products.linear(&rows, &nearest, &zeros);
        form.add(products, &rows, &minus(&wanted, &written));
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
