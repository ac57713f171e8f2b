//! How far two models are apart: verdicts, logits, and the hidden states of every layer.

use igpt_runtime::ModelOutput;
use serde::Serialize;

use super::subject::Logits;
use igpt_runtime::tools::argmax;

use super::tally::log_sum_exp;

/// Which way a verdict went from the other model to this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Turn {
    /// The other is right, this one is not.
    ToWrong,
    /// This one is right, the other is not.
    ToRight,
    /// Both are wrong, in different ways.
    BetweenWrong,
}

impl Turn {
    /// Absent if the verdicts are the same.
    pub(super) fn of(target: usize, this: usize, other: usize) -> Option<Self> {
        match (this == target, other == target) {
            _ if this == other => None,
            (true, _) => Some(Self::ToRight),
            (_, true) => Some(Self::ToWrong),
            (false, false) => Some(Self::BetweenWrong),
        }
    }

    /// As a person reads it.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::ToWrong => "to wrong",
            Self::ToRight => "to right",
            Self::BetweenWrong => "from wrong to wrong",
        }
    }
}

/// Verdicts that differ, by where they went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Turns {
    /// All of them.
    pub flipped: u64,
    /// Of these: right here, wrong in the other model.
    pub to_right: u64,
    /// Wrong here, right in the other model.
    pub to_wrong: u64,
    /// Wrong in both.
    pub between_wrong: u64,
}

/// The comparison of two models' logits, image by image.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pair {
    predictions: u64,
    pub(super) turns: Turns,
    dot: f64,
    squares: (f64, f64),
}

impl Pair {
    /// Adds an image's predictions, `this` and `other` model's, and returns their mean divergence: what it
    /// costs in nats to take this model's probabilities where the other's are true, the Kullback-Leibler
    /// divergence of this from the other.
    pub(super) fn add(&mut self, this: &Logits, other: &Logits, targets: &[u16]) -> f64 {
        let (mut divergence, mut count) = (0.0, 0u64);
        for ((a, b), target) in this.rows().zip(other.rows()).zip(targets) {
            count += 1;
            divergence += kl(b, a);
            if let Some(turn) = Turn::of(usize::from(*target), argmax(a), argmax(b)) {
                let of_kind = match turn {
                    Turn::ToRight => &mut self.turns.to_right,
                    Turn::ToWrong => &mut self.turns.to_wrong,
                    Turn::BetweenWrong => &mut self.turns.between_wrong,
                };
                *of_kind += 1;
                self.turns.flipped += 1;
            }
            for (x, y) in a.iter().zip(b) {
                let (x, y) = (f64::from(*x), f64::from(*y));
                self.dot += x * y;
                self.squares.0 += x * x;
                self.squares.1 += y * y;
            }
        }
        self.predictions += count;
        divergence / count.max(1) as f64
    }

    /// Share of predictions with the same verdict.
    pub(super) fn agreement(&self) -> f64 {
        (self.predictions - self.turns.flipped) as f64 / self.predictions.max(1) as f64
    }

    /// Cosine of all logits, taken as one vector.
    pub(super) fn cosine(&self) -> f64 {
        cosine(self.dot, self.squares)
    }
}

/// Divergence of the softmax of `q` from that of `p`: the sum of p ln(p / q).
fn kl(p: &[f32], q: &[f32]) -> f64 {
    let (sum_p, sum_q) = (log_sum_exp(p), log_sum_exp(q));
    let terms = p.iter().zip(q).map(|(p, q)| {
        let (p, q) = (f64::from(*p) - sum_p, f64::from(*q) - sum_q);
        p.exp() * (p - q)
    });
    // Rounding can leave a divergence of nothing just below zero.
    terms.sum::<f64>().max(0.0)
}

/// Of vectors with these products; 1 of two that are both zero.
fn cosine(dot: f64, squares: (f64, f64)) -> f64 {
    let lengths = squares.0.sqrt() * squares.1.sqrt();
    match squares == (0.0, 0.0) {
        true => 1.0,
        false => dot / lengths.max(f64::MIN_POSITIVE),
    }
}

/// How far one layer's hidden states are from the other model's.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct LayerError {
    /// Hugging Face's number of the hidden states: of an ImageGPT 0 the embeddings, the last after `ln_f`; of a
    /// SegFormer the stage.
    pub layer: usize,
    /// Length of the difference over the length of the other's, all tokens as one vector.
    pub relative_error: f64,
    /// Cosine, all tokens as one vector.
    pub cosine: f64,
    /// The least cosine of a single token.
    pub least_token_cosine: f64,
}

/// Sums over the hidden states of two models of the same shape.
#[derive(Clone, Debug, Default)]
pub(super) struct Layers {
    sums: Vec<LayerSums>,
}

#[derive(Clone, Copy, Debug)]
struct LayerSums {
    difference: f64,
    dot: f64,
    squares: (f64, f64),
    least: f64,
}

impl Layers {
    /// Adds an image's hidden states, of tokens as wide as each of `widths`.
    pub(super) fn add(&mut self, this: &ModelOutput, other: &ModelOutput, widths: &[usize]) {
        let fresh = LayerSums {
            difference: 0.0,
            dot: 0.0,
            squares: (0.0, 0.0),
            least: f64::INFINITY,
        };
        self.sums.resize(this.hidden_states.len(), fresh);
        let layers = this.hidden_states.iter().zip(&other.hidden_states);
        for ((sums, (this, other)), width) in self.sums.iter_mut().zip(layers).zip(widths) {
            let tokens = this.chunks_exact((*width).max(1));
            for (a, b) in tokens.zip(other.chunks_exact((*width).max(1))) {
                sums.add(a, b);
            }
        }
    }

    /// Every layer's error.
    pub(super) fn errors(&self) -> Vec<LayerError> {
        let error = |(layer, sums): (usize, &LayerSums)| LayerError {
            layer,
            relative_error: (sums.difference / sums.squares.1.max(f64::MIN_POSITIVE)).sqrt(),
            cosine: cosine(sums.dot, sums.squares),
            least_token_cosine: sums.least,
        };
        self.sums.iter().enumerate().map(error).collect()
    }
}

impl LayerSums {
    fn add(&mut self, a: &[f32], b: &[f32]) {
        let (mut difference, mut dot, mut squares) = (0.0, 0.0, (0.0, 0.0));
        for (x, y) in a.iter().zip(b) {
            let (x, y) = (f64::from(*x), f64::from(*y));
            difference += (x - y) * (x - y);
            dot += x * y;
            squares.0 += x * x;
            squares.1 += y * y;
        }
        self.least = self.least.min(cosine(dot, squares));
        self.difference += difference;
        self.dot += dot;
        self.squares.0 += squares.0;
        self.squares.1 += squares.1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn divergence_is_zero_of_the_same_and_that_of_the_definition() {
        // Logits are softmaxed: adding a constant changes nothing.
        assert!(kl(&[1.0, 2.0, 3.0], &[11.0, 12.0, 13.0]) < 1e-12);
        let (p, q) = ([0.5f32.ln(), 0.5f32.ln()], [0.25f32.ln(), 0.75f32.ln()]);
        let expected = 0.5 * (0.5f64 / 0.25).ln() + 0.5 * (0.5f64 / 0.75).ln();
        assert!((kl(&p, &q) - expected).abs() < 1e-6);
    }

    #[test]
    fn a_turn_is_seen_from_this_model() {
        assert_eq!(Turn::of(1, 1, 1), None);
        assert_eq!(Turn::of(1, 2, 2), None);
        assert_eq!(Turn::of(1, 1, 2), Some(Turn::ToRight));
        assert_eq!(Turn::of(1, 2, 1), Some(Turn::ToWrong));
        assert_eq!(Turn::of(1, 2, 3), Some(Turn::BetweenWrong));
    }

    #[test]
    fn layers_are_measured_as_one_vector_and_token_by_token() {
        let output = |hidden: &[f32]| {
            let mut output = ModelOutput::default();
            output.hidden_states.push(hidden.to_vec());
            output
        };
        let mut layers = Layers::default();
        // Two tokens of two channels: the first the same, the second at a right angle and short.
        layers.add(
            &output(&[3.0, 4.0, 0.0, 1.0]),
            &output(&[3.0, 4.0, 1.0, 0.0]),
            &[2],
        );
        let error = layers.errors()[0];
        assert!((error.relative_error - (2.0f64 / 26.0).sqrt()).abs() < 1e-12);
        assert!((error.cosine - 25.0 / 26.0).abs() < 1e-12);
        assert_eq!(error.least_token_cosine, 0.0);
        // A layer of zeros in both is no error.
        let mut zeros = Layers::default();
        zeros.add(&output(&[0.0; 2]), &output(&[0.0; 2]), &[2]);
        let LayerError {
            relative_error,
            cosine,
            ..
        } = zeros.errors()[0];
        assert_eq!((relative_error, cosine), (0.0, 1.0));
    }
}
