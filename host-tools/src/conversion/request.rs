//! What is to be converted, and into what.

use std::path::{Path, PathBuf};

use igpt_runtime::processor::Backend;
use igpt_runtime::tools::Panels;

use crate::calibration::Source;
use crate::onnx::{Dtype, Task};
use crate::skips::BadPictures;

/// What to convert, and into what.
#[derive(Clone, Debug)]
pub struct Request {
    /// A checkpoint's folder, or its name on the hub.
    pub checkpoint: PathBuf,
    /// The file to write.
    pub output: PathBuf,
    /// What it computes; that of the class the checkpoint was saved from if absent.
    pub task: Option<Task>,
    /// How its linear layers are stored.
    pub dtype: Dtype,
    /// The image processor's configuration, if not the checkpoint's own.
    pub processor_config: Option<PathBuf>,
    /// Leave the image processor out.
    pub tokens_only: bool,
    /// Images to choose the weights' form and rounding on.
    pub calibrate: Option<Source>,
    /// In which panels int8 weights lie; row-major if absent.
    pub pack: Option<Panels>,
    /// What to do about a calibration picture that cannot be read.
    pub bad_pictures: BadPictures,
    /// Whose image processor it is, if not what its configuration says.
    pub processor: Option<Backend>,
    /// In standard operators alone.
    pub inline: bool,
    /// Height and width of its pictures, if not what the image processor's configuration says; SegFormer only.
    pub size: Option<(usize, usize)>,
}

impl Request {
    /// All defaults, for a checkpoint as it is: of a folder without an image processor a file is made that takes
    /// tokens only.
    pub fn new(checkpoint: impl Into<PathBuf>, output: impl Into<PathBuf>) -> Self {
        let checkpoint = checkpoint.into();
        Self {
            tokens_only: lacks_processor(&checkpoint),
            checkpoint,
            output: output.into(),
            task: None,
            dtype: Dtype::Int8,
            processor_config: None,
            calibrate: None,
            pack: None,
            bad_pictures: BadPictures::default(),
            processor: None,
            inline: false,
            size: None,
        }
    }
}

/// Whether it is a folder that does not say how images become tokens.
pub(crate) fn lacks_processor(checkpoint: &Path) -> bool {
    checkpoint.is_dir() && !checkpoint.join("preprocessor_config.json").exists()
}
