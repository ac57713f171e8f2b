//! SegFormer's encoders as classifiers (Mix Transformers): what only this family of models has. Names and shapes of
//! its tensors, its graph, and the exact pairs of its blocks.

pub(crate) mod calibration;
pub(crate) mod conversion;
pub(crate) mod cost;
mod design;
mod functions;
mod graph;
pub(crate) mod names;
pub(crate) mod pairs;
mod parts;
mod plan;
pub mod prepared;
mod preprocessor;
mod refusals;
mod sized;
pub mod tensors;
pub mod weights;

pub use sized::SizedModel;
