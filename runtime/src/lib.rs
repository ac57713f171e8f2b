#![doc = include_str!("../README.md")]
// Without `tools` some of what it shows has no other reader.
#![cfg_attr(not(feature = "tools"), allow(unreachable_pub, dead_code))]

mod auto;
mod binomial;
mod classification;
#[cfg(feature = "jpeg")]
mod cmyk;
pub mod config;
mod error;
mod features;
mod huge_pages;
mod image;
#[cfg(feature = "image-io")]
pub mod image_io;
mod imagegpt;
#[cfg(feature = "jpeg")]
pub mod jpeg;
mod kind;
mod lfs;
mod model;
mod onnx;
mod ops;
mod options;
pub mod processor;
mod profile;
mod segformer;
#[cfg(feature = "tools")]
pub mod tools;
#[cfg(any(feature = "image-io", feature = "tools"))]
mod video;

pub use self::image::{DecodedImage, ImageError, MAX_SIDE};
pub use auto::{
    AutoFeatureSession, AutoImageProcessor, AutoModel, AutoModelForImageClassification,
    AutoSession, ModelConfig,
};
pub use classification::{Classification, Prediction};
pub use config::{Activation, ConfigError, ImageGptConfig, ProblemType, Score, SegformerConfig};
pub use error::{Error, FormatError, PixelsError, TokensError};
pub use features::Features;
pub use igpt_kernels::{Isa, IsaError};
#[cfg(feature = "image-io")]
pub use image_io::ImageIoError;
pub use imagegpt::{
    ExitCounts, ExitError, ExitLevel, ExitOptions, Exits, FeatureSession, GenerationConfig,
    GenerationError, ImageGptForCausalImageModeling, ImageGptForImageClassification, ImageGptModel,
    Lockstep, Session, Stabilizer, StabilizerOptions, Steps,
};
pub use kind::{Dtype, Task};
pub use model::ModelOutput;
pub use options::LoadOptions;
pub use processor::{
    ImageGptFeatureExtractor, ImageGptImageProcessor, ProcessorConfig, ProcessorError,
    ProcessorScratch, Resample,
};
pub use segformer::{
    SegformerFeatureSession, SegformerForImageClassification, SegformerImageProcessor,
    SegformerModel, SegformerProcessorConfig, SegformerSession,
};
