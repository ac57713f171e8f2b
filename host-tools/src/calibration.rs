//! Calibration: the form and the rounding of a model's int8 weights, chosen on real images.
//!
//! The images pass through the model part by part, three times side by side: in f32, with the weights that
//! a conversion without calibration stores, and with those chosen here, both with activations rounded as a
//! board rounds them. For each part, first every exact pair of channels is
//! rescaled by SmoothQuant's factors (Xiao et al. 2023, arXiv:2211.10438) for the exponent that gives the
//! least error of the part's output ([`smooth`]); then every matrix is rounded so that its product with the activations
//! that it will meet is closest to the f32 model's ([`fitting`]). The parts and their forward passes are the families':
//! [`crate::imagegpt`] and [`crate::segformer`] have a `calibration` each.

pub(crate) mod fitting;
pub(crate) mod pictures;
pub(crate) mod products;
mod quadratic;
pub(crate) mod smooth;

use std::path::PathBuf;

use serde::Serialize;

use crate::quantization::outliers::PairName;

/// What a value beyond f32's range is called.
pub(crate) const NOT_FINITE: &str = "a calibration image's activations are not finite";

/// What calibration did to a part.
#[derive(Clone, Debug, Serialize)]
pub struct CalibrationReport {
    /// The exponent chosen for each pair that was rescaled.
    pub smoothed: Vec<Smoothed>,
    /// Error of the hidden state after this part, all parts before it included, relative to the f32
    /// model's: what a conversion without calibration gives.
    pub error_before: f64,
    /// The same with the weights chosen here.
    pub error_after: f64,
}

/// A pair that was rescaled.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Smoothed {
    /// Which.
    pub pair: PairName,
    /// SmoothQuant's alpha.
    pub alpha: f32,
}

/// |a - b| / |a|.
pub(crate) fn distance(a: &[f32], b: &[f32]) -> f64 {
    let (mut difference, mut size) = (0f64, 0f64);
    for (a, b) in a.iter().zip(b) {
        difference += f64::from(a - b) * f64::from(a - b);
        size += f64::from(*a) * f64::from(*a);
    }
    if size > 0.0 {
        (difference / size).sqrt()
    } else {
        0.0
    }
}

/// Where calibration images come from, and how many are taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// A folder of images, an IDX file, a folder of IDX files, or tokens in an `.npy`.
    pub path: PathBuf,
    /// At most so many, evenly spaced over all there are.
    pub count: usize,
}
