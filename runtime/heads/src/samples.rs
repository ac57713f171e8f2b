//! Features with their classes: what a head is fitted on, and measured on.

use crate::error::FitError;

/// Samples with their classes.
#[derive(Clone, Copy, Debug)]
pub struct Samples<'a> {
    /// Row-major `[samples, width]`, finite.
    pub features: &'a [f32],
    /// Features of a sample.
    pub width: usize,
    /// The class of each.
    pub labels: &'a [usize],
}

impl Samples<'_> {
    /// Refuses what nothing can be fitted on.
    pub(crate) fn check(&self, classes: usize) -> Result<(), FitError> {
        let (count, width) = (self.labels.len(), self.width);
        if count == 0 || self.features.len() != count * width {
            return Err(FitError::Shape {
                features: self.features.len(),
                samples: count,
                width,
            });
        }
        match self.labels.iter().max() {
            Some(&largest) if largest >= classes => Err(FitError::Class {
                found: largest,
                classes,
            }),
            _ => Ok(()),
        }
    }

    /// Each sample's features and class.
    pub(crate) fn rows(&self) -> impl Iterator<Item = (&[f32], usize)> {
        let rows = self.features.chunks_exact(self.width.max(1));
        rows.zip(self.labels.iter().copied())
    }
}

/// How good a head is on some samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quality {
    /// Share of the samples whose class has the largest logit.
    pub accuracy: f64,
    /// Mean cross-entropy in nats.
    pub nats: f64,
}
