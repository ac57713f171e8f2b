//! SmoothQuant's factors for exact pairs of channels, each for the exponent that serves the output of its part best.

use super::Smoothed;
use crate::quantization::linear_weights::LinearWeights;
use crate::quantization::outliers::PairName;

/// How much of the spread moves from the activations into the weights: 0 leaves rows of weights that are all
/// alike, 1 channels of activations that are all alike.
const ALPHAS: [f32; 4] = [0.25, 0.5, 0.75, 1.0];

/// A candidate must be better by so much than the form that is there: less is noise.
const WORTHWHILE: f64 = 0.98;

/// Weights with exact pairs of channels.
pub(crate) trait Rescale: Clone {
    /// One of them.
    type Pair: Copy;

    /// What reports call it.
    fn name(pair: Self::Pair) -> PairName;

    /// Multiplies what writes each of its channels by its factor and divides what reads it.
    fn rescale(&mut self, pair: Self::Pair, factors: &[f32]);
}

/// Rescales the pairs of `part`, greedily one after the other, and says which. `sizes` gives the largest activation and the largest
/// weight of each channel of a pair, `error` that of the output.
pub(crate) fn smooth<P: Rescale, E>(
    part: &mut P,
    pairs: impl Iterator<Item = P::Pair>,
    sizes: impl Fn(P::Pair, &P) -> (Vec<f32>, Vec<f32>),
    error: impl Fn(P) -> Result<f64, E>,
) -> Result<Vec<Smoothed>, E> {
    let mut best = error(part.clone())?;
    let mut smoothed = Vec::new();
    for pair in pairs {
        let mut chosen = None;
        let (activations, weights) = sizes(pair, part);
        for alpha in ALPHAS {
            let factors = factors(&activations, &weights, alpha);
            let mut candidate = part.clone();
            candidate.rescale(pair, &factors);
            let found = error(candidate)?;
            if found < best * WORTHWHILE {
                best = found;
                let pair = P::name(pair);
                chosen = Some((Smoothed { pair, alpha }, factors));
            }
        }
        if let Some((what, factors)) = chosen {
            smoothed.push(what);
            part.rescale(pair, &factors);
        }
    }
    Ok(smoothed)
}

/// What each channel's writer is multiplied by: `largest weight^(1 - alpha) / largest activation^alpha`.
fn factors(activations: &[f32], weights: &[f32], alpha: f32) -> Vec<f32> {
    let factor = |(a, w): (&f32, &f32)| {
        let factor = w.powf(1.0 - alpha) / a.powf(alpha);
        // A channel that is never written or never read stays as it is.
        if *a > 0.0 && *w > 0.0 && factor.is_normal() {
            factor
        } else {
            1.0
        }
    };
    activations.iter().zip(weights).map(factor).collect()
}

/// The largest magnitude of each column.
pub(crate) fn maxima(values: &[f32], columns: usize) -> Vec<f32> {
    let mut largest = vec![0f32; columns];
    for row in values.chunks_exact(columns.max(1)) {
        for (largest, value) in largest.iter_mut().zip(row) {
            *largest = largest.max(value.abs());
        }
    }
    largest
}

/// The largest magnitude of each row.
pub(crate) fn rows(linear: &LinearWeights) -> Vec<f32> {
    linear
        .rows()
        .map(|row| row.iter().fold(0f32, |a, w| a.max(w.abs())))
        .collect()
}
