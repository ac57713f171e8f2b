//! What a conversion did to each part of a model.

use serde::Serialize;

use crate::calibration::CalibrationReport;
use crate::quantization::Rescaled;

/// What was done to one block.
#[derive(Clone, Debug, Serialize)]
pub struct LayerReport {
    /// Its name in the graph.
    pub part: String,
    /// Pairs whose outlier channels were brought into line.
    pub rescaled: Vec<Rescaled>,
    /// Present with calibration.
    #[serde(flatten)]
    pub calibration: Option<CalibrationReport>,
}
