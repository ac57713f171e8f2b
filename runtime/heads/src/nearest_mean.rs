//! The nearest mean of normalised features, as SimpleShot has it: what serves while there are few examples.

use crate::error::FitError;
use crate::linear::LinearHead;
use crate::moments::moments;
use crate::samples::Samples;

/// Features are centred on a stored mean, each divided by its deviation, and brought to length one; a class is the mean of its
/// own, brought to length one too, and what is nearest to it belongs to it.
///
/// As the means have length one, the nearest is the one of the largest scalar product with the centred features, whatever
/// their length: that is linear, and can be written into a model file.
#[derive(Clone, Debug, PartialEq)]
pub struct NearestMean {
    /// `[width]`.
    centre: Vec<f64>,
    /// One over the deviation of each feature; 0 of one that says nothing.
    scale: Vec<f64>,
    /// `[classes, width]`, each of length one; of a class without samples zeros.
    means: Vec<f64>,
    /// The mean length of what was fitted, centred and scaled.
    length: f64,
}

impl NearestMean {
    /// Takes the means. The centre is the mean of the classes' means and that of `others`, `[any, width]`, samples of no
    /// class; where there is one group only it is zero, for nothing would be left of it.
    ///
    /// # Errors
    /// No samples, a class out of range, features that are not `samples * width`.
    pub fn fit(samples: &Samples<'_>, classes: usize, others: &[f32]) -> Result<Self, FitError> {
        samples.check(classes)?;
        let width = samples.width;
        let mut groups = vec![(vec![0f64; width], 0usize); classes + 1];
        let mut add = |group: usize, row: &[f32]| {
            if let Some((sum, count)) = groups.get_mut(group) {
                sum.iter_mut()
                    .zip(row)
                    .for_each(|(s, x)| *s += f64::from(*x));
                *count += 1;
            }
        };
        samples.rows().for_each(|(row, class)| add(class, row));
        others.chunks_exact(width).for_each(|row| add(classes, row));
        let there: Vec<_> = groups.iter().filter(|(_, count)| *count > 0).collect();
        let mut centre = vec![0f64; width];
        if there.len() > 1 {
            for (sum, count) in &there {
                let share = (*count * there.len()) as f64;
                centre
                    .iter_mut()
                    .zip(sum)
                    .for_each(|(c, s)| *c += s / share);
            }
        }
        let mut head = Self {
            scale: scale(&[samples.features, others].concat(), width),
            centre,
            means: vec![0f64; classes * width],
            length: 0.0,
        };
        let mut means = std::mem::take(&mut head.means);
        for (row, class) in samples.rows() {
            let row = head.prepared(row);
            let length = length(&row);
            head.length += length / samples.labels.len() as f64;
            let mean = means
                .chunks_exact_mut(width)
                .nth(class)
                .into_iter()
                .flatten();
            if length > 0.0 {
                mean.zip(row).for_each(|(mean, x)| *mean += x / length);
            }
        }
        for mean in means.chunks_exact_mut(width) {
            let length = length(mean);
            if length > 0.0 {
                mean.iter_mut().for_each(|x| *x /= length);
            }
        }
        head.means = means;
        Ok(head)
    }

    /// The cosine of these features with each class's mean, -1 to 1: one minus it is their distance.
    #[must_use]
    pub fn similarities(&self, features: &[f32]) -> Vec<f64> {
        let row = self.prepared(features);
        let length = length(&row);
        let factor = if length > 0.0 { length.recip() } else { 0.0 };
        let means = self.means.chunks_exact(self.centre.len().max(1));
        let cosine = |mean: &[f64]| {
            let products = mean.iter().zip(&row).map(|(m, x)| m * x);
            (products.sum::<f64>() * factor).clamp(-1.0, 1.0)
        };
        means.map(cosine).collect()
    }

    /// A linear head of the same classes: its logits are `sharpness` times the similarities, for features of the usual length.
    #[must_use]
    pub fn linear(&self, sharpness: f64) -> LinearHead {
        let factor = if self.length > 0.0 {
            sharpness / self.length
        } else {
            0.0
        };
        let width = self.centre.len().max(1);
        let rows = self.means.chunks_exact(width).map(|mean| {
            let scaled = mean.iter().zip(&self.scale);
            scaled.map(|(m, s)| m * s * factor).collect::<Vec<f64>>()
        });
        let (mut weight, mut bias) = (Vec::new(), Vec::new());
        for row in rows {
            let at_centre = row.iter().zip(&self.centre).map(|(w, c)| w * c);
            bias.push(-at_centre.sum::<f64>() as f32);
            weight.extend(row.iter().map(|w| *w as f32));
        }
        LinearHead { weight, bias }
    }

    /// Centred and scaled.
    fn prepared(&self, features: &[f32]) -> Vec<f64> {
        let norms = self.centre.iter().zip(&self.scale);
        let prepared = features.iter().zip(norms);
        prepared
            .map(|(x, (centre, scale))| (f64::from(*x) - centre) * scale)
            .collect()
    }
}

/// One over the deviation of each feature; one where all samples are the same.
pub(crate) fn scale(features: &[f32], width: usize) -> Vec<f64> {
    let (_, scale) = moments(features, width);
    if scale.iter().all(|scale| *scale == 0.0) {
        return vec![1.0; width];
    }
    scale
}

fn length(row: &[f64]) -> f64 {
    row.iter().map(|x| x * x).sum::<f64>().sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linear::largest;

    #[test]
    fn the_nearest_is_that_of_the_angle_and_its_linear_head_agrees() {
        let features = [
            1.0, 0.1, 2.0, -0.1, 0.1, 1.0, -0.1, 3.0, -2.0, -2.0, -1.0, -1.1,
        ];
        let samples = Samples {
            features: &features,
            width: 2,
            labels: &[0, 0, 1, 1, 2, 2],
        };
        let head = NearestMean::fit(&samples, 3, &[]).unwrap();
        let linear = head.linear(8.0);
        for (row, label) in samples.rows() {
            let near = largest(&head.similarities(row));
            assert_eq!(near, Some(label));
            assert_eq!(largest(&linear.logits(row)), near);
        }
    }

    #[test]
    fn one_class_alone_is_not_centred_on_itself() {
        let samples = Samples {
            features: &[3.0, 4.0],
            width: 2,
            labels: &[0],
        };
        let head = NearestMean::fit(&samples, 1, &[]).unwrap();
        assert!((head.similarities(&[6.0, 8.0])[0] - 1.0).abs() < 1e-6);
        assert!(head.similarities(&[-4.0, 3.0])[0].abs() < 1e-6);
        let centred = NearestMean::fit(&samples, 1, &[0.0, 0.0]).unwrap();
        assert!((centred.similarities(&[0.0, 0.0])[0] + 1.0).abs() < 1e-6);
    }
}
