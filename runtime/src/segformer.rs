//! The family `segformer`: Mix Transformers (MiT-b0 to b5), SegFormer's encoders, as image classifiers.

mod classification;
pub(crate) mod config;
mod features;
mod graph;
mod model;
mod ops;
mod processor;

pub use classification::{SegformerForImageClassification, SegformerSession};
pub use features::SegformerFeatureSession;
pub(crate) use graph::Graph;
pub use model::SegformerModel;
pub(crate) use ops::OPERATORS;
pub(crate) use processor::MAX_PIXELS;
pub use processor::{SegformerImageProcessor, SegformerProcessorConfig};
