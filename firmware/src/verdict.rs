//! From a stream of class probabilities to a verdict that does not flicker.
//!
//! Three steps, each of them switched off by its neutral setting: a moving average over the last
//! frames, hysteresis (the shown class stays until another leads by a margin), and a threshold
//! below which the verdict is "unsure".

use heapless::{Deque, Vec};

/// What the app believes it sees.
#[derive(Debug, Clone, Copy, PartialEq, defmt::Format)]
pub struct Verdict {
    /// Index of the class.
    pub class: u16,
    /// Its averaged probability, 0 to 1.
    pub probability: f32,
    /// Whether that is enough to say so; if not, "unsure" is shown.
    pub sure: bool,
}

/// How verdicts are smoothed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FilterSettings {
    /// Frames averaged, 1 (none) to the filter's `W`.
    pub window: usize,
    /// Lead in averaged probability that another class needs to replace the shown one.
    /// Also how far a sure verdict may fall below the threshold before it becomes unsure.
    pub hysteresis: f32,
    /// Averaged probability from which a verdict is sure.
    pub threshold: f32,
}

impl Default for FilterSettings {
    /// Every frame for itself, sure from one half.
    fn default() -> Self {
        Self {
            window: 1,
            hysteresis: 0.0,
            threshold: 0.5,
        }
    }
}

/// Why a filter cannot be made, or cannot take a frame's probabilities.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum FilterError {
    /// The window is empty or longer than the filter has room for.
    #[error("smoothing over {found} frames: expected 1 to {most}")]
    Window {
        /// Asked for.
        found: usize,
        /// The most possible.
        most: usize,
    },
    /// A setting is not between 0 and 1.
    #[error("{name} {found}: expected 0 to 1")]
    Setting {
        /// Which one.
        name: &'static str,
        /// Its value.
        found: f32,
    },
    /// There are no classes, or more than the filter has room for.
    #[error("{found} classes: expected 1 to {most}")]
    Classes {
        /// In the model.
        found: usize,
        /// The most possible.
        most: usize,
    },
    /// A frame came with another number of probabilities than there are classes.
    #[error("{found} probabilities for {expected} classes")]
    Count {
        /// In the frame.
        found: usize,
        /// Classes.
        expected: usize,
    },
    /// A probability is not a number between 0 and 1.
    #[error("probability {found} of class {class}: expected 0 to 1")]
    Probability {
        /// The class.
        class: usize,
        /// Its value.
        found: f32,
    },
}

/// Smooths the probabilities of up to `K` classes over up to `W` frames. Takes `4 K (W + 1)` bytes.
#[derive(Debug)]
pub struct VerdictFilter<const K: usize, const W: usize> {
    settings: FilterSettings,
    classes: usize,
    /// The last frames' probabilities, oldest first.
    history: Deque<Vec<f32, K>, W>,
    average: Vec<f32, K>,
    shown: Option<Verdict>,
}

impl<const K: usize, const W: usize> VerdictFilter<K, W> {
    /// A filter for a model with `classes` classes.
    ///
    /// # Errors
    /// A setting out of its range, or more classes than `K`.
    pub fn new(classes: usize, settings: FilterSettings) -> Result<Self, FilterError> {
        if settings.window == 0 || settings.window > W {
            return Err(FilterError::Window {
                found: settings.window,
                most: W,
            });
        }
        for (name, found) in [
            ("hysteresis", settings.hysteresis),
            ("threshold", settings.threshold),
        ] {
            if !(0.0..=1.0).contains(&found) {
                return Err(FilterError::Setting { name, found });
            }
        }
        if classes == 0 || classes > K {
            // An index beyond u16 could not be told either; K is far below in practice.
            return Err(FilterError::Classes {
                found: classes,
                most: K,
            });
        }
        Ok(Self {
            settings,
            classes,
            history: Deque::new(),
            average: Vec::new(),
            shown: None,
        })
    }

    /// Takes in one frame's probabilities, one per class, and gives the verdict to show.
    ///
    /// # Errors
    /// A wrong count or a value that is no probability; the filter is then unchanged.
    pub fn push(&mut self, probabilities: &[f32]) -> Result<Verdict, FilterError> {
        if probabilities.len() != self.classes {
            return Err(FilterError::Count {
                found: probabilities.len(),
                expected: self.classes,
            });
        }
        // Written so that NaN is refused too. A sum may round to just above one.
        if let Some((class, &found)) = probabilities
            .iter()
            .enumerate()
            .find(|(_, p)| !(0.0..=1.000_001).contains(*p))
        {
            return Err(FilterError::Probability { class, found });
        }
        if self.history.len() == self.settings.window {
            self.history.pop_front();
        }
        if let Ok(frame) = Vec::from_slice(probabilities) {
            // Room was made above, so this cannot fail.
            let _ = self.history.push_back(frame);
        }
        self.recompute_average();
        let verdict = self.decide();
        if self.shown.map(|v| (v.class, v.sure)) != Some((verdict.class, verdict.sure)) {
            defmt::debug!("verdict: {}", verdict);
        }
        self.shown = Some(verdict);
        Ok(verdict)
    }

    /// Forgets everything, as after a change of scene or a lost source.
    pub fn reset(&mut self) {
        self.history.clear();
        self.average.clear();
        self.shown = None;
    }

    /// The averaged probabilities behind the last verdict, one per class; empty before the first.
    pub fn average(&self) -> &[f32] {
        &self.average
    }

    /// From scratch each time: adding and subtracting at the ends would drift over a long run.
    fn recompute_average(&mut self) {
        self.average.clear();
        let frames = self.history.len() as f32;
        for class in 0..self.classes {
            let sum: f32 = self
                .history
                .iter()
                .filter_map(|frame| frame.get(class))
                .sum();
            // `classes` is at most K, checked in `new`.
            let _ = self.average.push(sum / frames);
        }
    }

    fn decide(&self) -> Verdict {
        let mut leader = (0, f32::NEG_INFINITY);
        for (class, &probability) in self.average.iter().enumerate() {
            // Strictly greater: ties go to the lowest index, as everywhere in this project.
            if probability > leader.1 {
                leader = (class, probability);
            }
        }
        let (mut class, mut probability) = leader;
        let mut needed = self.settings.threshold;
        if let Some(shown) = self.shown {
            let incumbent = self
                .average
                .get(usize::from(shown.class))
                .copied()
                .unwrap_or(0.0);
            if probability - incumbent <= self.settings.hysteresis {
                (class, probability) = (usize::from(shown.class), incumbent);
                if shown.sure {
                    needed -= self.settings.hysteresis;
                }
            }
        }
        Verdict {
            class: class as u16,
            probability,
            sure: probability >= needed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{FilterError, FilterSettings, VerdictFilter};

    type Filter = VerdictFilter<4, 8>;

    fn filter(window: usize, hysteresis: f32, threshold: f32) -> Filter {
        Filter::new(
            3,
            FilterSettings {
                window,
                hysteresis,
                threshold,
            },
        )
        .unwrap()
    }

    #[test]
    fn without_smoothing_each_frame_speaks_for_itself() {
        let mut filter = filter(1, 0.0, 0.5);
        let first = filter.push(&[0.7, 0.2, 0.1]).unwrap();
        assert_eq!((first.class, first.probability, first.sure), (0, 0.7, true));
        let second = filter.push(&[0.1, 0.45, 0.45]).unwrap();
        assert_eq!(
            (second.class, second.sure),
            (1, false),
            "a tie goes to the lowest index; unsure"
        );
    }

    #[test]
    fn one_odd_frame_does_not_change_the_verdict() {
        let mut filter = filter(4, 0.0, 0.5);
        for _ in 0..4 {
            filter.push(&[0.9, 0.1, 0.0]).unwrap();
        }
        let odd = filter.push(&[0.0, 1.0, 0.0]).unwrap();
        assert_eq!(odd.class, 0);
        assert!((odd.probability - 0.675).abs() < 1e-6);
    }

    #[test]
    fn the_average_forgets_exactly_after_the_window() {
        let mut filter = filter(3, 0.0, 0.5);
        filter.push(&[1.0, 0.0, 0.0]).unwrap();
        for _ in 0..3 {
            filter.push(&[0.0, 0.0, 1.0]).unwrap();
        }
        assert_eq!(filter.average(), [0.0, 0.0, 1.0]);
    }

    #[test]
    fn a_challenger_needs_a_lead_of_more_than_the_hysteresis() {
        let mut filter = filter(1, 0.2, 0.0);
        filter.push(&[0.5, 0.5, 0.0]).unwrap();
        assert_eq!(
            filter.push(&[0.41, 0.59, 0.0]).unwrap().class,
            0,
            "a lead of 0.18 is not enough"
        );
        assert_eq!(
            filter.push(&[0.35, 0.65, 0.0]).unwrap().class,
            1,
            "a lead of 0.30 is"
        );
        assert_eq!(
            filter.push(&[0.59, 0.41, 0.0]).unwrap().class,
            1,
            "and the way back needs one too"
        );
    }

    #[test]
    fn a_sure_verdict_becomes_unsure_below_the_threshold_less_the_hysteresis() {
        let mut filter = filter(1, 0.1, 0.6);
        assert!(
            !filter.push(&[0.55, 0.45, 0.0]).unwrap().sure,
            "not yet sure"
        );
        assert!(filter.push(&[0.65, 0.35, 0.0]).unwrap().sure);
        assert!(filter.push(&[0.55, 0.45, 0.0]).unwrap().sure, "still sure");
        assert!(!filter.push(&[0.49, 0.45, 0.06]).unwrap().sure);
        assert!(
            !filter.push(&[0.55, 0.45, 0.0]).unwrap().sure,
            "and unsure until it passes 0.6 again"
        );
    }

    #[test]
    fn reset_forgets_the_past() {
        let mut filter = filter(8, 0.5, 0.5);
        for _ in 0..8 {
            filter.push(&[1.0, 0.0, 0.0]).unwrap();
        }
        filter.reset();
        assert!(filter.average().is_empty());
        assert_eq!(filter.push(&[0.0, 0.0, 1.0]).unwrap().class, 2);
    }

    #[test]
    fn bad_probabilities_are_refused_and_leave_the_filter_as_it_was() {
        let mut filter = filter(2, 0.0, 0.5);
        filter.push(&[0.0, 1.0, 0.0]).unwrap();
        assert_eq!(
            filter.push(&[0.5, 0.5]),
            Err(FilterError::Count {
                found: 2,
                expected: 3
            })
        );
        for bad in [f32::NAN, f32::INFINITY, -0.1, 1.1] {
            let refused = filter.push(&[0.5, bad, 0.5]);
            assert!(
                matches!(refused, Err(FilterError::Probability { class: 1, .. })),
                "{bad}"
            );
        }
        assert_eq!(filter.average(), [0.0, 1.0, 0.0]);
    }

    #[test]
    fn settings_out_of_range_are_refused() {
        let make = |classes, window, hysteresis, threshold| {
            Filter::new(
                classes,
                FilterSettings {
                    window,
                    hysteresis,
                    threshold,
                },
            )
            .map(|_| ())
        };
        assert_eq!(
            make(3, 0, 0.0, 0.5),
            Err(FilterError::Window { found: 0, most: 8 })
        );
        assert_eq!(
            make(3, 9, 0.0, 0.5),
            Err(FilterError::Window { found: 9, most: 8 })
        );
        assert!(matches!(
            make(3, 1, -0.1, 0.5),
            Err(FilterError::Setting {
                name: "hysteresis",
                ..
            })
        ));
        assert!(matches!(
            make(3, 1, 0.0, f32::NAN),
            Err(FilterError::Setting {
                name: "threshold",
                ..
            })
        ));
        assert_eq!(
            make(0, 1, 0.0, 0.5),
            Err(FilterError::Classes { found: 0, most: 4 })
        );
        assert_eq!(
            make(5, 1, 0.0, 0.5),
            Err(FilterError::Classes { found: 5, most: 4 })
        );
        assert_eq!(make(4, 8, 1.0, 1.0), Ok(()));
    }
}
