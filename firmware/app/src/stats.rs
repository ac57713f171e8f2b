//! What was measured over the frames, for the panel and the summary: times, verdicts, values.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use igpt_firmware_core::verdict::ProblemType;

use super::judge::{Judge, Judgement};
use super::ranked::label;

/// Times kept for median and percentile: a long run is judged by its last hours, in bounded memory.
const KEPT: usize = 8192;
/// Frames over which the rate is measured.
const RATE_FRAMES: usize = 16;

/// What was measured so far.
#[derive(Debug, Default)]
pub(super) struct Stats {
    milliseconds: VecDeque<f32>,
    /// When the last verdicts came, since the start.
    moments: VecDeque<Duration>,
    /// By class and label: two classes may have one label, a label may be any word, and what is taught moves labels.
    verdicts: BTreeMap<(usize, String), Count>,
    /// Frames of which a single-label model was not sure.
    pub(super) unsure: u64,
    /// Frames in which a multi-label model saw none of its labels.
    pub(super) none: u64,
    values: BTreeMap<usize, Range>,
}

/// How often a class was the verdict, or part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) class: usize,
    pub(super) label: String,
    pub(super) count: u64,
}

/// The values of one of a regression's outputs.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Range {
    pub(super) class: usize,
    pub(super) label: String,
    pub(super) least: f32,
    pub(super) most: f32,
    sum: f64,
    count: u64,
}

impl Range {
    pub(super) fn mean(&self) -> f32 {
        (self.sum / self.count.max(1) as f64) as f32
    }
}

impl Stats {
    /// Adds a frame, done at this moment since the start.
    pub(super) fn note(&mut self, judgement: &Judgement, judge: &Judge, now: Duration) {
        self.time(judgement.milliseconds, now);
        let classifier = judge.classifier();
        match (classifier.problem_type(), judgement.sure) {
            (ProblemType::SingleLabel, true) => {
                self.verdict(judgement.shown.class, &judgement.shown.label);
            }
            (ProblemType::SingleLabel, false) => self.unsure += 1,
            // Each label for itself: combinations of them could be without end.
            (ProblemType::MultiLabel, true) => {
                let present = judgement.top.iter().filter(|ranked| ranked.present);
                present.for_each(|ranked| self.verdict(ranked.class, &ranked.label));
            }
            (ProblemType::MultiLabel, false) => self.none += 1,
            (ProblemType::Regression, _) => {
                for (class, value) in judge.average().iter().enumerate() {
                    self.value(class, &label(classifier.labels(), class), *value);
                }
            }
        }
    }

    /// Notes that a frame took so long and was done at this moment.
    fn time(&mut self, milliseconds: f32, now: Duration) {
        push_bounded(&mut self.milliseconds, milliseconds, KEPT);
        push_bounded(&mut self.moments, now, RATE_FRAMES);
    }

    /// Notes that the verdict was, or held, this class.
    fn verdict(&mut self, class: usize, label: &str) {
        let new = || Count {
            class,
            label: label.to_owned(),
            count: 0,
        };
        self.verdicts
            .entry((class, label.to_owned()))
            .or_insert_with(new)
            .count += 1;
    }

    /// Notes the value of a regression's output.
    fn value(&mut self, class: usize, label: &str, value: f32) {
        let new = || Range {
            class,
            label: label.to_owned(),
            least: value,
            most: value,
            sum: 0.0,
            count: 0,
        };
        let range = self.values.entry(class).or_insert_with(new);
        range.least = range.least.min(value);
        range.most = range.most.max(value);
        range.sum += f64::from(value);
        range.count += 1;
    }

    /// The outputs of a regression, in their order.
    pub(super) fn values(&self) -> impl Iterator<Item = &Range> {
        self.values.values()
    }

    /// Verdicts per second lately; 0 before the second one.
    pub(super) fn rate(&self) -> f32 {
        match (self.moments.front(), self.moments.back()) {
            (Some(first), Some(last)) if last > first => {
                (self.moments.len() - 1) as f32 / (*last - *first).as_secs_f32()
            }
            _ => 0.0,
        }
    }

    /// The time that this share of the frames did not exceed; `None` before the first.
    pub(super) fn percentile(&self, share: f32) -> Option<f32> {
        let mut sorted: Vec<f32> = self.milliseconds.iter().copied().collect();
        sorted.sort_by(f32::total_cmp);
        let rank = (share * sorted.len() as f32).ceil() as usize;
        sorted.get(rank.max(1) - 1).copied()
    }

    /// How often each class was told, most frequent first, then in their order.
    pub(super) fn verdicts(&self) -> Vec<&Count> {
        let mut counts: Vec<_> = self.verdicts.values().collect();
        // A stable sort keeps the lower class first among equals.
        counts.sort_by_key(|count| std::cmp::Reverse(count.count));
        counts
    }
}

fn push_bounded<T>(queue: &mut VecDeque<T>, value: T, most: usize) {
    if queue.len() == most {
        queue.pop_front();
    }
    queue.push_back(value);
}

#[cfg(test)]
mod tests {
    use super::{KEPT, Stats};
    use std::time::Duration;

    #[test]
    fn percentiles_are_of_the_nearest_rank() {
        let mut stats = Stats::default();
        assert_eq!(stats.percentile(0.5), None);
        for time in [5.0, 1.0, 4.0, 2.0, 3.0] {
            stats.time(time, Duration::ZERO);
        }
        assert_eq!(stats.percentile(0.5), Some(3.0));
        assert_eq!(stats.percentile(0.95), Some(5.0));
        assert_eq!(stats.percentile(0.0), Some(1.0));
    }

    #[test]
    fn only_the_last_times_are_kept_and_all_verdicts_are_counted() {
        let mut stats = Stats::default();
        for _ in 0..10 {
            stats.time(1000.0, Duration::ZERO);
            stats.verdict(0, "coat");
        }
        for _ in 0..KEPT {
            stats.time(1.0, Duration::ZERO);
            stats.verdict(1, "bag");
        }
        assert_eq!(stats.percentile(1.0), Some(1.0));
        let counts = stats.verdicts().into_iter();
        let counts: Vec<_> = counts.map(|c| (c.label.as_str(), c.count)).collect();
        assert_eq!(counts, [("bag", KEPT as u64), ("coat", 10)]);
    }

    #[test]
    fn classes_of_one_label_are_counted_each() {
        let mut stats = Stats::default();
        for class in [2, 0, 2] {
            stats.verdict(class, "cat");
            stats.value(class, "cat", class as f32);
        }
        let counts = stats.verdicts().into_iter();
        let counts: Vec<_> = counts.map(|c| (c.class, c.count)).collect();
        assert_eq!(counts, [(2, 2), (0, 1)]);
        let means: Vec<_> = stats.values().map(|range| range.mean()).collect();
        assert_eq!(means, [0.0, 2.0]);
    }

    #[test]
    fn values_have_a_range_and_a_mean() {
        let mut stats = Stats::default();
        for value in [-1.0, 2.0, 0.5] {
            stats.value(0, "wear", value);
        }
        let wear = stats.values().next().unwrap();
        assert_eq!((wear.least, wear.most, wear.mean()), (-1.0, 2.0, 0.5));
    }

    #[test]
    fn the_rate_is_that_of_the_last_frames() {
        let mut stats = Stats::default();
        assert_eq!(stats.rate(), 0.0);
        for frame in 0..100_u64 {
            stats.time(1.0, Duration::from_millis(frame * 50));
        }
        assert!((stats.rate() - 20.0).abs() < 1e-3, "{}", stats.rate());
    }
}
