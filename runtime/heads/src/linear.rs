//! A linear head: what every other becomes when it is written into a model file.

use crate::samples::{Quality, Samples};

/// `logits = weight pooled + bias` on the mean of a layer's normalised hidden states.
#[derive(Clone, Debug, PartialEq)]
pub struct LinearHead {
    /// Row-major `[labels, width]`.
    pub weight: Vec<f32>,
    /// `[labels]`.
    pub bias: Vec<f32>,
}

impl LinearHead {
    /// One number a class.
    #[must_use]
    pub fn logits(&self, features: &[f32]) -> Vec<f64> {
        let weights = self.weight.chunks_exact(features.len().max(1));
        weights
            .zip(&self.bias)
            .map(|(w, bias)| {
                let products = w
                    .iter()
                    .zip(features)
                    .map(|(w, x)| f64::from(*w) * f64::from(*x));
                f64::from(*bias) + products.sum::<f64>()
            })
            .collect()
    }

    /// How it does on `samples`.
    #[must_use]
    pub fn quality(&self, samples: &Samples<'_>) -> Quality {
        let (mut right, mut nats) = (0usize, 0.0);
        for (row, label) in samples.rows() {
            let logits = self.logits(row);
            let picked = logits.get(label).copied().unwrap_or(f64::NEG_INFINITY);
            right += usize::from(largest(&logits) == Some(label));
            nats += log_sum_exp(&logits) - picked;
        }
        let count = samples.labels.len().max(1) as f64;
        Quality {
            accuracy: right as f64 / count,
            nats: nats / count,
        }
    }
}

/// The place of the largest number, the first of equals.
pub(crate) fn largest(numbers: &[f64]) -> Option<usize> {
    let mut best: Option<(usize, f64)> = None;
    for (index, number) in numbers.iter().enumerate() {
        if best.is_none_or(|(_, most)| *number > most) {
            best = Some((index, *number));
        }
    }
    best.map(|(index, _)| index)
}

/// The logarithm of the sum of exponentials.
pub(crate) fn log_sum_exp(row: &[f64]) -> f64 {
    let top = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    top + row
        .iter()
        .map(|value| (value - top).exp())
        .sum::<f64>()
        .ln()
}

/// Numbers that sum to one, the larger the larger.
pub(crate) fn softmax(logits: &[f64]) -> Vec<f64> {
    let total = log_sum_exp(logits);
    logits.iter().map(|logit| (logit - total).exp()).collect()
}
