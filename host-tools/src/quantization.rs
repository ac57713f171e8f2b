//! Symmetric int8 per output channel, or int4 in groups within one, and what it costs.

mod int4;
mod lattice;
pub mod linear_weights;
pub mod outliers;
mod sizes;

pub use outliers::Rescaled;

pub use igpt_runtime::tools::INT4_GROUP;
use rayon::prelude::{ParallelIterator, ParallelSlice};

/// The largest magnitude of a quantised weight. -128 is never used: 127 * -128 sums twice would overflow
/// the 16-bit accumulators of the kernels for the Cortex-A72.
const LIMIT: f32 = 127.0;

/// The integers that weights are rounded to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grid {
    /// [-127, 127].
    Int8,
    /// [-7, 7] times a multiplier in 1..=16 for every [`INT4_GROUP`] rows of a column.
    Int4,
}

/// A weight matrix `[in, out]` as int8 with one scale per output channel (column).
#[derive(Clone, Debug, PartialEq)]
pub struct QuantizedMatrix {
    /// Row-major `[in, out]`, each in [-127, 127].
    pub values: Vec<i8>,
    /// int4 only: `[in / INT4_GROUP, out]`, rounded up, row-major. Each value is at most 7 times its group's,
    /// and a multiple of it.
    pub multipliers: Option<Vec<u8>>,
    /// One per column; `values * scale` approximates the weight. Zero for a column of zeros.
    pub scales: Vec<f32>,
    /// What was lost.
    pub error: QuantizationError,
}

/// The difference between a tensor and its stored form.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
pub struct QuantizationError {
    /// Signal-to-noise ratio in dB, `10 log10(sum w^2 / sum (w - w')^2)`; absent when nothing was lost.
    pub snr_db: Option<f64>,
    /// Largest magnitude of the tensor.
    pub max_abs: f32,
    /// Largest difference.
    pub max_error: f32,
}

impl QuantizationError {
    /// Compares `weights` with what a reader of the file will compute with.
    pub fn measure(weights: &[f32], stored: impl Iterator<Item = f32>) -> Self {
        let (mut signal, mut noise) = (0f64, 0f64);
        let (mut max_abs, mut max_error) = (0f32, 0f32);
        for (w, s) in weights.iter().zip(stored) {
            let error = w - s;
            signal += f64::from(*w) * f64::from(*w);
            noise += f64::from(error) * f64::from(error);
            max_abs = max_abs.max(w.abs());
            max_error = max_error.max(error.abs());
        }
        let snr_db = (noise > 0.0).then(|| 10.0 * (signal / noise).log10());
        Self {
            snr_db,
            max_abs,
            max_error,
        }
    }
}

impl Grid {
    /// Quantises `weights`, row-major `[in, out]` with `out` columns, all of them finite, each to the
    /// nearest.
    pub fn quantize(self, weights: &[f32], out: usize) -> QuantizedMatrix {
        match self {
            Self::Int8 => quantize_matrix(weights, out),
            Self::Int4 => quantize_int4(weights, out),
        }
    }
}

/// Quantises `weights` to int8, row-major `[in, out]` with `out` columns, all of them finite.
///
/// Each column's scale is the one of [`SHRINKS`] times its largest magnitude over 127 whose squared error is
/// least: clipping a few outliers buys all others a finer step.
pub fn quantize_matrix(weights: &[f32], out: usize) -> QuantizedMatrix {
    let columns = transpose(weights, out);
    let length = (weights.len() / out.max(1)).max(1);
    let quantized: Vec<(f32, Vec<i8>)> = columns.par_chunks(length).map(quantize_column).collect();
    let values = rows(quantized.iter().map(|(_, column)| column.as_slice()));
    let scales = quantized.iter().map(|(scale, _)| *scale).collect();
    finish(weights, values, None, scales)
}

/// Quantises `weights` to int4, as [`int4::quantize_column`] does a column.
fn quantize_int4(weights: &[f32], out: usize) -> QuantizedMatrix {
    let columns = transpose(weights, out);
    let length = (weights.len() / out.max(1)).max(1);
    let columns = columns.par_chunks(length).map(int4::quantize_column);
    let quantized: Vec<int4::Column> = columns.collect();
    let values = rows(quantized.iter().map(|column| column.values.as_slice()));
    let multipliers = rows(quantized.iter().map(|column| column.multipliers.as_slice()));
    let scales = quantized.iter().map(|column| column.scale).collect();
    finish(weights, values, Some(multipliers), scales)
}

/// Columns of one length to a row-major matrix.
fn rows<'a, T: Copy + 'a>(columns: impl Iterator<Item = &'a [T]> + Clone) -> Vec<T> {
    let length = columns.clone().map(<[T]>::len).next().unwrap_or_default();
    let row = |row| {
        columns
            .clone()
            .filter_map(move |column| column.get(row).copied())
    };
    (0..length).flat_map(row).collect()
}

fn finish(
    weights: &[f32],
    values: Vec<i8>,
    multipliers: Option<Vec<u8>>,
    scales: Vec<f32>,
) -> QuantizedMatrix {
    let stored = values
        .iter()
        .zip(scales.iter().cycle())
        .map(|(q, scale)| f32::from(*q) * scale);
    let error = QuantizationError::measure(weights, stored);
    QuantizedMatrix {
        values,
        multipliers,
        scales,
        error,
    }
}

/// Candidates for a column's range, relative to its largest magnitude, in percent.
const SHRINKS: std::ops::RangeInclusive<u8> = 70..=100;

/// The best scale of a column and its values.
fn quantize_column(column: &[f32]) -> (f32, Vec<i8>) {
    let largest = column.iter().fold(0f32, |largest, w| largest.max(w.abs()));
    let whole = largest / LIMIT;
    // A scale that underflows to zero stands for a column of zeros.
    if whole == 0.0 {
        return (0.0, vec![0; column.len()]);
    }
    let round = |w: f32, scale: f32| (w / scale).round_ties_even().clamp(-LIMIT, LIMIT);
    let mut best = (f32::INFINITY, whole);
    // From the whole range down, so that a tie clips nothing.
    for percent in SHRINKS.rev() {
        let scale = whole * (f32::from(percent) / 100.0);
        let error = squared_error(column, scale);
        if error < best.0 && scale > 0.0 {
            best = (error, scale);
        }
    }
    let (_, scale) = best;
    (
        scale,
        column.iter().map(|w| round(*w, scale) as i8).collect(),
    )
}

/// What `scale` loses of `column`, written so that the compiler can vectorise it.
fn squared_error(column: &[f32], scale: f32) -> f32 {
    // Adding and subtracting 1.5 * 2^23 rounds to the nearest integer, ties to even.
    const ROUND: f32 = 12_582_912.0;
    let inverse = 1.0 / scale;
    let mut lanes = [0f32; 16];
    for chunk in column.chunks(lanes.len()) {
        for (lane, w) in lanes.iter_mut().zip(chunk) {
            let q = ((w * inverse).clamp(-LIMIT, LIMIT) + ROUND) - ROUND;
            let error = w - q * scale;
            *lane += error * error;
        }
    }
    lanes.iter().sum()
}

/// `[rows, columns]` to `[columns, rows]`, both row-major.
pub fn transpose(values: &[f32], columns: usize) -> Vec<f32> {
    let rows = values.len() / columns.max(1);
    let mut transposed = Vec::with_capacity(values.len());
    for column in 0..columns {
        transposed.extend((0..rows).filter_map(|row| values.get(row * columns + column)));
    }
    transposed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_multiples_of_a_step_lose_nothing() {
        // Columns: 127, -64 and 0 steps of 2; of 0.5 with the sign reversed; zeros.
        let weights = [254.0, -63.5, 0.0, -128.0, 32.0, 0.0, 0.0, 0.0, 0.0];
        let q = quantize_matrix(&weights, 3);
        assert_eq!(q.values, [127, -127, 0, -64, 64, 0, 0, 0, 0]);
        assert_eq!(q.scales, [2.0, 0.5, 0.0]);
        assert_eq!(q.error.snr_db, None);
    }

    #[test]
    fn a_lone_outlier_is_clipped_when_that_is_better() {
        // 1000 weights up to 0.8 and one of 1.0: a step for 0.9 or so has the least error.
        let mut weights: Vec<f32> = (0..1000)
            .map(|i| ((i * 7919) % 1000) as f32 / 625.0 - 0.8)
            .collect();
        let plain = |weights: &[f32]| {
            let step = 1.0 / 127.0;
            let stored = weights.iter().map(|w| (w / step).round_ties_even() * step);
            QuantizationError::measure(weights, stored)
        };
        weights.push(1.0);
        let q = quantize_matrix(&weights, 1);
        assert!(q.scales[0] < 1.0 / 127.0);
        assert!(q.error.snr_db > plain(&weights).snr_db, "{:?}", q.error);
        assert_eq!(q.values.last(), Some(&127));
    }

    #[test]
    fn denormal_and_huge_weights_stay_in_range() {
        let q = quantize_matrix(
            &[f32::from_bits(1), f32::MAX, -f32::from_bits(3), -f32::MAX],
            2,
        );
        assert!(q.values.iter().all(|v| *v != i8::MIN));
        assert_eq!((q.values[1], q.values[3]), (127, -127));
    }

    #[test]
    fn transposing_swaps_rows_and_columns() {
        assert_eq!(
            transpose(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 3),
            [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]
        );
    }
}
