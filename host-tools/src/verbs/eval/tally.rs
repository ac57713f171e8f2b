//! What the predictions of one model add up to: hits, cross-entropy, calibration, confusions, times.

use std::collections::BTreeMap;

use igpt_runtime::tools::argmax;
use serde::Serialize;

/// Bins of equal width that the calibration error is summed over.
pub(super) const BINS: usize = 15;
/// A prediction counts for top-5 if the target is among so many.
const TOP: usize = 5;

/// One prediction held against its target.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Judged {
    /// The class of the largest logit, the first of equals.
    pub(super) verdict: usize,
    /// Its probability.
    pub(super) confidence: f64,
    /// The target's place: 1 if it is the verdict. Of equal logits the first comes first.
    pub(super) rank: usize,
    /// Minus the logarithm of the target's probability.
    pub(super) nats: f64,
}

impl Judged {
    /// Judges a row of logits; absent if it has none for the target.
    pub(super) fn of(row: &[f32], target: usize) -> Option<Self> {
        let own = *row.get(target)?;
        let verdict = argmax(row);
        let sum = log_sum_exp(row);
        let above =
            |(index, value): &(usize, &f32)| **value > own || (**value == own && *index < target);
        Some(Self {
            verdict,
            confidence: (f64::from(*row.get(verdict)?) - sum).exp(),
            rank: 1 + row.iter().enumerate().filter(above).count(),
            nats: sum - f64::from(own),
        })
    }

    fn is_right(&self) -> bool {
        self.rank == 1
    }
}

/// Predictions whose confidence is about the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Bin {
    /// Confidences above this,
    pub from: f64,
    /// and up to this.
    pub to: f64,
    /// Predictions.
    pub predictions: u64,
    /// Their mean confidence.
    pub confidence: f64,
    /// The share of them that is right.
    pub accuracy: f64,
}

/// How far confidence can be trusted.
#[derive(Clone, Debug, Serialize)]
pub struct Calibration {
    /// Expected calibration error: the mean of |confidence - accuracy| over the bins, weighted by their
    /// predictions.
    pub ece: f64,
    /// Bins of equal width over [0, 1].
    pub bins: Vec<Bin>,
}

/// Sums over the predictions of one model.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    pub(super) predictions: u64,
    right: u64,
    among_five: u64,
    nats: f64,
    bins: [(u64, f64, u64); BINS],
    /// Images by target and verdict.
    pub(super) confusion: BTreeMap<(usize, usize), u64>,
    pub(super) seconds: Vec<f64>,
}

impl Tally {
    /// Adds a prediction.
    pub(super) fn add(&mut self, judged: &Judged) {
        let right = u64::from(judged.is_right());
        self.predictions += 1;
        self.right += right;
        self.among_five += u64::from(judged.rank <= TOP);
        self.nats += judged.nats;
        // Bin i is (i/15, (i+1)/15]; a probability is above 0.
        let bin = (judged.confidence * BINS as f64).ceil() as usize;
        if let Some((count, confidence, hits)) = self.bins.get_mut(bin.clamp(1, BINS) - 1) {
            *count += 1;
            *confidence += judged.confidence;
            *hits += right;
        }
    }

    /// Adds to the confusion matrix.
    pub(super) fn confuse(&mut self, label: usize, verdict: usize) {
        *self.confusion.entry((label, verdict)).or_default() += 1;
    }

    fn share(&self, count: u64) -> f64 {
        count as f64 / self.predictions.max(1) as f64
    }

    pub(super) fn top1(&self) -> f64 {
        self.share(self.right)
    }

    pub(super) fn top5(&self) -> f64 {
        self.share(self.among_five)
    }

    pub(super) fn nats(&self) -> f64 {
        self.nats / self.predictions.max(1) as f64
    }

    pub(super) fn calibration(&self) -> Calibration {
        let mut ece = 0.0;
        let bin = |(index, (count, confidence, right)): (usize, &(u64, f64, u64))| {
            let n = (*count).max(1) as f64;
            ece += (confidence - *right as f64).abs() / self.predictions.max(1) as f64;
            Bin {
                from: index as f64 / BINS as f64,
                to: (index + 1) as f64 / BINS as f64,
                predictions: *count,
                confidence: confidence / n,
                accuracy: *right as f64 / n,
            }
        };
        let bins = self.bins.iter().enumerate().map(bin).collect();
        Calibration { ece, bins }
    }

    /// Mean, median, 95th percentile and maximum of the times.
    pub(super) fn times(&self) -> Times {
        let mut sorted = self.seconds.clone();
        sorted.sort_by(f64::total_cmp);
        let at = |share: f64| {
            let rank = (share * sorted.len() as f64).ceil() as usize;
            sorted.get(rank.max(1) - 1).copied().unwrap_or_default()
        };
        Times {
            mean: sorted.iter().sum::<f64>() / sorted.len().max(1) as f64,
            median: at(0.5),
            p95: at(0.95),
            max: at(1.0),
        }
    }
}

/// Seconds of one image's forward pass.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Times {
    /// Mean.
    pub mean: f64,
    /// Half of them are no longer.
    pub median: f64,
    /// 95 % of them are no longer.
    pub p95: f64,
    /// The longest.
    pub max: f64,
}

pub(super) fn log_sum_exp(row: &[f32]) -> f64 {
    let top = f64::from(row.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    let terms = row.iter().map(|value| (f64::from(*value) - top).exp());
    top + terms.sum::<f64>().ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn argmax_takes_the_first_of_equals() {
        assert_eq!(argmax(&[1.0, 3.0, 3.0, 2.0]), 1);
        assert_eq!(argmax(&[-5.0]), 0);
    }

    #[test]
    fn cross_entropy_does_not_overflow() {
        assert!((log_sum_exp(&[1000.0, 1000.0]) - (1000.0 + 2f64.ln())).abs() < 1e-9);
        assert!((log_sum_exp(&[-1e4, 0.0]) - 0.0).abs() < 1e-9);
    }

    #[test]
    fn a_rank_counts_what_is_above_and_equals_before() {
        let row = [1.0, 3.0, 3.0, 2.0];
        let rank = |target| Judged::of(&row, target).map(|judged| judged.rank);
        assert_eq!(
            [0, 1, 2, 3, 4].map(rank),
            [Some(4), Some(1), Some(2), Some(3), None]
        );
    }

    #[test]
    fn calibration_is_the_weighted_gap_of_the_bins() {
        let mut tally = Tally::default();
        let mut add = |confidence, rank, times| {
            let judged = Judged {
                verdict: 0,
                confidence,
                rank,
                nats: 0.0,
            };
            (0..times).for_each(|_| tally.add(&judged));
        };
        // 0.9 of which 3/4 are right, and 0.4 (an edge: it belongs below) of which none is.
        add(0.9, 1, 3);
        add(0.9, 2, 1);
        add(0.4, 6, 4);
        let calibration = tally.calibration();
        assert!((calibration.ece - (0.5 * 0.15 + 0.5 * 0.4)).abs() < 1e-12);
        assert_eq!(calibration.bins[5].predictions, 4);
        assert_eq!(calibration.bins[13].predictions, 4);
        assert!((calibration.bins[13].accuracy - 0.75).abs() < 1e-12);
        assert_eq!((tally.top1(), tally.top5()), (3.0 / 8.0, 0.5));
    }

    #[test]
    fn percentiles_are_times_that_were_measured() {
        let mut tally = Tally::default();
        assert_eq!(tally.times().max, 0.0);
        tally.seconds = (1..=20).rev().map(f64::from).collect();
        let times = tally.times();
        assert_eq!(
            (times.mean, times.median, times.p95, times.max),
            (10.5, 10.0, 19.0, 20.0)
        );
    }
}
