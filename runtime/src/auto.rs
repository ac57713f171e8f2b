//! What does not say its family: whoever takes any model begins here, and only here the families meet.

mod classification;
mod config;
mod model;
mod processor;

pub use classification::{AutoModelForImageClassification, AutoSession};
pub use config::ModelConfig;
pub use model::AutoModel;
pub use processor::AutoImageProcessor;
