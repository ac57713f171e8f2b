//! From a stream of a model's numbers to a verdict that does not flicker.
//!
//! Three steps, each of them switched off by its neutral setting: a moving average over the last
//! frames, hysteresis (the shown class stays until another leads by a margin), and a threshold
//! below which the verdict is "unsure".
//!
//! Of a multi-label model every class is judged for itself: it is there from the threshold on, and stays
//! until it falls below by more than the hysteresis. Of a regression there is the average only.

mod score;

pub use score::{ProblemType, Score};

use heapless::{Deque, Vec};

/// What the app believes it sees.
#[derive(Debug, Clone, Copy, PartialEq, defmt::Format)]
pub struct Verdict {
    /// Index of the class: the shown one; of a multi-label model the most probable of those that are there,
    /// or of all if none is; of a regression that of the largest value.
    pub class: u16,
    /// What the model says of it, averaged.
    pub score: Score,
    /// Whether that is enough to say so; if not, "unsure" is shown, or "none" of a multi-label model. A value
    /// is always said.
    pub sure: bool,
}

/// How verdicts are smoothed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FilterSettings {
    /// Frames averaged, 1 (none) to the filter's `W`.
    pub window: usize,
    /// Lead in averaged probability that another class needs to replace the shown one.
    /// Also how far a sure verdict, or a label that is there, may fall below the threshold before it
    /// becomes unsure, or goes. Means nothing to a regression.
    pub hysteresis: f32,
    /// Averaged probability from which a verdict is sure, or a label is there. Means nothing to a regression.
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

/// Why a filter cannot be made, or cannot take a frame's numbers.
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
    /// A frame came with more or fewer numbers than there are classes.
    #[error("{found} numbers for {expected} classes")]
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
    /// A regression's value is not finite.
    #[error("value {found} of class {class}: expected a finite number")]
    Value {
        /// The class.
        class: usize,
        /// Its value.
        found: f32,
    },
}

/// Smooths the numbers of up to `K` classes over up to `W` frames. Takes `4 K (W + 1) + K` bytes.
#[derive(Debug)]
pub struct VerdictFilter<const K: usize, const W: usize> {
    settings: FilterSettings,
    problem: ProblemType,
    classes: usize,
    /// The last frames' numbers, oldest first.
    history: Deque<Vec<f32, K>, W>,
    average: Vec<f32, K>,
    /// Of a multi-label model: whether each class is there.
    present: Vec<bool, K>,
    shown: Option<Verdict>,
}

impl<const K: usize, const W: usize> VerdictFilter<K, W> {
    /// A filter for a model with `classes` classes, whose numbers are what `problem` says.
    ///
    /// # Errors
    /// A setting out of its range, or more classes than `K`.
    pub fn new(
        classes: usize,
        problem: ProblemType,
        settings: FilterSettings,
    ) -> Result<Self, FilterError> {
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
            problem,
            classes,
            history: Deque::new(),
            average: Vec::new(),
            present: Vec::new(),
            shown: None,
        })
    }

    /// Takes in one frame's numbers, one per class, and gives the verdict to show.
    ///
    /// # Errors
    /// A wrong count, a value that is no probability or, of a regression, not finite; the filter is then
    /// unchanged.
    pub fn push(&mut self, numbers: &[f32]) -> Result<Verdict, FilterError> {
        if numbers.len() != self.classes {
            return Err(FilterError::Count {
                found: numbers.len(),
                expected: self.classes,
            });
        }
        let regression = self.problem == ProblemType::Regression;
        // Written so that NaN is refused too. A sum may round to just above one.
        let fits = |number: &f32| match regression {
            true => number.is_finite(),
            false => (0.0..=1.000_001).contains(number),
        };
        if let Some((class, &found)) = numbers.iter().enumerate().find(|(_, n)| !fits(n)) {
            return Err(match regression {
                true => FilterError::Value { class, found },
                false => FilterError::Probability { class, found },
            });
        }
        if self.history.len() == self.settings.window {
            self.history.pop_front();
        }
        if let Ok(frame) = Vec::from_slice(numbers) {
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
        self.present.clear();
        self.shown = None;
    }

    /// The averaged numbers behind the last verdict, one per class; empty before the first.
    pub fn average(&self) -> &[f32] {
        &self.average
    }

    /// Whether the last verdict says that this class is there: of a multi-label model any number of them are.
    pub fn is_present(&self, class: usize) -> bool {
        match self.problem {
            ProblemType::MultiLabel => self.present.get(class).copied().unwrap_or(false),
            _ => self
                .shown
                .is_some_and(|shown| shown.sure && usize::from(shown.class) == class),
        }
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

    fn decide(&mut self) -> Verdict {
        let (class, number, sure) = match self.problem {
            ProblemType::SingleLabel => self.decide_one(),
            ProblemType::MultiLabel => self.decide_each(),
            ProblemType::Regression => {
                let (class, value) = largest(self.average.iter().copied());
                (class, value, true)
            }
        };
        Verdict {
            class: class as u16,
            score: self.problem.score(number),
            sure,
        }
    }

    /// The class to show, its probability, and whether that is enough.
    fn decide_one(&self) -> (usize, f32, bool) {
        let (mut class, mut probability) = largest(self.average.iter().copied());
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
        (class, probability, probability >= needed)
    }

    /// Says of each class whether it is there. Returns the most probable of those, or of all if none is.
    fn decide_each(&mut self) -> (usize, f32, bool) {
        // `classes` is at most K, checked in `new`.
        let _ = self.present.resize(self.classes, false);
        for (present, &probability) in self.present.iter_mut().zip(&self.average) {
            let stays = if *present {
                self.settings.hysteresis
            } else {
                0.0
            };
            *present = probability >= self.settings.threshold - stays;
        }
        let any = self.present.contains(&true);
        let candidates = self.average.iter().zip(&self.present);
        // One that does not count is below every probability.
        let counted = candidates.map(|(&p, &present)| if present || !any { p } else { -1.0 });
        let (class, probability) = largest(counted);
        (class, probability, any)
    }
}

/// The place of the largest number, and the number. Ties go to the lowest index, as everywhere in this project.
fn largest(numbers: impl Iterator<Item = f32>) -> (usize, f32) {
    let mut largest = (0, f32::NEG_INFINITY);
    for (index, number) in numbers.enumerate() {
        if number > largest.1 {
            largest = (index, number);
        }
    }
    largest
}

#[cfg(test)]
mod tests;
