//! The family `imagegpt`: transformers over colour tokens, as classifiers and as models that draw.

mod causal;
mod classification;
pub(crate) mod config;
mod exits;
mod features;
mod generation;
mod graph;
mod lockstep;
mod model;
mod ops;
mod reuse;
mod session;
mod shared;
mod sight;
mod stabilizer;
mod stages;
mod steps;

pub use causal::ImageGptForCausalImageModeling;
pub use classification::ImageGptForImageClassification;
pub use exits::{ExitCounts, ExitError, ExitLevel, ExitOptions, Exits};
#[cfg(feature = "tools")]
pub use exits::{argmax, margin};
pub use features::FeatureSession;
pub use generation::{GenerationConfig, GenerationError};
pub(crate) use graph::Graph;
pub use lockstep::Lockstep;
pub use model::ImageGptModel;
pub(crate) use ops::OPERATORS;
pub use session::Session;
pub use stabilizer::{Stabilizer, StabilizerOptions};
pub use steps::Steps;
