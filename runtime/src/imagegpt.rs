//! The family `imagegpt`: transformers over colour tokens, as classifiers and as models that draw.

mod causal;
mod classification;
pub(crate) mod config;
mod features;
mod generation;
mod graph;
mod lockstep;
mod model;
mod ops;
mod reuse;
mod stabilizer;
mod steps;

pub use causal::ImageGptForCausalImageModeling;
pub use classification::{ImageGptForImageClassification, Session};
pub use features::FeatureSession;
pub use generation::{GenerationConfig, GenerationError};
pub(crate) use graph::Graph;
pub use lockstep::Lockstep;
pub use model::ImageGptModel;
pub(crate) use ops::OPERATORS;
pub use stabilizer::{Stabilizer, StabilizerOptions};
pub use steps::Steps;
