#![doc = include_str!("../README.md")]
// Without `tools` some of what it shows has no other reader.
#![cfg_attr(not(feature = "tools"), allow(unreachable_pub, dead_code))]

mod auto;
mod causal;
mod classification;
#[cfg(feature = "jpeg")]
mod cmyk;
pub mod config;
mod error;
mod generation;
mod huge_pages;
mod image;
#[cfg(feature = "image-io")]
pub mod image_io;
#[cfg(feature = "jpeg")]
pub mod jpeg;
mod kind;
mod lfs;
mod lockstep;
mod model;
mod onnx;
mod ops;
mod options;
pub mod processor;
mod profile;
mod segformer;
mod steps;
#[cfg(feature = "tools")]
pub mod tools;
#[cfg(any(feature = "image-io", feature = "tools"))]
mod video;

pub use self::image::{DecodedImage, ImageError, MAX_SIDE};
pub use auto::ModelConfig;
pub use causal::ImageGptForCausalImageModeling;
pub use classification::{Classification, ImageGptForImageClassification, Prediction, Session};
pub use config::{Activation, ConfigError, ImageGptConfig, ProblemType, Score};
pub use error::{Error, FormatError, TokensError};
pub use generation::{GenerationConfig, GenerationError};
pub use igpt_kernels::{Isa, IsaError};
#[cfg(feature = "image-io")]
pub use image_io::ImageIoError;
pub use kind::{Dtype, Task};
pub use lockstep::Lockstep;
pub use model::{ImageGptModel, ModelOutput};
pub use options::LoadOptions;
pub use processor::{
    ImageGptFeatureExtractor, ImageGptImageProcessor, ProcessorConfig, ProcessorError,
    ProcessorScratch, Resample,
};
pub use segformer::SegformerConfig;
pub use steps::Steps;
