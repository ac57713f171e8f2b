//! The pictures of a directory in the natural order of their names, or one picture file.
//! A file that cannot be read or decoded is passed over and reported.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use igpt_runtime::image_io::{ImageIoError, decode_file};
use igpt_runtime::image_names::{is_hidden, is_image, natural_order};
use igpt_runtime::lfs;
use image::ImageReader;

use super::skip::Skips;
use super::{FrameBuffer, FrameSource, ReadOutcome, SourceError, SourceOptions};

/// Frames from picture files.
#[derive(Debug)]
pub struct DirectorySource {
    /// The directory, or the one file.
    root: PathBuf,
    files: std::vec::IntoIter<PathBuf>,
    count: usize,
    max_pixels: u32,
    skips: Skips,
    next: u64,
    opened: Instant,
}

impl DirectorySource {
    /// Lists `path`. Hidden files, directories and files whose extension is not a picture's
    /// are no part of the stream.
    ///
    /// # Errors
    /// [`SourceError::Open`] if the directory cannot be listed, [`SourceError::EmptyDirectory`]
    /// if there is no picture in it.
    pub fn new(path: &Path, options: &SourceOptions) -> Result<Self, SourceError> {
        let open = |source| SourceError::Open {
            path: path.to_owned(),
            source,
        };
        let mut files = Vec::new();
        for entry in fs::read_dir(path).map_err(open)? {
            let entry = entry.map_err(open)?.path();
            if is_image(&entry) && !is_hidden(&entry) && !entry.is_dir() {
                files.push(entry);
            }
        }
        if files.is_empty() {
            return Err(SourceError::EmptyDirectory {
                path: path.to_owned(),
            });
        }
        files.sort_by(|a, b| natural_order(a, b));
        Ok(Self::from_files(path, files, options))
    }

    /// A stream of one picture.
    pub fn single(path: &Path, options: &SourceOptions) -> Self {
        Self::from_files(path, vec![path.to_owned()], options)
    }

    fn from_files(root: &Path, files: Vec<PathBuf>, options: &SourceOptions) -> Self {
        Self {
            root: root.to_owned(),
            count: files.len(),
            files: files.into_iter(),
            max_pixels: options.max_pixels,
            skips: Skips::new(options),
            next: 0,
            opened: Instant::now(),
        }
    }
}

impl FrameSource for DirectorySource {
    fn read(&mut self, frame: &mut FrameBuffer) -> Result<ReadOutcome, SourceError> {
        for path in self.files.by_ref() {
            match load(&path, self.max_pixels, frame) {
                Ok(()) => {
                    frame.seq = self.next;
                    frame.name = Some(name_of(&path));
                    frame.captured = self.opened.elapsed();
                    frame.dropped_before = 0;
                    self.next += 1;
                    return Ok(ReadOutcome::Frame);
                }
                Err(reason) => self.skips.add(path.display().to_string(), reason),
            }
        }
        match self.next {
            0 => Err(self.skips.no_frames(&self.root.display().to_string())),
            _ => Ok(ReadOutcome::End),
        }
    }

    fn describe(&self) -> String {
        let plural = if self.count == 1 { "" } else { "s" };
        format!("{}: {} picture{plural}", self.root.display(), self.count)
    }

    fn is_live(&self) -> bool {
        false
    }

    fn skipped(&self) -> u64 {
        self.skips.count()
    }
}

/// Decodes one file as every image is decoded: by its content, upright.
fn load(path: &Path, max_pixels: u32, frame: &mut FrameBuffer) -> Result<(), String> {
    // The header first: nothing as large as it says may be allocated before its size is known.
    let (width, height) = ImageReader::open(path)
        .and_then(ImageReader::with_guessed_format)
        .map_err(|error| format!("cannot be read: {error}"))?
        .into_dimensions()
        .map_err(|error| match lfs::is_pointer_file(path) {
            true => lfs::MESSAGE.to_owned(),
            false => format!("is not a readable image: {error}"),
        })?;
    let pixels = u64::from(width) * u64::from(height);
    if pixels == 0 || pixels > u64::from(max_pixels) {
        return Err(format!(
            "{width}x{height}; expected 1x1 up to {max_pixels} pixels"
        ));
    }
    let picture = decode_file(path).map_err(|error| match error {
        // The report names the file already.
        ImageIoError::File { source, .. } => source.to_string(),
        error => error.to_string(),
    })?;
    let sides = (
        u32::try_from(picture.width()),
        u32::try_from(picture.height()),
    );
    let (Ok(width), Ok(height)) = sides else {
        return Err(format!("{}x{} pixels", picture.width(), picture.height()));
    };
    (frame.width, frame.height) = (width, height);
    frame.rgb = picture.into_rgb();
    Ok(())
}

fn name_of(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

#[cfg(test)]
#[path = "directory/tests.rs"]
mod tests;
