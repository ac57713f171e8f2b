//! What an evaluation found: the report that `--json` prints.

use std::path::PathBuf;

use igpt_runtime::tools::report::RunReport;
use serde::Serialize;

use super::compare::{LayerError, Turn, Turns};
use super::exits::ExitScore;
use super::tally::{Calibration, Times};
use crate::labelled::ImageName;
use crate::skips::Skips;

/// What one file reaches.
#[derive(Clone, Debug, Serialize)]
pub struct Score {
    /// The model and how it ran.
    #[serde(flatten)]
    pub run: RunReport,
    /// Images measured.
    pub images: usize,
    /// Predictions: one an image, or one a token.
    pub predictions: u64,
    /// Share of predictions that are right: the label's, or the next token's.
    pub top1: f64,
    /// A classifier's standard error of `top1`. A language model's tokens depend on one another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top1_standard_error: Option<f64>,
    /// Share of predictions with the target among the five largest logits.
    pub top5: f64,
    /// Mean cross-entropy of a prediction in nats: per image, or per token.
    pub nats: f64,
    /// A language model's `nats` over ln 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bits_per_token: Option<f64>,
    /// A language model's bits of a sub-pixel: a third of `bits_per_token`, as a token is a pixel of three
    /// channels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bits_per_dimension: Option<f64>,
    /// Time of one image's forward pass in seconds.
    pub seconds_per_image: Times,
    /// How far its probabilities can be trusted.
    pub calibration: Calibration,
}

impl Score {
    /// Whether it predicts tokens, not classes.
    pub(super) fn is_causal(&self) -> bool {
        self.bits_per_token.is_some()
    }
}

/// How one class fares.
#[derive(Clone, Debug, Serialize)]
pub struct ClassScore {
    /// Its label.
    pub label: String,
    /// Images of it.
    pub images: u64,
    /// Of these, the share that is recognised; absent without images.
    pub recall: Option<f64>,
    /// Of the images taken for it, the share that is; absent if none was.
    pub precision: Option<f64>,
}

/// A cell of the confusion matrix.
#[derive(Clone, Debug, Serialize)]
pub struct Cell {
    /// What the images are,
    pub label: String,
    /// what they were taken for,
    pub verdict: String,
    /// and how many there are.
    pub images: u64,
}

/// A classifier's verdict on an image.
#[derive(Clone, Debug, Serialize)]
pub struct Verdict {
    /// What it is.
    pub label: String,
    /// What it was taken for.
    pub verdict: String,
    /// With what probability.
    pub probability: f64,
}

/// An image that took long.
#[derive(Clone, Debug, Serialize)]
pub struct Slow {
    /// Which.
    pub image: ImageName,
    /// Its forward pass.
    pub seconds: f64,
}

/// An image that was not foreseen.
#[derive(Clone, Debug, Serialize)]
pub struct Hard {
    /// Which.
    pub image: ImageName,
    /// Its cross-entropy: of its label, or of the mean token.
    pub nats: f64,
    /// Of a classifier.
    #[serde(flatten)]
    pub verdict: Option<Verdict>,
}

/// What the other file says of an image.
#[derive(Clone, Debug, Serialize)]
pub struct OtherVerdict {
    /// What it was taken for.
    pub against_verdict: String,
    /// With what probability.
    pub against_probability: f64,
}

/// An image whose verdict is not the other file's.
#[derive(Clone, Debug, Serialize)]
pub struct Flip {
    /// Which.
    pub image: ImageName,
    /// This file's verdict.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// The other's.
    #[serde(flatten)]
    pub other: OtherVerdict,
    /// Which way it went.
    pub turn: Turn,
}

/// An image on which two files are far apart, whether or not the verdict flipped.
#[derive(Clone, Debug, Serialize)]
pub struct Disagreement {
    /// Which.
    pub image: ImageName,
    /// Kullback-Leibler divergence of this file's probabilities from the other's in nats; the mean token's of
    /// a language model.
    pub divergence: f64,
    /// Of a classifier.
    #[serde(flatten)]
    pub verdict: Option<Verdict>,
    /// The other's.
    #[serde(flatten)]
    pub other: Option<OtherVerdict>,
}

/// How far two files are apart.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// The other file's score.
    pub against: Score,
    /// Share of predictions whose largest logit is the same.
    pub argmax_agreement: f64,
    /// Cosine of all logits, taken as one vector.
    pub logits_cosine: f64,
    /// This file's top-1 minus the other's, in percentage points.
    pub top1_points: f64,
    /// This file's nats over the other's, minus one, in percent.
    pub nats_percent: f64,
    /// Predictions whose verdict is not the other's.
    #[serde(flatten)]
    pub turns: Turns,
    /// A classifier's: every image whose verdict flipped, the widest divergence first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flips: Option<Vec<Flip>>,
    /// Images of the widest divergence.
    pub disagreeing: Vec<Disagreement>,
    /// Images whose hidden states were compared.
    pub layer_images: usize,
    /// Every layer's error; empty if the two have not the same layers.
    pub layers: Vec<LayerError>,
}

/// The whole evaluation.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// This file's score.
    #[serde(flatten)]
    pub score: Score,
    /// The images.
    pub data: PathBuf,
    /// Of a data set with splits, the folder or file of the one that was measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub split: Option<String>,
    /// A classifier's classes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<ClassScore>,
    /// A classifier's confusion matrix: its cells that are not zero.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub confusion: Vec<Cell>,
    /// Images of the largest cross-entropy.
    pub hardest: Vec<Hard>,
    /// Images that took longest.
    pub slowest: Vec<Slow>,
    /// Present with `--against`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comparison: Option<Comparison>,
    /// Present with `--exits`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exits: Option<ExitScore>,
    /// Pictures that cannot be read.
    #[serde(flatten)]
    pub skips: Skips,
    /// Pictures that were drawn.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub plots: Vec<PathBuf>,
}
