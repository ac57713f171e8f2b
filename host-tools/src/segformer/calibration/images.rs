//! Calibration images, as the pixel values that the model will see.

use anyhow::{Context, ensure};
use igpt_runtime::{DecodedImage, SegformerImageProcessor};
use serde_json::{Value, json};

use crate::calibration::{Source, pictures};
use crate::failure::{Blame as _, Failure};
use crate::quantization::transpose;
use crate::skips::Reader;

/// Pictures of one size.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PictureSet {
    /// Pixel values of each, channels last.
    pub(in crate::segformer) pictures: Vec<Vec<f32>>,
    /// Height and width.
    pub(in crate::segformer) size: (usize, usize),
}

impl PictureSet {
    /// For the file's recipe.
    pub(in crate::segformer) fn summary(&self) -> Value {
        let (height, width) = self.size;
        json!({ "pictures": self.pictures.len(), "height": height, "width": width })
    }
}

/// Reads `source`.
///
/// # Errors
/// Tokens, which this family does not read; files that are missing or unreadable (a picture as `reader` says).
pub(in crate::segformer) fn read(
    source: &Source,
    processor: &SegformerImageProcessor,
    reader: &mut Reader,
) -> Result<PictureSet, Failure> {
    let path = source.path.display();
    if source
        .path
        .extension()
        .is_some_and(|extension| extension == "npy")
    {
        let what = "a SegFormer reads pictures, not tokens: calibrate on a folder of pictures or a data set";
        return Err(anyhow::anyhow!("--calibrate {path}: {what}")).misused();
    }
    let size = processor.size();
    let mut pictures = Vec::new();
    let values = |image: &DecodedImage| {
        let values = processor.pixel_values(image.rgb(), image.width(), image.height())?;
        Ok::<_, anyhow::Error>(transpose(&values, size.0 * size.1))
    };
    pictures::read(source, reader, values, |picture| pictures.push(picture))?;
    let any = || {
        ensure!(
            !pictures.is_empty(),
            "no image in it, expected one at least"
        );
        Ok(())
    };
    any().with_context(|| path.to_string()).bad_input()?;
    Ok(PictureSet { pictures, size })
}
