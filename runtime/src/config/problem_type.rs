//! `ProblemType`: what a classifier's logits mean, and the scores that they become.

use std::fmt;

/// Hugging Face's `problem_type`, which decides what is made of a classifier's logits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProblemType {
    /// One of the labels is true: probabilities that add up to one, the softmax.
    SingleLabel,
    /// Each label is true or not, whatever the others: a probability for each, the sigmoid.
    MultiLabel,
    /// Each output is a number: the logit itself.
    Regression,
}

impl ProblemType {
    /// Every one, in declaration order.
    pub const ALL: [Self; 3] = [Self::SingleLabel, Self::MultiLabel, Self::Regression];

    /// The one that `config.json` calls so, or `None`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// What a `problem_type`, absent or not, means for a head of so many labels: the rule of transformers'
    /// image-classification pipeline.
    pub(crate) fn resolve(said: Option<Self>, labels: usize) -> Self {
        match said {
            Some(Self::Regression) => Self::Regression,
            Some(Self::MultiLabel) => Self::MultiLabel,
            _ if labels == 1 => Self::MultiLabel,
            _ => Self::SingleLabel,
        }
    }

    /// Hugging Face's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::SingleLabel => "single_label_classification",
            Self::MultiLabel => "multi_label_classification",
            Self::Regression => "regression",
        }
    }

    /// What it makes of the logits, as a person reads it.
    #[must_use]
    pub fn describe(self) -> &'static str {
        match self {
            Self::SingleLabel => "one label of them, by the softmax of the logits",
            Self::MultiLabel => "each label for itself, by the sigmoid of its logit",
            Self::Regression => "the logits are the values",
        }
    }

    /// What a score is, and its key in JSON: `probability` or `value`.
    #[must_use]
    pub fn score_name(self) -> &'static str {
        match self {
            Self::SingleLabel | Self::MultiLabel => "probability",
            Self::Regression => "value",
        }
    }

    /// The score of each logit, computed in f64.
    #[must_use]
    pub fn scores(self, logits: &[f32]) -> Vec<f32> {
        match self {
            Self::SingleLabel => softmax(logits),
            Self::MultiLabel => {
                let sigmoid = |x: &f32| (1.0 / (1.0 + (-f64::from(*x)).exp())) as f32;
                logits.iter().map(sigmoid).collect()
            }
            Self::Regression => logits.to_vec(),
        }
    }

    /// A number of [`ProblemType::scores`] as what it is.
    #[must_use]
    pub fn score(self, number: f32) -> Score {
        match self {
            Self::SingleLabel | Self::MultiLabel => Score::Probability(number),
            Self::Regression => Score::Value(number),
        }
    }
}

impl fmt::Display for ProblemType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

fn softmax(logits: &[f32]) -> Vec<f32> {
    let top = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let exps: Vec<f64> = logits.iter().map(|x| f64::from(x - top).exp()).collect();
    let sum: f64 = exps.iter().sum();
    exps.into_iter().map(|e| (e / sum) as f32).collect()
}

/// What a classifier says of a label.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Score {
    /// From 0 to 1.
    Probability(f32),
    /// A regression's number.
    Value(f32),
}

impl Score {
    /// The number.
    #[must_use]
    pub fn number(self) -> f32 {
        match self {
            Self::Probability(number) | Self::Value(number) => number,
        }
    }
}

/// For people: `99.6 %`, or a value with three decimals, in powers of ten where that says too little or
/// takes too much room.
impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match *self {
            Self::Probability(p) => format!("{:.1} %", p * 100.0),
            Self::Value(v) if v == 0.0 || (1e-3..1e6).contains(&v.abs()) => format!("{v:.3}"),
            Self::Value(v) => format!("{v:.3e}"),
        };
        f.pad(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::{ProblemType, Score};

    #[test]
    fn names_are_hugging_faces() {
        for kind in ProblemType::ALL {
            assert_eq!(ProblemType::from_name(kind.name()), Some(kind));
        }
        for name in ["", "Regression", "multi_label", "single_label"] {
            assert_eq!(ProblemType::from_name(name), None, "{name}");
        }
    }

    #[test]
    fn scores_do_not_overflow() {
        let logits = [-1e4, 0.0, 1e4];
        assert_eq!(
            ProblemType::MultiLabel.scores(&logits),
            [0.0, 0.5, 1.0],
            "each for itself"
        );
        assert_eq!(ProblemType::SingleLabel.scores(&logits), [0.0, 0.0, 1.0]);
        assert_eq!(ProblemType::Regression.scores(&logits), logits);
        assert!(ProblemType::SingleLabel.scores(&[]).is_empty());
    }

    #[test]
    fn a_score_reads_as_what_it_is() {
        for (score, text) in [
            (Score::Probability(0.9957), "99.6 %"),
            (Score::Probability(1.0), "100.0 %"),
            (Score::Value(-0.484), "-0.484"),
            (Score::Value(0.0), "0.000"),
            (Score::Value(1.25e-5), "1.250e-5"),
            (Score::Value(-3.5e7), "-3.500e7"),
        ] {
            assert_eq!(score.to_string(), text);
        }
        assert_eq!(format!("{:>8}|", Score::Probability(0.5)), "  50.0 %|");
    }
}
