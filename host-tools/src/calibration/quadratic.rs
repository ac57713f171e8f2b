//! The quadratic form that a layer's rounding error is, summed over chunks of what the layer reads.

use igpt_kernels::PackedF32;

use super::products::Products;
use crate::quantization::transpose;

/// Rows of a partial product.
const ROWS: usize = 2048;

/// `Xc^T Xc` `[in, in]` and `Xc^T R` `[in, out]`, where Xc is X less its columns' means: a bias makes the
/// rest good.
pub(super) struct Quadratic {
    inputs: usize,
    outputs: usize,
    /// Means of the first chunk, subtracted from all: near enough to the true ones that what is left of them,
    /// which is subtracted at the end, costs no precision.
    shift: Option<Vec<f32>>,
    pub(super) form: Vec<f32>,
    pub(super) gradient: Vec<f32>,
    /// Of X less the shift.
    x: Sums,
    /// Of R.
    residual: Sums,
}

impl Quadratic {
    /// For layers of this shape.
    pub(super) fn new(inputs: usize, outputs: usize) -> Self {
        Self {
            inputs,
            outputs,
            shift: None,
            form: vec![0.0; inputs * inputs],
            gradient: vec![0.0; inputs * outputs],
            x: Sums::new(inputs),
            residual: Sums::new(outputs),
        }
    }

    /// Adds rows of X `[rows, in]` and R `[rows, out]`.
    pub(super) fn add(&mut self, products: &Products, x: &[f32], residual: &[f32]) {
        let (inputs, outputs) = (self.inputs, self.outputs);
        let shift = self.shift.get_or_insert_with(|| {
            let mut sums = Sums::new(inputs);
            sums.add(x);
            sums.means().into_iter().map(|mean| mean as f32).collect()
        });
        let (no_form_bias, no_gradient_bias) = (vec![0.0; inputs], vec![0.0; outputs]);
        for (x, residual) in x.chunks(ROWS * inputs).zip(residual.chunks(ROWS * outputs)) {
            let mut centred = x.to_vec();
            for row in centred.chunks_exact_mut(inputs) {
                row.iter_mut().zip(&*shift).for_each(|(x, mean)| *x -= mean);
            }
            self.x.add(&centred);
            self.residual.add(residual);
            let rows = centred.len() / inputs;
            let columns = transpose(&centred, inputs);
            let packed = PackedF32::new(&centred, rows, inputs);
            products.multiply(&columns, rows, &packed, &no_form_bias, &mut self.form, true);
            let packed = PackedF32::new(residual, rows, outputs);
            products.multiply(
                &columns,
                rows,
                &packed,
                &no_gradient_bias,
                &mut self.gradient,
                true,
            );
        }
    }

    /// Takes away what the shift left of the means.
    pub(super) fn centre(&mut self) {
        let (x, residual) = (self.x.means(), self.residual.means());
        let rows = self.x.rows as f64;
        let subtract = |matrix: &mut [f32], columns: &[f64]| {
            let width = columns.len().max(1);
            for (row, mean) in matrix.chunks_exact_mut(width).zip(&x) {
                for (value, column) in row.iter_mut().zip(columns) {
                    *value -= (rows * mean * column) as f32;
                }
            }
        };
        subtract(&mut self.form, &x);
        subtract(&mut self.gradient, &residual);
    }

    /// Of R, `[out]`.
    pub(super) fn residual_means(&self) -> Vec<f64> {
        self.residual.means()
    }

    /// Of X, `[in]`.
    pub(super) fn x_means(&self) -> Vec<f64> {
        let shift = self.shift.iter().flatten();
        let means = self.x.means().into_iter().zip(shift);
        means
            .map(|(mean, shift)| mean + f64::from(*shift))
            .collect()
    }
}

/// Sums of columns.
struct Sums {
    sums: Vec<f64>,
    rows: usize,
}

impl Sums {
    fn new(columns: usize) -> Self {
        Self {
            sums: vec![0.0; columns],
            rows: 0,
        }
    }

    fn add(&mut self, values: &[f32]) {
        for row in values.chunks_exact(self.sums.len().max(1)) {
            for (sum, x) in self.sums.iter_mut().zip(row) {
                *sum += f64::from(*x);
            }
            self.rows += 1;
        }
    }

    fn means(&self) -> Vec<f64> {
        let rows = self.rows.max(1) as f64;
        self.sums.iter().map(|sum| sum / rows).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quantization::Grid;

    /// Of columns whose means are a hundred times their deviation, in chunks whose means differ.
    #[test]
    fn chunks_give_the_centred_form() {
        let products = Products::new(Grid::Int8);
        let (inputs, outputs, count) = (3, 2, 600);
        let noise = |i: usize| ((i * 7919) % 1000) as f32 / 500.0 - 1.0;
        let drift = |row: usize| row as f32 / 300.0;
        let x: Vec<f32> = (0..count * inputs)
            .map(|i| 100.0 * (1 + i % inputs) as f32 + noise(i) + drift(i / inputs))
            .collect();
        let r: Vec<f32> = (0..count * outputs).map(|i| 0.3 + noise(i + 17)).collect();
        let mut quadratic = Quadratic::new(inputs, outputs);
        for (x, r) in x.chunks(200 * inputs).zip(r.chunks(200 * outputs)) {
            quadratic.add(&products, x, r);
        }
        quadratic.centre();
        let mean = |values: &[f32], columns: usize, column: usize| {
            let values = values.iter().skip(column).step_by(columns);
            values.map(|x| f64::from(*x)).sum::<f64>() / count as f64
        };
        let centred = |i: usize| mean(&x, inputs, i);
        let product = |i: usize, other: &[f32], columns: usize, j: usize| {
            let rows = x.chunks(inputs).zip(other.chunks(columns));
            let terms = rows.map(|(x, y)| (f64::from(x[i]) - centred(i)) * f64::from(y[j]));
            terms.sum::<f64>()
        };
        for i in 0..inputs {
            assert!((quadratic.x_means()[i] - centred(i)).abs() < 1e-4);
            for j in 0..inputs {
                let expected = product(i, &x, inputs, j);
                let found = f64::from(quadratic.form[i * inputs + j]);
                assert!(
                    (found - expected).abs() < 0.05,
                    "{found}, expected {expected}"
                );
            }
            for j in 0..outputs {
                let expected = product(i, &r, outputs, j);
                let found = f64::from(quadratic.gradient[i * outputs + j]);
                assert!(
                    (found - expected).abs() < 0.05,
                    "{found}, expected {expected}"
                );
            }
        }
    }
}
