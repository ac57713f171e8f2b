! SegFormer's encoders as classifiers (Mix Transformers): what only this family of models has. Names and shapes of
! its tensors, its graph, and the exact pairs of its blocks.

mod design;
mod functions;
mod graph;
pub(crate) mod names;
mod parts;
mod plan;
pub mod tensors;

pub use design::SizedModel;
