//! Files that verbs write: whole or not at all, and never over what they are made from.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};

use crate::failure::Failure;

/// A file that takes its name when it is complete. Until then, and if that never happens, what had this name
/// before stays as it was.
#[derive(Debug)]
pub struct Staged {
    file: File,
    /// What is written and where it goes; none for a pipe or a device, which is written where it is.
    part: Option<(PathBuf, PathBuf)>,
}

impl Staged {
    /// Opens it, beside `path`.
    ///
    /// # Errors
    /// It cannot be created.
    pub fn create(path: &Path) -> io::Result<Self> {
        // Through a link: what it points to is replaced, not the link.
        let path = &fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        // Renamed over, a device would be gone; opening says what is wrong with a folder.
        if fs::metadata(path).is_ok_and(|found| !found.is_file()) {
            let file = File::options().write(true).open(path)?;
            return Ok(Self { file, part: None });
        }
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}.part", std::process::id()));
        let part = path.with_file_name(name);
        Ok(Self {
            file: File::create(&part)?,
            part: Some((part, path.clone())),
        })
    }

    /// What to write to.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Gives the file its name.
    ///
    /// # Errors
    /// It cannot be renamed.
    pub fn finish(mut self) -> io::Result<()> {
        if let Some((part, path)) = &self.part {
            fs::rename(part, path)?;
        }
        self.part = None;
        Ok(())
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if let Some((part, _)) = &self.part {
            // The failure is what the user needs to hear of, not that its leftover could not be removed.
            let _ = fs::remove_file(part);
        }
    }
}

/// Writes a file of these bytes.
///
/// # Errors
/// It cannot be written; the error names it.
pub fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let staged = Staged::create(path);
    staged
        .and_then(|staged| {
            staged.file().write_all(bytes)?;
            staged.finish()
        })
        .with_context(|| path.display().to_string())
}

/// Refuses an output that is one of the files it is made from: they would be lost.
///
/// # Errors
/// It is one: the command line is wrong.
pub fn refuse_inputs<P: AsRef<Path>>(
    output: &Path,
    inputs: impl IntoIterator<Item = P>,
) -> Result<(), Failure> {
    let Ok(found) = fs::canonicalize(output) else {
        return Ok(()); // What is not there yet is nobody's input.
    };
    let mut inputs = inputs.into_iter();
    // A device, such as a terminal, may be both.
    if found.is_file() && inputs.any(|input| fs::canonicalize(input).is_ok_and(|i| i == found)) {
        let output = output.display();
        return Err(Failure::Misused(anyhow!(
            "{output}: is an input and the output, expected another file to write"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_finished_leaves_the_old_file_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "old").unwrap();
        let staged = Staged::create(&path).unwrap();
        staged.file().write_all(b"new").unwrap();
        drop(staged);
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        write(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_stays_a_link_and_an_input_is_found_through_it() {
        let folder = tempfile::tempdir().unwrap();
        let (path, link) = (folder.path().join("file"), folder.path().join("link"));
        fs::write(&path, "old").unwrap();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        write(&link, b"new").unwrap();
        assert!(link.is_symlink());
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert!(refuse_inputs(&link, [&path]).is_err());
        assert!(refuse_inputs(&link, [folder.path().join("other")]).is_ok());
    }
}
