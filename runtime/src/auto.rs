//! What does not say its family: whoever takes any model begins here, and only here the families meet.

mod classification;
mod config;
mod features;
mod model;
mod processor;

pub use classification::{AutoModelForImageClassification, AutoSession};
pub use config::ModelConfig;
pub use features::AutoFeatureSession;
pub use model::AutoModel;
pub use processor::AutoImageProcessor;
