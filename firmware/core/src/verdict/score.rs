//! What a model's numbers mean, and how one of them is written: the same in the picture, on a line and in the
//! log.

use core::fmt::{self, Write};

use heapless::String;

/// What the numbers of a frame are; as Hugging Face's `problem_type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, defmt::Format)]
pub enum ProblemType {
    /// Probabilities of which one class has the most: one of them is true.
    SingleLabel,
    /// A probability for each class, whatever the others: any number of them is true.
    MultiLabel,
    /// A value for each class.
    Regression,
}

impl ProblemType {
    /// Hugging Face's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::SingleLabel => "single_label_classification",
            Self::MultiLabel => "multi_label_classification",
            Self::Regression => "regression",
        }
    }

    /// A number of such a model as what it is.
    pub fn score(self, number: f32) -> Score {
        match self {
            Self::SingleLabel | Self::MultiLabel => Score::Probability(number),
            Self::Regression => Score::Value(number),
        }
    }
}

/// What a model says of a class.
#[derive(Debug, Clone, Copy, PartialEq, defmt::Format)]
pub enum Score {
    /// 0 to 1.
    Probability(f32),
    /// A regression's number.
    Value(f32),
}

impl Score {
    /// What it is called, `probability` or `value`: its key in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Probability(_) => "probability",
            Self::Value(_) => "value",
        }
    }

    /// The number.
    pub fn number(self) -> f32 {
        match self {
            Self::Probability(number) | Self::Value(number) => number,
        }
    }
}

/// `99.6 %`; a value with three decimals, in powers of ten where that says too little or takes too much room.
impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Holds every f32 in these forms.
        let mut text: String<24> = String::new();
        match *self {
            Self::Probability(p) => write!(text, "{:.1} %", p.clamp(0.0, 1.0) * 100.0)?,
            Self::Value(v) if v == 0.0 || (1e-3..1e6).contains(&v.abs()) => {
                write!(text, "{v:.3}")?;
            }
            Self::Value(v) => write!(text, "{v:.3e}")?,
        }
        f.pad(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::Score;

    #[test]
    fn every_number_has_a_form() {
        for (score, text) in [
            (Score::Probability(0.9957), "99.6 %"),
            (Score::Probability(1.0), "100.0 %"),
            (Score::Probability(f32::NAN), "NaN %"),
            (Score::Value(-0.484), "-0.484"),
            (Score::Value(-0.0), "-0.000"),
            (Score::Value(999_999.0), "999999.000"),
            (Score::Value(f32::MIN), "-3.403e38"),
            (Score::Value(1e-45), "1.401e-45"),
            (Score::Value(f32::INFINITY), "inf"),
        ] {
            assert_eq!(score.to_string(), text);
        }
        assert_eq!(format!("{:>8}|", Score::Probability(0.5)), "  50.0 %|");
    }
}
