//! Weights that lie on an integer grid already: a checkpoint fine-tuned for int8 has, in every column, a step
//! of which all its weights are multiples.
//!
//! Rounding such a checkpoint costs nothing, until one row is scaled by any factor but a whole number: then
//! that row falls between the steps. The other rows still show where those are, and of all factors only the
//! true one brings the row back.

/// The largest integer on the grid.
const LIMIT: u8 = 127;

/// Squared error of rounding to a grid, relative to the weights' squares, below which they lie on it. Weights
/// stored as f16 have 4e-8 on their own grid; weights on no grid lose at least 1e-5 even to the finest.
const ON_GRID: f64 = 1e-6;

/// Columns looked at, evenly spaced: more than enough to tell a grid from chance.
const SAMPLE: usize = 64;
const FEWEST: usize = 8;

/// Puts the rows of `weight` (`[in, out]`) that are to be divided by a factor other than one back on the grid
/// that the others lie on, if they do: their factors become those near by that do.
pub(super) fn refine(weight: &[f32], outputs: usize, factors: &mut [f64]) {
    let Some(steps) = steps(weight, outputs, factors) else {
        return;
    };
    for (row, factor) in weight.chunks_exact(outputs).zip(factors) {
        if *factor != 1.0 {
            let at = |(column, step): &(usize, f64)| Some(f64::from(*row.get(*column)?) / step);
            let multiples: Vec<f64> = steps.iter().filter_map(at).collect();
            *factor = nearest(&multiples, *factor).unwrap_or(*factor);
        }
    }
}

/// A sample of columns and their steps; nothing unless all have one.
fn steps(weight: &[f32], outputs: usize, factors: &[f64]) -> Option<Vec<(usize, f64)>> {
    if outputs == 0 {
        return None;
    }
    let mut steps = Vec::new();
    for column in (0..outputs).step_by(outputs.div_ceil(SAMPLE)) {
        let rows = weight.iter().skip(column).step_by(outputs).zip(factors);
        let ordinary = rows.filter(|(_, factor)| **factor == 1.0);
        let values: Vec<f64> = ordinary.map(|(w, _)| f64::from(*w)).collect();
        let largest = values
            .iter()
            .fold(0.0, |largest: f64, w| largest.max(w.abs()));
        if largest > 0.0 {
            // The coarsest: that of which the grid is a part would do for any row.
            let mut candidates = (1..=LIMIT).map(|n| largest / f64::from(n));
            steps.push((column, candidates.find(|step| on_grid(&values, *step))?));
        }
    }
    (steps.len() >= FEWEST).then_some(steps)
}

/// The factor nearest to `estimate` by which a row, in multiples of its columns' steps, is to be divided to
/// lie on the grid.
fn nearest(multiples: &[f64], estimate: f64) -> Option<f64> {
    let largest = multiples
        .iter()
        .fold(0.0, |largest: f64, m| largest.max(m.abs()));
    let candidates = (1..=LIMIT).map(|n| largest / f64::from(n));
    let far = |factor: &f64| (factor / estimate).ln().abs();
    candidates
        .filter(|factor| *factor > 0.0 && on_grid(multiples, *factor))
        .min_by(|a, b| far(a).total_cmp(&far(b)))
        .map(|factor| {
            // One weight gave it; all of them give it more exactly.
            let (mut products, mut squares) = (0.0, 0.0);
            for m in multiples {
                let q = (m / factor).round_ties_even();
                products += m * q;
                squares += q * q;
            }
            products / squares
        })
}

/// Whether `values` are multiples of `step`.
fn on_grid(values: &[f64], step: f64) -> bool {
    let mut left = ON_GRID * values.iter().map(|x| x * x).sum::<f64>();
    values.iter().all(|x| {
        let error = x - (x / step).round_ties_even() * step;
        left -= error * error;
        left >= 0.0
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 40 rows and 20 columns of integers, each column times its step, row 3 times `factor`.
    fn weights(factor: f32) -> Vec<f32> {
        let weight = |i: usize| {
            let (row, column) = (i / 20, i % 20);
            let integer = (i * i * 7 + 13 * row + 5 * column) % 255;
            let weight = (integer as f32 - 127.0) * (0.001 + 0.0003 * column as f32);
            if row == 3 { weight * factor } else { weight }
        };
        (0..40 * 20).map(weight).collect()
    }

    #[test]
    fn a_row_returns_to_its_grid_from_an_estimate() {
        for factor in [61.37f32, 1.0 / 43.21] {
            let mut factors = vec![1.0; 40];
            factors[3] = f64::from(factor) * 1.4;
            refine(&weights(factor), 20, &mut factors);
            assert!(
                (factors[3] / f64::from(factor) - 1.0).abs() < 1e-5,
                "{factors:?}"
            );
        }
    }

    #[test]
    fn weights_on_no_grid_keep_their_estimate() {
        let mut weights = weights(50.0);
        weights
            .iter_mut()
            .enumerate()
            .for_each(|(i, w)| *w += 1e-3 * (i as f32).sin());
        let mut factors = vec![1.0; 40];
        factors[3] = 64.0;
        refine(&weights, 20, &mut factors);
        assert_eq!(factors[3], 64.0);
        // Nor does a row that was on none become one of a grid that the others lie on.
        let mut weights = self::weights(50.0);
        weights[60..80]
            .iter_mut()
            .enumerate()
            .for_each(|(i, w)| *w += 0.1 * (i as f32).sin());
        refine(&weights, 20, &mut factors);
        assert_eq!(factors[3], 64.0);
    }
}
