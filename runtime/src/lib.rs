//! ImageGPT from an int8 ONNX file: processor, model, heads and sessions.
//!
//! The names and the semantics are Hugging Face's; the arithmetic is `igpt-kernels`', bit-identical on every
//! instruction set and for any number of threads (docs/numerics.md); the file is docs/model-format.md's.

mod causal;
mod classification;
mod cmyk;
pub mod config;
mod counted;
mod error;
mod huge_pages;
mod image;
pub mod image_files;
pub mod image_io;
pub mod image_names;
pub mod jpeg;
pub mod lfs;
mod lockstep;
mod model;
mod one_line;
pub mod onnx;
mod ops;
pub mod processor;
mod profile;
pub mod report;
mod steps;

pub use self::image::{DecodedImage, ImageError, MAX_SIDE};
pub use causal::{GenerationConfig, ImageGptForCausalImageModeling};
pub use classification::{Classification, ImageGptForImageClassification, Prediction, Session};
pub use config::{Activation, ConfigError, ImageGptConfig, ProblemType, Score};
pub use counted::counted;
pub use error::Error;
pub use igpt_kernels::{
    INT4_GROUP, INT4_LIMIT, INT4_MULTIPLIER, Isa, IsaError, Kernels, Layout, Panels, PanelsName,
    pack_nibbles, peak_benchmark, read_benchmark, tile_benchmark,
};
pub use image_io::ImageIoError;
pub use lockstep::Lockstep;
pub use model::{ImageGptModel, LoadOptions, ModelOutput, Packing};
pub use one_line::one_line;
pub use processor::{
    ImageGptFeatureExtractor, ImageGptImageProcessor, ProcessorConfig, ProcessorError,
    ProcessorScratch, Resample,
};
pub use profile::Operator;
pub use steps::Steps;
