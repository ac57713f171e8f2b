//! The pictures of a directory and of those in it, in the natural order of their names, or one picture file.
//! A file that cannot be read or decoded is passed over and reported.

use std::path::{Path, PathBuf};
use std::time::Instant;

use igpt_runtime::image_io::{ImageIoError, decode_file};
use igpt_runtime::tools::counted;
use igpt_runtime::tools::image_files::ImageFiles;

use super::error::SourceError;
use super::frame::{FrameBuffer, FrameSource, ReadOutcome};
use super::options::{Skipped, SourceOptions};
use super::skip::Skips;

/// Frames from picture files, of any size that [`decode_file`] takes.
#[derive(Debug)]
pub struct DirectorySource {
    /// The directory, or the one file.
    root: PathBuf,
    files: std::vec::IntoIter<PathBuf>,
    count: usize,
    /// Files in it that are no pictures by their names.
    others: usize,
    skips: Skips,
    next: u64,
    opened: Instant,
}

impl DirectorySource {
    /// Lists `path`, by the rule of [`ImageFiles`]. Hidden files and files whose extension is not a picture's
    /// are no part of the stream.
    ///
    /// # Errors
    /// [`SourceError::Open`] if the directory cannot be listed, [`SourceError::EmptyDirectory`]
    /// if there is no picture in it or below.
    pub fn new(path: &Path, options: &SourceOptions) -> Result<Self, SourceError> {
        let found = ImageFiles::in_folder(path).map_err(|source| SourceError::Open {
            path: path.to_owned(),
            source,
        })?;
        let others = found.others.len();
        let mut passed_over = found.passed_over.into_iter().map(|passed| Skipped {
            name: passed.path.display().to_string(),
            reason: passed.reason,
        });
        if found.files.is_empty() {
            return Err(SourceError::EmptyDirectory {
                path: path.to_owned(),
                others,
                passed_over: passed_over.next(),
            });
        }
        let mut source = Self::from_files(path, found.files, options);
        source.others = others;
        for Skipped { name, reason } in passed_over {
            source.skips.add(name, reason);
        }
        Ok(source)
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
            others: 0,
            skips: Skips::new(options),
            next: 0,
            opened: Instant::now(),
        }
    }

    /// What a picture is called: its place in the directory.
    fn name_of(&self, path: &Path) -> String {
        let within = path.strip_prefix(&self.root).ok();
        let within = within.filter(|within| !within.as_os_str().is_empty());
        let name = within.unwrap_or_else(|| Path::new(path.file_name().unwrap_or_default()));
        name.to_string_lossy().into_owned()
    }
}

impl FrameSource for DirectorySource {
    fn read(&mut self, frame: &mut FrameBuffer) -> Result<ReadOutcome, SourceError> {
        while let Some(path) = self.files.next() {
            // Not two pictures in memory where one will do.
            frame.rgb = Vec::new();
            match load(&path, frame) {
                Ok(()) => {
                    frame.seq = self.next;
                    frame.name = Some(self.name_of(&path));
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
        let pictures = counted(self.count, "picture");
        let mut line = format!("{}: {pictures}", self.root.display());
        if self.others > 0 {
            let others = counted(self.others, "other file");
            line.push_str(&format!(", {others} left out"));
        }
        line
    }

    fn is_live(&self) -> bool {
        false
    }

    fn skipped(&self) -> u64 {
        self.skips.count()
    }
}

/// Decodes one file as every image is decoded: by its content, upright, within the limits of
/// [`igpt_runtime::image_io`].
fn load(path: &Path, frame: &mut FrameBuffer) -> Result<(), String> {
    let begun = Instant::now();
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
    frame.decode = begun.elapsed();
    Ok(())
}

#[cfg(test)]
mod tests;
