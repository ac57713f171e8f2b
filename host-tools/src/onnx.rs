//! The ONNX file: what is in it ([`plan`]), its graph and functions, and how it is written.
//!
//! The format is specified in docs/model-format.md; the runtime checks every name, type, shape and
//! attribute of it before use.

mod alignment;
mod cut;
mod functions;
mod graph;
mod inline;
mod linears;
mod nodes;
mod plan;
mod wire;
mod writer;

pub use cut::{CutModel, LinearHead};
pub use igpt_runtime::{Dtype, Task};
pub use plan::Form;
#[cfg(test)]
pub(crate) use plan::weight_bytes;
pub use writer::{Preprocessor, Provenance, TensorReport, WriteError, write};

/// ONNX's protobuf messages.
pub(crate) use igpt_runtime::tools::pb;

/// The domain of our functions.
pub(crate) const DOMAIN: &str = "ai.igpt";
