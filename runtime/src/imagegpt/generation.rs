//! `GenerationConfig`: how the next token is chosen from logits, and the choice.

use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;

/// How to choose the next token. The defaults are Hugging Face's; the ImageGPT paper samples with `do_sample`
/// and `top_k` 40.
///
/// ```
/// use igpt_runtime::GenerationConfig;
///
/// let how = GenerationConfig::new().with_do_sample(true).with_top_k(40).with_seed(7);
/// assert_eq!(how.temperature, 1.0);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct GenerationConfig {
    /// Tokens to have in the end, the context included; `n_positions + 1` if absent, and at most, since the
    /// last one is never fed back.
    pub max_length: Option<usize>,
    /// Draw from the distribution instead of taking the largest logit.
    pub do_sample: bool,
    /// Divides the logits before the softmax; above 0.
    pub temperature: f32,
    /// Keep only this many of the largest logits, ties included; 0 for all.
    pub top_k: usize,
    /// Then keep only the likeliest tokens that together reach this probability; 1 for all, above 0.
    pub top_p: f32,
    /// Seed of the generator.
    pub seed: u64,
}

impl Default for GenerationConfig {
    fn default() -> Self {
        Self {
            max_length: None,
            do_sample: false,
            temperature: 1.0,
            top_k: 50,
            top_p: 1.0,
            seed: 0,
        }
    }
}

impl GenerationConfig {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Tokens to have in the end, or as many as the model has positions for, and one.
    #[must_use]
    pub fn with_max_length(self, max_length: Option<usize>) -> Self {
        Self { max_length, ..self }
    }

    /// Whether to draw from the distribution.
    #[must_use]
    pub fn with_do_sample(self, do_sample: bool) -> Self {
        Self { do_sample, ..self }
    }

    /// What divides the logits.
    #[must_use]
    pub fn with_temperature(self, temperature: f32) -> Self {
        Self {
            temperature,
            ..self
        }
    }

    /// How many of the largest logits to keep; 0 for all.
    #[must_use]
    pub fn with_top_k(self, top_k: usize) -> Self {
        Self { top_k, ..self }
    }

    /// The probability that the kept tokens reach together; 1 for all.
    #[must_use]
    pub fn with_top_p(self, top_p: f32) -> Self {
        Self { top_p, ..self }
    }

    /// The seed of the generator.
    #[must_use]
    pub fn with_seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// Refuses what no distribution can be made with.
    pub(crate) fn check(&self) -> Result<(), GenerationError> {
        if !(self.temperature > 0.0 && self.temperature.is_finite()) {
            return Err(GenerationError::Temperature(self.temperature));
        }
        if !(self.top_p > 0.0 && self.top_p <= 1.0) {
            return Err(GenerationError::TopP(self.top_p));
        }
        Ok(())
    }
}

/// What is wrong with what was asked of the generator.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum GenerationError {
    /// A context that is empty or longer than what is to become of it, or more than the model can give.
    #[error(
        "a context of {context} tokens for a length of {length}, expected 1 <= context <= length <= {limit}"
    )]
    Length {
        /// Tokens of the context.
        context: usize,
        /// Tokens to have in the end.
        length: usize,
        /// The most there can be.
        limit: usize,
    },
    /// A temperature that logits cannot be divided by.
    #[error("temperature {0}, expected a finite number above 0")]
    Temperature(f32),
    /// A `top_p` that is no probability.
    #[error("top_p {0}, expected a number above 0 and at most 1")]
    TopP(f32),
}

/// The next token; greedy ties go to the lowest index.
pub(crate) fn choose(logits: &[f32], how: &GenerationConfig, rng: &mut ChaCha8Rng) -> u16 {
    if !how.do_sample {
        let better = |best: usize, i: usize| {
            if logits[i].total_cmp(&logits[best]).is_gt() {
                i
            } else {
                best
            }
        };
        return (0..logits.len()).fold(0, better) as u16;
    }
    let mut order: Vec<usize> = (0..logits.len()).collect();
    order.sort_by(|a, b| logits[*b].total_cmp(&logits[*a]).then(a.cmp(b)));
    let best = order.first().copied().unwrap_or(0);
    if how.top_k > 0 && how.top_k < order.len() {
        let threshold = logits[order[how.top_k - 1]];
        order.retain(|i| logits[*i] >= threshold);
    }
    let weight =
        |i: usize| (f64::from(logits[i] - logits[best]) / f64::from(how.temperature)).exp();
    let mut sum: f64 = order.iter().map(|i| weight(*i)).sum();
    if how.top_p < 1.0 {
        let (mut better, enough) = (0.0, f64::from(how.top_p) * sum);
        let kept = order.iter().take_while(|i| {
            let keep = better < enough;
            better += weight(**i);
            keep
        });
        let kept = kept.count();
        order.truncate(kept);
        sum = order.iter().map(|i| weight(*i)).sum();
    }
    let mut left = rng.random::<f64>() * sum;
    for i in &order {
        left -= weight(*i);
        if left < 0.0 {
            return *i as u16;
        }
    }
    best as u16
}
