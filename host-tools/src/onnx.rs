//! The ONNX file: what it is made of ([`plan`]), what a family of models puts into it ([`design`]), and how it is
//! written.
//!
//! The format is specified in docs/model-format.md; the runtime checks every name, type, shape and
//! attribute of it before use.

pub(crate) mod activations;
mod alignment;
mod cut;
pub mod design;
mod inline;
pub(crate) mod linears;
pub(crate) mod nodes;
pub mod plan;
mod wire;
mod writer;

pub use cut::{CutModel, CutNames};
pub use design::Design;
pub use igpt_runtime::{Dtype, Task};
pub use plan::Form;
pub use writer::{Preprocessor, Provenance, TensorReport, WriteError, write};

/// ONNX's protobuf messages.
pub(crate) use igpt_runtime::tools::pb;
