//! An axis: where it has its marks, and how many decimals tell them apart.

use std::ops::Range;

use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};
use plotters::coord::types::RangedCoordf64;

/// An axis with its marks. plotters' own has a fixed number of decimals, with which marks may read alike.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Ticks {
    low: f64,
    high: f64,
    /// From the lowest.
    pub(super) at: Vec<f64>,
    /// After the point: as many as the distance of two marks has.
    pub(super) digits: usize,
}

impl Ticks {
    /// At most about `most` marks between `low` and `high`, a distance of 1, 2 or 5 times a power of ten apart.
    pub(super) fn between(low: f64, high: f64, most: usize) -> Self {
        Self::of(low, high, most, f64::MIN_POSITIVE)
    }

    /// The same on whole numbers.
    pub(super) fn whole(low: f64, high: f64, most: usize) -> Self {
        Self::of(low, high, most, 1.0)
    }

    fn of(low: f64, high: f64, most: usize, least_step: f64) -> Self {
        let rough = ((high - low) / most.max(1) as f64).max(least_step);
        let power = rough.log10().floor() as i32;
        let unit = 10f64.powi(power);
        // The next of 1, 2, 5 and 10 units; rounding must not make a step of one unit two.
        let (factor, power) = match rough / unit {
            x if x <= 1.0 + 1e-9 => (1.0, power),
            x if x <= 2.0 + 1e-9 => (2.0, power),
            x if x <= 5.0 + 1e-9 => (5.0, power),
            _ => (1.0, power + 1),
        };
        let step = factor * 10f64.powi(power);
        let near = 1e-6;
        let (first, last) = ((low / step - near).ceil(), (high / step + near).floor());
        Self {
            low,
            high,
            at: (0..=(last - first).max(0.0) as u32)
                .map(|i| (first + f64::from(i)) * step)
                .collect(),
            digits: usize::try_from(-power).unwrap_or(0),
        }
    }

    /// Without the marks above `most`.
    pub(super) fn up_to(mut self, most: f64) -> Self {
        self.at.retain(|at| *at <= most + 1e-9);
        self
    }

    /// A mark as it is written.
    fn label(&self, value: f64) -> String {
        let digits = self.digits;
        format!("{value:.digits$}")
    }
}

impl Ranged for Ticks {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        RangedCoordf64::from(self.range()).map(value, limit)
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        // Between the marks there are no lighter ones.
        match hint.weight().allow_light_points() {
            true => Vec::new(),
            false => self.at.clone(),
        }
    }

    fn range(&self) -> Range<f64> {
        self.low..self.high
    }
}

impl ValueFormatter<f64> for Ticks {
    fn format_ext(&self, value: &f64) -> String {
        self.label(*value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(ticks: &Ticks) -> Vec<String> {
        ticks.at.iter().map(|at| ticks.label(*at)).collect()
    }

    #[test]
    fn marks_of_any_scale_are_round_and_differ() {
        let accuracies = Ticks::between(97.9, 100.2, 6);
        assert_eq!(
            labels(&accuracies),
            ["98.0", "98.5", "99.0", "99.5", "100.0"]
        );
        assert_eq!(
            labels(&Ticks::between(0.0, 100.0, 6)),
            ["0", "20", "40", "60", "80", "100"]
        );
        let room = Ticks::between(99.75, 100.25, 6).up_to(100.0);
        assert_eq!(labels(&room), ["99.8", "99.9", "100.0"]);
        let small = Ticks::between(0.0, 0.33, 6);
        assert_eq!(labels(&small), ["0.0", "0.1", "0.2", "0.3"]);
        for scale in [1e-7, 0.003, 0.5, 1.0, 7.0, 1e6] {
            for most in 2..12 {
                let ticks = labels(&Ticks::between(0.3 * scale, 1.1 * scale, most));
                let mut different = ticks.clone();
                different.dedup();
                assert_eq!(ticks, different, "{scale}");
                assert!((1..=2 * most).contains(&ticks.len()), "{scale}: {ticks:?}");
            }
        }
    }

    #[test]
    fn layers_are_whole_numbers() {
        assert_eq!(labels(&Ticks::whole(0.0, 1.0, 25)), ["0", "1"]);
        assert_eq!(Ticks::whole(0.0, 24.0, 25).at.len(), 25);
        assert_eq!(labels(&Ticks::whole(0.0, 60.0, 25)).last().unwrap(), "60");
    }
}
