//! Multinomial logistic regression on standardised features: scikit-learn's objective, minimised by argmin's
//! L-BFGS.

use argmin::core::{CostFunction, Executor, Gradient, State};
use argmin::solver::linesearch::MoreThuenteLineSearch;
use argmin::solver::quasinewton::LBFGS;
use rayon::prelude::{IndexedParallelIterator, ParallelIterator, ParallelSlice};

use crate::error::FitError;
use crate::linear::{LinearHead, log_sum_exp};
use crate::moments::moments;
use crate::samples::Samples;

/// Parts that the samples are summed in: a number of its own, so that the result does not depend on the
/// threads.
const PARTS: usize = 16;
/// Past gradients that L-BFGS remembers, as scipy does.
const MEMORY: usize = 10;
/// Norm of the gradient (of the mean loss) at which it stops.
const TOLERANCE: f64 = 1e-5;
/// Or when a step gains less than this.
const GAIN: f64 = 1e-9;
const MOST_ITERATIONS: u64 = 1000;

/// A head that a regression found.
#[derive(Clone, Debug, PartialEq)]
pub struct Logistic {
    /// What it found.
    pub head: LinearHead,
    /// The iterations that it took.
    pub iterations: u64,
}

impl Logistic {
    /// Fits `classes` linear functions: mean cross-entropy plus `|w|^2 / (2 c n)`, biases not penalised, on
    /// features of mean 0 and variance 1. The standardisation is folded into the head, which takes features as
    /// they are. Two classes are penalised as the one vector between them, as scikit-learn does.
    ///
    /// # Errors
    /// No samples, a class out of range, features that are not `samples * width`; a search that fails.
    pub fn fit(samples: &Samples<'_>, classes: usize, c: f64) -> Result<Self, FitError> {
        samples.check(classes)?;
        let (count, width) = (samples.labels.len(), samples.width);
        let (mean, scale) = moments(samples.features, width);
        let standardised: Vec<f32> = samples
            .features
            .chunks_exact(width)
            .flat_map(|row| {
                let standard = row.iter().zip(mean.iter().zip(&scale));
                standard.map(|(x, (mean, scale))| ((f64::from(*x) - mean) * scale) as f32)
            })
            .collect();
        let doubled = if classes == 2 { 2.0 } else { 1.0 };
        let problem = Problem {
            samples: Samples {
                features: &standardised,
                ..*samples
            },
            classes,
            decay: doubled / (c * count as f64),
        };
        let search = |error: argmin::core::Error| FitError::Search(error.to_string());
        let solver = LBFGS::new(MoreThuenteLineSearch::new(), MEMORY)
            .with_tolerance_grad(TOLERANCE)
            .and_then(|solver| solver.with_tolerance_cost(GAIN))
            .map_err(search)?;
        let start = vec![0.0; (width + 1) * classes];
        let result = Executor::new(problem, solver)
            .configure(|state| state.param(start).max_iters(MOST_ITERATIONS))
            .run()
            .map_err(search)?;
        let found = result
            .state()
            .get_best_param()
            .ok_or_else(|| FitError::Search("nothing was found".into()))?;
        Ok(Self {
            head: folded(found, classes, &mean, &scale),
            iterations: result.state().get_iter(),
        })
    }
}

/// The head for features that are not standardised.
fn folded(parameters: &[f64], classes: usize, mean: &[f64], scale: &[f64]) -> LinearHead {
    let rows: Vec<&[f64]> = parameters.chunks_exact(classes).collect();
    let mut weight = Vec::with_capacity(mean.len() * classes);
    let mut bias = Vec::with_capacity(classes);
    for class in 0..classes {
        let column = rows.iter().filter_map(|row| row.get(class)).copied();
        let mut sum = rows
            .last()
            .and_then(|row| row.get(class))
            .copied()
            .unwrap_or_default();
        for (w, (mean, scale)) in column.zip(mean.iter().zip(scale)) {
            weight.push((w * scale) as f32);
            sum -= w * scale * mean;
        }
        bias.push(sum as f32);
    }
    LinearHead { weight, bias }
}

/// Parameters are `[width + 1, classes]`, the biases last.
struct Problem<'a> {
    samples: Samples<'a>,
    classes: usize,
    decay: f64,
}

impl Problem<'_> {
    /// Mean loss, and what `each` sums of every sample: it is given a sample's row and its softmax minus its
    /// one-hot class.
    fn sum<T: Send>(
        &self,
        parameters: &[f64],
        empty: impl Fn() -> T + Sync,
        each: impl Fn(&mut T, &[f32], &[f64]) + Sync,
    ) -> (f64, Vec<T>) {
        let Samples {
            features,
            width,
            labels,
        } = self.samples;
        let per = labels.len().div_ceil(PARTS).max(1);
        let parts: Vec<(f64, T)> = features
            .par_chunks(per * width)
            .zip(labels.par_chunks(per))
            .map(|(features, labels)| {
                let (mut loss, mut sums) = (0.0, empty());
                let mut logits = vec![0.0; self.classes];
                for (row, label) in features.chunks_exact(width).zip(labels) {
                    logits.fill(0.0);
                    let one = std::iter::once(&1f32);
                    for (x, weights) in row
                        .iter()
                        .chain(one)
                        .zip(parameters.chunks_exact(self.classes))
                    {
                        let x = f64::from(*x);
                        logits
                            .iter_mut()
                            .zip(weights)
                            .for_each(|(l, w)| *l += x * w);
                    }
                    let total = log_sum_exp(&logits);
                    loss += total - logits.get(*label).copied().unwrap_or_default();
                    logits.iter_mut().for_each(|l| *l = (*l - total).exp());
                    if let Some(picked) = logits.get_mut(*label) {
                        *picked -= 1.0;
                    }
                    each(&mut sums, row, &logits);
                }
                (loss, sums)
            })
            .collect();
        let loss = parts.iter().map(|(loss, _)| loss).sum::<f64>() / labels.len() as f64;
        (loss, parts.into_iter().map(|(_, sums)| sums).collect())
    }

    /// The parameters that are penalised.
    fn weights(&self) -> usize {
        self.samples.width * self.classes
    }
}

impl CostFunction for Problem<'_> {
    type Param = Vec<f64>;
    type Output = f64;

    fn cost(&self, parameters: &Vec<f64>) -> Result<f64, argmin::core::Error> {
        let (loss, _) = self.sum(parameters, || (), |(), _, _| {});
        let squares: f64 = parameters.iter().take(self.weights()).map(|w| w * w).sum();
        Ok(loss + 0.5 * self.decay * squares)
    }
}

impl Gradient for Problem<'_> {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;

    fn gradient(&self, parameters: &Vec<f64>) -> Result<Vec<f64>, argmin::core::Error> {
        let empty = || vec![0.0; parameters.len()];
        let (_, parts) = self.sum(parameters, empty, |sums: &mut Vec<f64>, row, errors| {
            let one = std::iter::once(&1f32);
            for (x, sums) in row
                .iter()
                .chain(one)
                .zip(sums.chunks_exact_mut(self.classes))
            {
                let x = f64::from(*x);
                sums.iter_mut()
                    .zip(errors)
                    .for_each(|(sum, error)| *sum += x * error);
            }
        });
        let mut gradient = empty();
        for part in parts {
            gradient.iter_mut().zip(part).for_each(|(g, sum)| *g += sum);
        }
        let count = self.samples.labels.len() as f64;
        gradient.iter_mut().for_each(|g| *g /= count);
        for (g, w) in gradient.iter_mut().zip(parameters).take(self.weights()) {
            *g += self.decay * w;
        }
        Ok(gradient)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One feature and a constant one; `y = 1` at 1, 2, 4 and `y = 0` at 0, 3, 5 shifted to -1.
    const FEATURES: [f32; 12] = [0.0, 7.0, 1.0, 7.0, 2.0, 7.0, 3.0, 7.0, 4.0, 7.0, -1.0, 7.0];
    const LABELS: [usize; 6] = [0, 1, 1, 0, 1, 0];

    #[test]
    fn two_classes_are_scikit_learns() {
        let samples = Samples {
            features: &FEATURES,
            width: 2,
            labels: &LABELS,
        };
        let Logistic { head, .. } = Logistic::fit(&samples, 2, 1.0).unwrap();
        // LogisticRegression().fit(StandardScaler().fit_transform(X), y), scikit-learn 1.9, coef_ / scale_.
        let slope = head.weight[2] - head.weight[0];
        assert!((slope - 0.353_240_55).abs() < 1e-4, "{slope}");
        assert_eq!(
            (head.weight[1], head.weight[3]),
            (0.0, 0.0),
            "a constant feature"
        );
        let quality = head.quality(&samples);
        assert!((quality.accuracy - 4.0 / 6.0).abs() < 1e-9, "{quality:?}");
    }

    #[test]
    fn the_gradient_is_that_of_the_cost() {
        let samples = Samples {
            features: &FEATURES,
            width: 2,
            labels: &[0, 1, 2, 0, 1, 2],
        };
        let problem = Problem {
            samples,
            classes: 3,
            decay: 0.3,
        };
        let at: Vec<f64> = (0..9).map(|i| f64::from(i) / 20.0 - 0.2).collect();
        let gradient = problem.gradient(&at).unwrap();
        for index in 0..at.len() {
            let nudged = |by: f64| {
                let mut at = at.clone();
                at[index] += by;
                problem.cost(&at).unwrap()
            };
            let slope = (nudged(1e-5) - nudged(-1e-5)) / 2e-5;
            assert!((slope - gradient[index]).abs() < 1e-7, "{index}");
        }
    }

    #[test]
    fn impossible_samples_are_refused() {
        let fit = |features: &[f32], labels: &[usize]| {
            let samples = Samples {
                features,
                width: 2,
                labels,
            };
            Logistic::fit(&samples, 2, 1.0).unwrap_err().to_string()
        };
        assert!(fit(&[], &[]).contains("0 samples"));
        assert!(fit(&[1.0], &[0]).contains("1 features"));
        assert!(fit(&[1.0, 2.0], &[2]).contains("class 2 of 2"));
    }
}
