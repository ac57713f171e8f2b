//! Symmetric int8 per output channel, and what it costs.

use rayon::prelude::{IndexedParallelIterator, IntoParallelRefMutIterator, ParallelIterator};

/// The largest magnitude of a quantised weight. -128 is never used: 127 * -128 sums twice would overflow
/// the 16-bit accumulators of the kernels for the Cortex-A72.
const LIMIT: f32 = 127.0;

/// A weight matrix `[in, out]` as int8 with one scale per output channel (column).
#[derive(Clone, Debug, PartialEq)]
pub struct QuantizedMatrix {
    /// Row-major `[in, out]`, each in [-127, 127].
    pub values: Vec<i8>,
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

/// Quantises `weights`, row-major `[in, out]` with `out` columns, all of them finite.
pub fn quantize_matrix(weights: &[f32], out: usize) -> QuantizedMatrix {
    let mut scales = vec![0f32; out];
    for row in weights.chunks_exact(out.max(1)) {
        for (scale, w) in scales.iter_mut().zip(row) {
            *scale = scale.max(w.abs());
        }
    }
    for scale in &mut scales {
        *scale /= LIMIT;
    }
    let mut values = vec![0i8; weights.len()];
    values
        .par_iter_mut()
        .with_min_len(1 << 14)
        .enumerate()
        .for_each(|(at, value)| {
            let (Some(w), Some(scale)) = (weights.get(at), scales.get(at % out.max(1))) else {
                return;
            };
            // A scale so small that it underflowed to zero leaves the zeros in place.
            if *scale > 0.0 {
                *value = (w / scale).round_ties_even().clamp(-LIMIT, LIMIT) as i8;
            }
        });
    let stored = values.iter().enumerate().map(|(at, q)| {
        let scale = scales.get(at % out.max(1)).copied().unwrap_or_default();
        f32::from(*q) * scale
    });
    let error = QuantizationError::measure(weights, stored);
    QuantizedMatrix {
        values,
        scales,
        error,
    }
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
    fn each_column_uses_its_whole_range() {
        // Columns: [1, -2, 0.5], [100, 0, -50], zeros.
        let weights = [1.0, 100.0, 0.0, -2.0, 0.0, 0.0, 0.5, -50.0, 0.0];
        let q = quantize_matrix(&weights, 3);
        assert_eq!(q.values, [64, 127, 0, -127, 0, 0, 32, -64, 0]);
        assert_eq!(q.scales, [2.0 / 127.0, 100.0 / 127.0, 0.0]);
    }

    #[test]
    fn the_error_is_at_most_half_a_step() {
        let weights: Vec<f32> = (0..1000)
            .map(|i| ((i * 7919) % 1000) as f32 / 500.0 - 1.0)
            .collect();
        let q = quantize_matrix(&weights, 10);
        let step = q.scales.iter().copied().fold(0f32, f32::max);
        assert!(
            q.error.max_error <= step / 2.0 * 1.0001,
            "{:?} against {step}",
            q.error
        );
        assert!(
            q.error.snr_db.is_some_and(|snr| snr > 40.0),
            "{:?}",
            q.error
        );
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
