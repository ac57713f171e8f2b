//! A head of what was shown: the layer, the method and the gate that suit it, and what it says of a picture.

use crate::assess::{Assessment, Data};
use crate::error::FitError;
use crate::examples::{Example, Examples, Layer};
use crate::folds::Units;
use crate::gate::{Gate, Sample};
use crate::linear::{LinearHead, largest, softmax};
use crate::logistic::Logistic;
use crate::nearest_mean::NearestMean;
use crate::samples::Samples;

/// Examples of each class from which on a regression is the better head: on features of the default language model it was from 3 on.
pub const ENOUGH_FOR_REGRESSION: usize = 3;
/// The inverse strength of its regularisation, as in `igpt probe`.
const C: f64 = 1.0;
/// Showings from which on the layer is chosen by them.
const ENOUGH_FOR_LAYERS: usize = 10;

/// How classes are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Method {
    /// By the nearest mean of centred features of length one.
    NearestMean,
    /// By a logistic regression.
    LogisticRegression,
}

/// What a head says of a picture.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Recognition {
    /// A probability for each class, and the last for none of them.
    pub probabilities: Vec<f32>,
    /// The likeliest class, whatever the gate says.
    pub class: usize,
    /// Its probability among the classes, whatever the gate says.
    pub score: f32,
    /// How far the picture is from the nearest example, in deviations.
    pub distance: f64,
    /// The distance from which on it is none of the classes; none if nothing was there to find it.
    pub limit: Option<f64>,
    /// Whether it is none of them.
    pub none: bool,
}

/// A head that was trained on what was shown.
#[derive(Clone, Debug)]
pub struct Taught {
    labels: Vec<String>,
    layer: Layer,
    method: Method,
    means: NearestMean,
    sharpness: f64,
    regression: Option<LinearHead>,
    gate: Option<Gate>,
    assessment: Assessment,
    means_accuracy: Option<f64>,
}

impl Taught {
    /// Trains a head; none if no class was shown. `usual` is the layer to use until another is clearly better, one of those
    /// that the examples have.
    ///
    /// # Errors
    /// A regression that fails.
    pub fn train(examples: &Examples, usual: usize) -> Result<Option<Self>, FitError> {
        let list: Vec<&Example> = examples.iter().collect();
        let labels: Vec<String> = examples.classes().into_iter().map(|c| c.label).collect();
        if labels.is_empty() {
            return Ok(None);
        }
        let units = Units::of(&list);
        let classes: Vec<Option<usize>> = list
            .iter()
            .map(|one| {
                one.label
                    .as_ref()
                    .and_then(|of| labels.iter().position(|l| l == of))
            })
            .collect();
        let of_layer = |index: usize, layer: &Layer| {
            let before = examples.layers().iter().take(index);
            let start: usize = before.map(|layer| layer.width).sum();
            let range = start..start + layer.width;
            let features = list.iter().map(|one| one.features.get(range.clone()));
            Data {
                classes: classes.clone(),
                features: features.map(Option::unwrap_or_default).collect(),
                labels: &labels,
                width: layer.width,
                units: &units,
            }
        };
        let layers = || examples.layers().iter().enumerate();
        let chosen = layers().find(|(_, layer)| layer.number == usual);
        let Some((index, mut layer)) = chosen.or_else(|| layers().next()) else {
            return Ok(None);
        };
        let mut data = of_layer(index, layer);
        let mut held = data.means()?;
        let first = data.assess(&held);
        if let Some(accuracy) = first.accuracy.filter(|_| first.of >= ENOUGH_FOR_LAYERS) {
            // Another has to be better by more than chance would have it.
            let error = (accuracy * (1.0 - accuracy) / first.of as f64).sqrt();
            let mut best = accuracy + error;
            for (other, there) in layers().filter(|(other, _)| *other != index) {
                let its = of_layer(other, there);
                let its_held = its.means()?;
                let its_accuracy = its.assess(&its_held).accuracy.unwrap_or_default();
                if its_accuracy > best {
                    best = its_accuracy;
                    (layer, data, held) = (there, its, its_held);
                }
            }
        }
        let sharpness = data.sharpness(&held);
        let means_accuracy = data.assess(&held).accuracy;
        let fewest = (0..labels.len())
            .map(|class| classes.iter().filter(|of| **of == Some(class)).count())
            .min();
        let enough = labels.len() > 1 && fewest >= Some(ENOUGH_FOR_REGRESSION);
        let (features, of, others) = data.part(|_| true);
        let samples = Samples {
            features: &features,
            width: layer.width,
            labels: &of,
        };
        let (method, regression, assessment) = if enough {
            let head = Logistic::fit(&samples, labels.len(), C)?.head;
            let assessment = data.assess(&data.regressions(C)?);
            (Method::LogisticRegression, Some(head), assessment)
        } else {
            (Method::NearestMean, None, data.assess(&held))
        };
        let rows = data.features.iter().zip(&classes).zip(&units.of);
        let own: Vec<Sample<'_>> = rows
            .filter_map(|((features, class), unit)| {
                Some(Sample {
                    features,
                    class: (*class)?,
                    unit: *unit,
                })
            })
            .collect();
        let negatives: Vec<&[f32]> = data
            .features
            .iter()
            .zip(&classes)
            .filter_map(|(features, class)| class.is_none().then_some(*features))
            .collect();
        Ok(Some(Self {
            layer: *layer,
            method,
            means: NearestMean::fit(&samples, labels.len(), &others)?,
            sharpness,
            regression,
            gate: Gate::fit(&own, &negatives, layer.width),
            assessment,
            means_accuracy,
            labels,
        }))
    }

    /// The classes, in the order of their numbers.
    #[must_use]
    pub fn labels(&self) -> &[String] {
        &self.labels
    }

    /// The layer whose features it takes.
    #[must_use]
    pub fn layer(&self) -> Layer {
        self.layer
    }

    /// How it tells the classes apart.
    #[must_use]
    pub fn method(&self) -> Method {
        self.method
    }

    /// How good it is, as far as the examples say.
    #[must_use]
    pub fn assessment(&self) -> &Assessment {
        &self.assessment
    }

    /// How good the nearest mean would be at its layer, whichever method it uses.
    #[must_use]
    pub fn means_accuracy(&self) -> Option<f64> {
        self.means_accuracy
    }

    /// What is none of the classes, if that is known.
    #[must_use]
    pub fn gate(&self) -> Option<&Gate> {
        self.gate.as_ref()
    }

    /// The head as it is written into a model file: it tells what [`Taught::recognise`] tells, without a gate.
    #[must_use]
    pub fn linear(&self) -> LinearHead {
        let means = || self.means.linear(self.sharpness);
        self.regression.clone().unwrap_or_else(means)
    }

    /// What it says of the features of a picture at its layer.
    #[must_use]
    pub fn recognise(&self, features: &[f32]) -> Recognition {
        let logits = match &self.regression {
            Some(head) => head.logits(features),
            None => {
                let similarities = self.means.similarities(features).into_iter();
                similarities.map(|s| s * self.sharpness).collect()
            }
        };
        let mut shares = softmax(&logits);
        let class = largest(&shares).unwrap_or_default();
        let score = shares.get(class).copied().unwrap_or_default();
        let gate = self.gate.as_ref();
        let distance = gate.map_or(0.0, |gate| gate.distance(features));
        // None is likelier than the likeliest class exactly beyond the limit.
        let none = gate.map_or(0.0, |gate| score * gate.odds(distance));
        let total = 1.0 + none;
        shares.push(none);
        Recognition {
            probabilities: shares.iter().map(|share| (share / total) as f32).collect(),
            class,
            score: score as f32,
            distance,
            limit: gate.map(Gate::limit),
            none: gate.is_some_and(|gate| distance >= gate.limit()),
        }
    }
}

#[cfg(test)]
mod tests;
