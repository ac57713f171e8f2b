//! What was measured over the frames, for the panel and the summary: times, verdicts, values.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

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
    verdicts: BTreeMap<String, u64>,
    values: BTreeMap<String, Range>,
}

/// The values of one of a regression's outputs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Range {
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
    /// Notes that a frame took so long and was done at this moment.
    pub(super) fn time(&mut self, milliseconds: f32, now: Duration) {
        push_bounded(&mut self.milliseconds, milliseconds, KEPT);
        push_bounded(&mut self.moments, now, RATE_FRAMES);
    }

    /// Notes a verdict, or one label of it: `unsure` and `none` are counted too.
    pub(super) fn verdict(&mut self, label: &str) {
        match self.verdicts.get_mut(label) {
            Some(count) => *count += 1,
            None => {
                self.verdicts.insert(label.to_owned(), 1);
            }
        }
    }

    /// Notes a value of a regression's output.
    pub(super) fn value(&mut self, label: &str, value: f32) {
        let range = match self.values.get_mut(label) {
            Some(range) => range,
            None => self.values.entry(label.to_owned()).or_insert(Range {
                least: value,
                most: value,
                sum: 0.0,
                count: 0,
            }),
        };
        range.least = range.least.min(value);
        range.most = range.most.max(value);
        range.sum += f64::from(value);
        range.count += 1;
    }

    /// The outputs of a regression, by name.
    pub(super) fn values(&self) -> &BTreeMap<String, Range> {
        &self.values
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

    /// How often each verdict was given, most frequent first, then by name.
    pub(super) fn verdicts(&self) -> Vec<(&str, u64)> {
        let mut counts: Vec<_> = self
            .verdicts
            .iter()
            .map(|(label, count)| (label.as_str(), *count))
            .collect();
        counts.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
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
            stats.verdict("coat");
        }
        for _ in 0..KEPT {
            stats.time(1.0, Duration::ZERO);
            stats.verdict("bag");
        }
        assert_eq!(stats.percentile(1.0), Some(1.0));
        assert_eq!(stats.verdicts(), [("bag", KEPT as u64), ("coat", 10)]);
    }

    #[test]
    fn values_have_a_range_and_a_mean() {
        let mut stats = Stats::default();
        for value in [-1.0, 2.0, 0.5] {
            stats.value("wear", value);
        }
        let wear = stats.values()["wear"];
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
