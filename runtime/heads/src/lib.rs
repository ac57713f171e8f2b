#![doc = include_str!("../README.md")]

mod assess;
mod error;
mod examples;
pub mod file;
mod folds;
mod gate;
mod linear;
mod logistic;
mod moments;
mod nearest_mean;
mod samples;
mod taught;

pub use assess::{Assessment, Suspect};
pub use error::{ExampleError, FileError, FitError};
pub use examples::{
    Added, Class, Example, Examples, LONGEST_LABEL, Layer, MOST_CLASSES, MOST_EXAMPLES, NONE,
    Undone,
};
pub use file::Binding;
pub use folds::Counted;
pub use gate::{Calibration, FALSE_ACCEPTANCE, Gate};
pub use linear::LinearHead;
pub use logistic::Logistic;
pub use nearest_mean::NearestMean;
pub use samples::{Quality, Samples};
pub use taught::{ENOUGH_FOR_REGRESSION, Method, Recognition, Taught};
