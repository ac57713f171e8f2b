//! ImageGPT: what only this family of models has. Names and shapes of its tensors, its graph, and the exact pairs
//! of its blocks.

pub mod block;
pub mod calibration;
pub(crate) mod conversion;
pub(crate) mod cost;
mod design;
pub mod exited;
mod functions;
mod graph;
pub(crate) mod names;
mod outliers;
mod plan;
pub mod prepared;
mod preprocessor;
mod refusals;
pub mod tensors;
