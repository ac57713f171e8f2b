//! A model for a verb, from a model file or straight from a checkpoint's folder.

use std::path::{Path, PathBuf};

use anyhow::Context;
use igpt_runtime::processor::Backend;
use igpt_runtime::{ImageGptImageProcessor, image_io};
use tempfile::TempDir;

use crate::conversion::{Request, convert};
use crate::failure::{Blame, Failure};
use crate::hub;
use crate::onnx::{Dtype, Task};

/// A model file, which is gone with this value if it was made from a checkpoint.
#[derive(Debug)]
pub struct ModelSource {
    path: PathBuf,
    _made: Option<TempDir>,
}

impl ModelSource {
    /// Takes `path` as it is, or if it is a folder or a name on the hub converts that checkpoint first.
    ///
    /// # Errors
    /// A checkpoint that cannot be converted (bad input), no place to write the file.
    pub fn open(path: &Path, task: Option<Task>, dtype: Dtype) -> Result<Self, Failure> {
        Self::open_as(path, task, dtype, None, None)
    }

    /// As [`ModelSource::open`]; a checkpoint is taken to have this image processor and, a SegFormer's, this height
    /// and width of pictures, whatever its files say.
    ///
    /// # Errors
    /// The same.
    pub fn open_as(
        path: &Path,
        task: Option<Task>,
        dtype: Dtype,
        processor: Option<Backend>,
        size: Option<(usize, usize)>,
    ) -> Result<Self, Failure> {
        let path = &hub::resolve(path)?;
        if !path.is_dir() {
            return Ok(Self {
                path: path.clone(),
                _made: None,
            });
        }
        let folder = tempfile::tempdir().context("a temporary folder").failed()?;
        let name = path.file_name().unwrap_or("model".as_ref());
        let output = folder.path().join(name).with_extension("onnx");
        // One without an image processor is no error yet: a benchmark needs no images.
        convert(&Request {
            task,
            dtype,
            processor,
            size,
            ..Request::new(path.to_owned(), output.clone())
        })?;
        Ok(Self {
            path: output,
            _made: Some(folder),
        })
    }

    /// The model file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// The tokens of an image file.
///
/// # Errors
/// One that cannot be read or is no image.
pub fn tokens_of(processor: &ImageGptImageProcessor, path: &Path) -> anyhow::Result<Vec<u16>> {
    let image = image_io::decode_file(path)?;
    let tokens = processor.tokens_from_image(&image);
    tokens.with_context(|| path.display().to_string())
}
