//! A model for a verb, from a model file or straight from a checkpoint's folder.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use igpt_runtime::image_names::{EXTENSIONS, is_hidden, is_image, natural_order};
use igpt_runtime::{ImageGptImageProcessor, image_io};
use tempfile::TempDir;

use crate::failure::{Blame, Failure};
use crate::hub;
use crate::onnx::{ModelDtype, Task};
use crate::verbs::quantize;

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
    pub fn open(path: &Path, task: Option<Task>, dtype: ModelDtype) -> Result<Self, Failure> {
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
        quantize::quantize(&quantize::Args {
            task,
            dtype,
            // Whoever needs images says so; a benchmark does not.
            tokens_only: !path.join("preprocessor_config.json").exists(),
            ..quantize::Args::new(path.to_owned(), output.clone())
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

/// Image files: each path as it is, or of a folder every file in it that looks like an image, in the order a
/// person counts their names; hidden ones are left out.
///
/// # Errors
/// A path that is not there, a folder that cannot be read or holds no image, however deep.
pub fn image_files(paths: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        let found = fs::metadata(path).with_context(|| path.display().to_string())?;
        if !found.is_dir() {
            files.push(path.clone());
            continue;
        }
        let before = files.len();
        walk(path, &mut files)?;
        anyhow::ensure!(
            files.len() > before,
            "{}: no image in it (looked for {})",
            path.display(),
            EXTENSIONS.join(", ")
        );
    }
    Ok(files)
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let at = || folder.display().to_string();
    let mut entries = fs::read_dir(folder)
        .with_context(at)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()
        .with_context(at)?;
    entries.sort_by(|a, b| natural_order(a, b));
    for path in entries {
        if is_hidden(&path) {
            continue;
        }
        // A link to a folder could lead in circles.
        if path.is_dir() && !path.is_symlink() {
            walk(&path, files)?;
        } else if is_image(&path) {
            files.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_searched_and_files_taken_as_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("b")).unwrap();
        for name in ["b/10.PNG", "b/9.tif", "a.webp", "notes.txt", ".c.png"] {
            fs::write(at(name), "").unwrap();
        }
        let found = image_files(&[at("notes.txt"), folder.path().to_owned()]).unwrap();
        assert_eq!(
            found,
            ["notes.txt", "a.webp", "b/9.tif", "b/10.PNG"].map(at)
        );
        let empty = tempfile::tempdir().unwrap();
        let error = image_files(&[empty.path().to_owned()]).unwrap_err();
        assert!(error.to_string().contains("no image"), "{error}");
    }
}
