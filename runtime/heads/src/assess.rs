//! What a head would have said of each example without it: accuracy, and the examples that it would have called otherwise.

use crate::error::FitError;
use crate::folds::{Counted, Units};
use crate::linear::{largest, log_sum_exp};
use crate::logistic::Logistic;
use crate::nearest_mean::NearestMean;
use crate::samples::Samples;

/// Most times that nearest means are taken.
const MEANS: usize = 100;
/// Most times that a regression is fitted.
const REGRESSIONS: usize = 5;
/// How sharp the softmax of similarities may be.
const SHARPNESS: [f64; 7] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0];

/// An example that would have been called otherwise.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Suspect {
    /// Its place among the examples, from 0.
    pub example: usize,
    /// What it was shown as.
    pub label: String,
    /// What it resembles more.
    pub resembles: String,
}

/// What became known by leaving each out.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct Assessment {
    /// The share of the classes' showings (or examples) that are told rightly without themselves; none for a single class.
    pub accuracy: Option<f64>,
    /// Of how many.
    pub of: usize,
    /// What they are.
    pub counted: Counted,
    /// Those that are told as something else.
    pub suspects: Vec<Suspect>,
}

/// The examples as one layer has them.
#[derive(Debug)]
pub(crate) struct Data<'a> {
    /// Class of each, none for what is none of them.
    pub(crate) classes: Vec<Option<usize>>,
    pub(crate) features: Vec<&'a [f32]>,
    pub(crate) labels: &'a [String],
    pub(crate) width: usize,
    pub(crate) units: &'a Units,
}

/// Logits of each example without itself; none for negatives and where a class was left out whole.
type HeldOut = Vec<Option<Vec<f64>>>;

impl Data<'_> {
    /// Features and classes of these examples, and the features of the negatives among them.
    pub(crate) fn part(&self, take: impl Fn(usize) -> bool) -> (Vec<f32>, Vec<usize>, Vec<f32>) {
        let (mut features, mut labels, mut others) = (Vec::new(), Vec::new(), Vec::new());
        let all = self.features.iter().zip(&self.classes).enumerate();
        for (_, (row, class)) in all.filter(|(index, _)| take(*index)) {
            match class {
                Some(class) => {
                    features.extend_from_slice(row);
                    labels.push(*class);
                }
                None => others.extend_from_slice(row),
            }
        }
        (features, labels, others)
    }

    /// Leaves each fold out once.
    fn held_out(
        &self,
        most: usize,
        fit: impl Fn(&Samples<'_>, &[f32]) -> Result<Box<dyn Fn(&[f32]) -> Vec<f64>>, FitError>,
    ) -> Result<HeldOut, FitError> {
        let (fold_of, folds) = self.units.folds(most);
        let mut held: HeldOut = vec![None; self.features.len()];
        for fold in 0..folds {
            let mine = |index: usize| fold_of.get(index) == Some(&fold);
            let (features, labels, others) = self.part(|index| !mine(index));
            let missing = (0..self.labels.len()).any(|class| !labels.contains(&class));
            let (samples, width) = (&labels, self.width);
            let samples = Samples {
                features: &features,
                width,
                labels: samples,
            };
            if missing || labels.is_empty() {
                continue;
            }
            let head = fit(&samples, &others)?;
            let all = held.iter_mut().zip(&self.features).zip(&self.classes);
            for (_, ((held, row), _)) in all
                .enumerate()
                .filter(|(index, (_, class))| mine(*index) && class.is_some())
            {
                *held = Some(head(row));
            }
        }
        Ok(held)
    }

    /// By the nearest mean: what each example is similar to without itself.
    pub(crate) fn means(&self) -> Result<HeldOut, FitError> {
        self.held_out(MEANS, |samples, others| {
            let head = NearestMean::fit(samples, self.labels.len(), others)?;
            Ok(Box::new(move |row| head.similarities(row)))
        })
    }

    /// By logistic regression, in fewer folds.
    pub(crate) fn regressions(&self, c: f64) -> Result<HeldOut, FitError> {
        self.held_out(REGRESSIONS, |samples, _| {
            let head = Logistic::fit(samples, self.labels.len(), c)?.head;
            Ok(Box::new(move |row| head.logits(row)))
        })
    }

    /// What the held-out logits say. What could not be held out, a class of one example, is not counted.
    pub(crate) fn assess(&self, held: &HeldOut) -> Assessment {
        let mut rights = vec![(0usize, 0usize); self.units.count];
        let mut suspects = Vec::new();
        let name = |class: usize| self.labels.get(class).cloned().unwrap_or_default();
        for (index, (held, class)) in held.iter().zip(&self.classes).enumerate() {
            let (Some(held), Some(class)) = (held, class) else {
                continue;
            };
            let told = largest(held).unwrap_or_default();
            let unit = self.units.of.get(index).copied().unwrap_or_default();
            if let Some((right, of)) = rights.get_mut(unit) {
                *right += usize::from(told == *class);
                *of += 1;
            }
            if told != *class {
                suspects.push(Suspect {
                    example: index,
                    label: name(*class),
                    resembles: name(told),
                });
            }
        }
        let counted = rights.iter().filter(|(_, of)| *of > 0);
        let shares: Vec<f64> = counted.map(|(r, of)| *r as f64 / *of as f64).collect();
        let of = shares.len();
        let several = self.labels.len() > 1 && of > 0;
        Assessment {
            accuracy: several.then(|| shares.iter().sum::<f64>() / of as f64),
            of,
            counted: self.units.counted,
            suspects: if several { suspects } else { Vec::new() },
        }
    }

    /// How sharp the softmax of these similarities is at its best.
    pub(crate) fn sharpness(&self, held: &HeldOut) -> f64 {
        let nats = |sharpness: f64| {
            let pairs = held.iter().zip(&self.classes);
            let known = pairs.filter_map(|(held, class)| held.as_ref().zip(*class));
            let one = |(held, class): (&Vec<f64>, usize)| {
                let logits: Vec<f64> = held.iter().map(|s| s * sharpness).collect();
                log_sum_exp(&logits) - logits.get(class).copied().unwrap_or_default()
            };
            known.map(one).sum::<f64>()
        };
        let best = SHARPNESS.into_iter();
        let best = best.min_by(|a, b| nats(*a).total_cmp(&nats(*b)));
        // With nothing held out all are equal: the usual one.
        match held.iter().flatten().count() {
            0 => 8.0,
            _ => best.unwrap_or(8.0),
        }
    }
}
