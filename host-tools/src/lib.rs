//! From a checkpoint to one ONNX file, and everything around it: the library behind `igpt`.

pub mod arrays;
pub mod boards;
pub mod calibration;
pub mod charts;
pub mod checkpoint;
mod choices;
pub mod cli;
pub mod conversion;
pub mod exits;
pub mod failure;
pub mod hub;
pub mod idx;
pub mod imagegpt;
mod json;
pub mod kmeans;
pub mod labelled;
pub mod listing;
pub mod loaded;
pub mod onnx;
pub mod output;
pub mod pictures;
pub mod processor;
pub mod quantization;
pub mod segformer;
#[cfg(test)]
mod sizes;
pub mod skips;
pub mod source;
pub mod split;
#[cfg(test)]
mod test_folder;
pub mod verbs;
