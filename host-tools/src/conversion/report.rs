//! What a conversion did: the report of `igpt quantize`.

use igpt_runtime::tools::report::ModelReport;
use serde::Serialize;

use super::layers::LayerReport;
use crate::onnx::TensorReport;
use crate::skips::Skips;

/// What a conversion did.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The file that was written.
    pub model: ModelReport,
    /// Why its images become tokens as by `model.processor`; absent if the file does not say how they do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub processor_because: Option<String>,
    /// Whether it is in standard operators alone, which `igpt` and `igpt-cam` do not run.
    pub inline: bool,
    /// In which panels its int8 weights lie; row-major if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub panels: Option<String>,
    /// Size of the file in bytes.
    pub file_bytes: u64,
    /// Parameters of the model, head included.
    pub parameters: u64,
    /// The loss of every tensor against the checkpoint.
    pub tensors: Vec<TensorReport>,
    /// Whether it has an image processor; without one it takes tokens only.
    pub takes_images: bool,
    /// int8 only: what was done to each block before rounding.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub layers: Vec<LayerReport>,
    /// Calibration pictures that cannot be read.
    #[serde(flatten)]
    pub skips: Option<Skips>,
}
