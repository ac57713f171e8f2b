//! The distance gate: what is farther from every example than this is none of the classes.

use crate::nearest_mean::scale;

/// The share of what is none of the classes that may pass for one.
pub const FALSE_ACCEPTANCE: f64 = 0.05;
/// Negatives that calibrate by themselves; with fewer the other classes help.
const ENOUGH: usize = 10;
/// The 95th percentile of Student's t, by degrees of freedom from 1.
const STUDENT: [f64; 18] = [
    6.314, 2.920, 2.353, 2.132, 2.015, 1.943, 1.895, 1.860, 1.833, 1.812, 1.796, 1.782, 1.771,
    1.761, 1.753, 1.746, 1.740, 1.734,
];
/// The deviation of the logarithm of a distance where one distance alone is known.
const DEVIATION: f64 = 0.2;
/// How far around the limit a verdict is neither here nor there, as a share of the limit.
const SOFTNESS: f64 = 0.1;

/// What a gate's limit was found with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Calibration {
    /// Pictures that were shown as none of the classes.
    Negatives,
    /// The same, and each class for the others.
    NegativesAndClasses,
    /// Each class for the others: one stands for what was never shown.
    OtherClasses,
    /// The examples' own distances: nothing else was shown, so the limit is loose.
    OwnExamples,
}

/// Distances from the nearest example, of every feature in its deviations, and their limit.
#[derive(Clone, Debug, PartialEq)]
pub struct Gate {
    width: usize,
    scale: Vec<f64>,
    /// The examples of all classes, scaled.
    examples: Vec<f64>,
    limit: f64,
    calibration: Calibration,
}

/// An example of a class, for calibration: `unit` is what may resemble it too much to be held against it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample<'a> {
    pub(crate) features: &'a [f32],
    pub(crate) class: usize,
    pub(crate) unit: usize,
}

impl Gate {
    /// A gate around the examples, calibrated so that of what is none of them 5 % pass. None if nothing is there to say how far is
    /// far: a single example.
    pub(crate) fn fit(samples: &[Sample<'_>], negatives: &[&[f32]], width: usize) -> Option<Self> {
        let all: Vec<&[f32]> = samples
            .iter()
            .map(|sample| sample.features)
            .chain(negatives.iter().copied())
            .collect();
        let scale = scale(&all.concat(), width);
        let scaled = |row: &[f32]| -> Vec<f64> {
            let pairs = row.iter().zip(&scale);
            pairs.map(|(x, scale)| f64::from(*x) * scale).collect()
        };
        let rows: Vec<Vec<f64>> = samples
            .iter()
            .map(|sample| scaled(sample.features))
            .collect();
        let nearest = |row: &[f64], counts: &dyn Fn(&Sample<'_>) -> bool| {
            let others = samples.iter().zip(&rows);
            let others = others.filter(|(sample, _)| counts(sample));
            others.map(|(_, other)| apart(row, other)).reduce(f64::min)
        };
        let from_negatives = negatives
            .iter()
            .filter_map(|row| nearest(&scaled(row), &|_| true));
        let mut distances: Vec<f64> = from_negatives.collect();
        let mut calibration = Calibration::Negatives;
        if distances.len() < ENOUGH {
            let of_class = |(sample, row): (&Sample<'_>, &Vec<f64>)| {
                nearest(row, &|other| other.class != sample.class)
            };
            let classes: Vec<f64> = samples.iter().zip(&rows).filter_map(of_class).collect();
            calibration = match (distances.is_empty(), classes.is_empty()) {
                (true, _) => Calibration::OtherClasses,
                (false, true) => Calibration::Negatives,
                (false, false) => Calibration::NegativesAndClasses,
            };
            distances.extend(classes);
        }
        let limit = if distances.is_empty() {
            let own = |(sample, row): (&Sample<'_>, &Vec<f64>)| {
                nearest(row, &|other| other.unit != sample.unit)
            };
            let own: Vec<f64> = samples.iter().zip(&rows).filter_map(own).collect();
            calibration = Calibration::OwnExamples;
            outer(&own)?
        } else {
            inner(&mut distances)
        };
        Some(Self {
            width,
            examples: rows.concat(),
            scale,
            limit,
            calibration,
        })
    }

    /// How far these features are from the nearest example.
    #[must_use]
    pub fn distance(&self, features: &[f32]) -> f64 {
        let row: Vec<f64> = features
            .iter()
            .zip(&self.scale)
            .map(|(x, scale)| f64::from(*x) * scale)
            .collect();
        let others = self.examples.chunks_exact(self.width.max(1));
        others
            .map(|other| apart(&row, other))
            .fold(f64::INFINITY, f64::min)
    }

    /// The distance from which on something is none of the classes.
    #[must_use]
    pub fn limit(&self) -> f64 {
        self.limit
    }

    /// What the limit was found with.
    #[must_use]
    pub fn calibration(&self) -> Calibration {
        self.calibration
    }

    /// How much more likely than the likeliest class it is that something at this distance is none: 1 at the limit.
    pub(crate) fn odds(&self, distance: f64) -> f64 {
        let steps = (distance - self.limit) / (SOFTNESS * self.limit).max(f64::MIN_POSITIVE);
        steps.clamp(-50.0, 50.0).exp()
    }
}

/// The root of the mean square of the differences.
fn apart(one: &[f64], other: &[f64]) -> f64 {
    let squares = one.iter().zip(other).map(|(a, b)| (a - b).powi(2));
    (squares.sum::<f64>() / one.len().max(1) as f64).sqrt()
}

/// Mean and deviation of logarithms.
fn logarithms(distances: &[f64]) -> (f64, f64) {
    let logs = || distances.iter().map(|d| d.max(1e-9).ln());
    let count = distances.len() as f64;
    let mean = logs().sum::<f64>() / count;
    let variance = logs().map(|log| (log - mean).powi(2)).sum::<f64>() / (count - 1.0).max(1.0);
    (
        mean,
        if distances.len() < 2 {
            DEVIATION
        } else {
            variance.sqrt()
        },
    )
}

/// How many deviations from the mean of so many the next one is with 95 %.
fn reach(count: usize) -> f64 {
    let student = match count {
        0 | 1 => 1.645,
        _ => STUDENT.get(count - 2).copied().unwrap_or(1.7),
    };
    student * (1.0 + 1.0 / count.max(1) as f64).sqrt()
}

/// The distance that 5 % of what these are drawn from stay below: by rank where there are enough of them, else as if
/// their logarithms were normal.
fn inner(distances: &mut [f64]) -> f64 {
    distances.sort_by(f64::total_cmp);
    let rank = (FALSE_ACCEPTANCE * (distances.len() + 1) as f64).floor() as usize;
    if let Some(limit) = rank.checked_sub(1).and_then(|rank| distances.get(rank)) {
        return *limit;
    }
    let (mean, deviation) = logarithms(distances);
    (mean - reach(distances.len()) * deviation).exp()
}

/// The distance that 5 % of what these are drawn from exceed.
fn outer(distances: &[f64]) -> Option<f64> {
    if distances.is_empty() {
        return None;
    }
    let (mean, deviation) = logarithms(distances);
    Some((mean + reach(distances.len()) * deviation).exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(values: &[(f32, usize)]) -> Vec<(Vec<f32>, usize)> {
        values.iter().map(|(x, class)| (vec![*x], *class)).collect()
    }

    fn gate(values: &[(f32, usize)], negatives: &[f32]) -> Option<Gate> {
        let rows = samples(values);
        let mut samples = Vec::new();
        for (unit, (features, class)) in rows.iter().enumerate() {
            samples.push(Sample {
                features,
                class: *class,
                unit,
            });
        }
        let negatives: Vec<&[f32]> = negatives.chunks(1).collect();
        Gate::fit(&samples, &negatives, 1)
    }

    #[test]
    fn of_many_negatives_one_in_twenty_passes() {
        let negatives: Vec<f32> = (1..100).map(|i| i as f32).collect();
        let gate = gate(&[(0.0, 0)], &negatives).unwrap();
        assert_eq!(gate.calibration(), Calibration::Negatives);
        let pass = negatives
            .iter()
            .filter(|x| gate.distance(&[**x]) < gate.limit());
        assert_eq!(pass.count(), 4);
        assert!(gate.odds(gate.limit()) == 1.0 && gate.odds(0.0) < 1e-3);
    }

    #[test]
    fn with_fewer_the_limit_is_below_all_of_them_and_the_classes_help() {
        let by_classes = gate(&[(0.0, 0), (0.1, 0), (5.0, 1), (5.1, 1)], &[]).unwrap();
        assert_eq!(by_classes.calibration(), Calibration::OtherClasses);
        assert!(by_classes.distance(&[4.9]) < by_classes.limit());
        assert!(by_classes.distance(&[2.5]) < by_classes.distance(&[20.0]));
        assert!(by_classes.distance(&[20.0]) > by_classes.limit());
        let both = gate(&[(0.0, 0), (5.0, 1)], &[2.5]).unwrap();
        assert_eq!(both.calibration(), Calibration::NegativesAndClasses);
        assert!(both.distance(&[2.5]) > both.limit());
    }

    #[test]
    fn one_class_alone_has_a_loose_gate_and_one_example_none() {
        assert!(gate(&[(1.0, 0)], &[]).is_none());
        let own = gate(&[(1.0, 0), (1.2, 0), (0.9, 0)], &[]).unwrap();
        assert_eq!(own.calibration(), Calibration::OwnExamples);
        assert!(own.distance(&[1.1]) < own.limit() && own.distance(&[9.0]) > own.limit());
    }
}
