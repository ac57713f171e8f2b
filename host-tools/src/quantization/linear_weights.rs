//! A linear layer in f32, and the rescalings of its channels.

/// A linear layer: `y = x weight + bias`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LinearWeights {
    /// Row-major `[in, out]`.
    pub weight: Vec<f32>,
    /// `[out]`.
    pub bias: Vec<f32>,
}

impl LinearWeights {
    /// Output channels.
    pub fn outputs(&self) -> usize {
        self.bias.len()
    }

    /// `weight` or `bias`.
    pub fn tensor(&self, kind: &str) -> Option<&[f32]> {
        match kind {
            "weight" => Some(&self.weight),
            "bias" => Some(&self.bias),
            _ => None,
        }
    }

    /// The rows, one per input channel.
    pub fn rows(&self) -> impl Iterator<Item = &[f32]> {
        self.weight.chunks_exact(self.outputs().max(1))
    }

    /// Divides each input channel's row by its factor.
    pub fn divide_rows(&mut self, factors: &[f32]) {
        let outputs = self.outputs().max(1);
        for (row, factor) in self.weight.chunks_exact_mut(outputs).zip(factors) {
            row.iter_mut().for_each(|w| *w /= factor);
        }
    }

    /// Multiplies the output channels from `first` on by their factors.
    pub fn multiply_columns(&mut self, first: usize, factors: &[f32]) {
        let outputs = self.outputs().max(1);
        let rows = self.weight.chunks_exact_mut(outputs);
        for row in rows.chain(std::iter::once(self.bias.as_mut_slice())) {
            for (w, factor) in row.iter_mut().skip(first).zip(factors) {
                *w *= factor;
            }
        }
    }
}
