//! Files that verbs write: checked before anything is computed, written whole or not at all, and never over
//! what they are made from.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use igpt_runtime::tools::image_files::ImageFiles;
use igpt_runtime::tools::image_names::is_image;

use crate::failure::{Blame as _, Failure};

/// Everything that a verb is going to write, checked before it computes anything: hours of work are not thrown
/// away for a name that was wrong from the start.
///
/// Folders that are missing are created. Those that nothing came into are gone with this value.
#[derive(Debug, Default)]
pub struct Outputs {
    inputs: Vec<PathBuf>,
    taken: Vec<PathBuf>,
    made: Vec<PathBuf>,
    /// The folders whose pictures are read, without links; listed when they are first asked for.
    read: Option<Vec<PathBuf>>,
}

impl Outputs {
    /// Of a verb that reads `inputs`, files and folders.
    pub fn made_from<P: AsRef<Path>>(inputs: impl IntoIterator<Item = P>) -> Self {
        let canonical = |input: P| fs::canonicalize(input).ok();
        Self {
            inputs: inputs.into_iter().filter_map(canonical).collect(),
            taken: Vec::new(),
            made: Vec::new(),
            read: None,
        }
    }

    /// Checks that `path` can become a file, and makes the folder for it.
    ///
    /// # Errors
    /// A folder of that name, a place where nothing can be written; one that is an input, would be one of the
    /// next run, or is another output's (the command line is wrong).
    pub fn file(&mut self, path: &Path) -> Result<(), Failure> {
        let at = || path.display().to_string();
        let found = fs::metadata(path).ok();
        if found.as_ref().is_some_and(fs::Metadata::is_dir) || names_a_folder(path) {
            return Err(anyhow!("{}: is a folder, expected a file to write", at())).failed();
        }
        // A pipe or a device is opened once, when there is something to write.
        if found.is_some_and(|found| !found.is_file()) {
            return Ok(());
        }
        let folder = parent(path);
        self.make(folder)?;
        // Only now is `new/../file` that file: nothing is found through a folder that is missing.
        refuse_inputs(path, &self.inputs)?;
        let folder = fs::canonicalize(folder).with_context(at).failed()?;
        let whole = behind_links(&folder.join(path.file_name().unwrap_or_default()));
        if is_image(path)
            && let Some(input) = self.pictures_around(&whole)
        {
            return Err(anyhow!(
                "{}: lies in {}, whose pictures are the input: the next run would count it as one; \
                 write it elsewhere",
                at(),
                input.display()
            ))
            .misused();
        }
        if self.taken.contains(&whole) {
            return Err(anyhow!(
                "{}: two outputs of that name, expected a name for each",
                at()
            ))
            .misused();
        }
        // Nothing tells better whether a file can be written than writing one.
        Staged::create(path).with_context(at).failed()?;
        self.taken.push(whole);
        Ok(())
    }

    /// The folder of input pictures that `file` lies in, be it through a link in an input.
    fn pictures_around(&mut self, file: &Path) -> Option<&Path> {
        let inputs = &self.inputs;
        let read = self.read.get_or_insert_with(|| {
            let folders = inputs.iter().filter(|input| input.is_dir());
            folders
                // One that cannot be read is reported by whoever reads it.
                .flat_map(|input| match ImageFiles::in_folder(input) {
                    Ok(found) => found.folders,
                    Err(_) => vec![input.clone()],
                })
                .collect()
        });
        read.iter()
            .find(|folder| file.starts_with(folder))
            .map(PathBuf::as_path)
    }

    /// Creates what is missing of `folder`.
    fn make(&mut self, folder: &Path) -> Result<(), Failure> {
        let blocking = folder.ancestors().find(|part| part.exists());
        if let Some(file) = blocking.filter(|part| !part.is_dir()) {
            let file = file.display();
            return Err(anyhow!(
                "{file}: is a file, expected a folder to write into"
            ))
            .failed();
        }
        let missing = folder
            .ancestors()
            .take_while(|part| !part.as_os_str().is_empty() && !part.exists());
        let missing: Vec<PathBuf> = missing.map(Path::to_owned).collect();
        fs::create_dir_all(folder)
            .with_context(|| folder.display().to_string())
            .failed()?;
        // Innermost first, as they have to be removed.
        self.made.splice(0..0, missing);
        Ok(())
    }
}

impl Drop for Outputs {
    fn drop(&mut self) {
        for folder in &self.made {
            // One that is not empty stays: that is what it was made for.
            let _ = fs::remove_dir(folder);
        }
    }
}

/// The folder that a file of this name lies in.
fn parent(path: &Path) -> &Path {
    let parent = path.parent().unwrap_or(Path::new(""));
    if parent.as_os_str().is_empty() {
        return Path::new(".");
    }
    parent
}

/// Whether a name can only be a folder's: `new/`, `..`.
fn names_a_folder(path: &Path) -> bool {
    let bytes = path.as_os_str().as_encoded_bytes();
    let separator = |byte: &u8| std::path::is_separator(char::from(*byte));
    bytes.last().is_some_and(separator) || path.file_name().is_none()
}

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
        let path = &behind_links(path);
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

/// Where a file of that name lies, or will: what a link points to is written, not the link, be it there yet or not.
fn behind_links(path: &Path) -> PathBuf {
    /// As many as Linux follows.
    const MOST: usize = 40;
    let mut path = path.to_owned();
    for _ in 0..MOST {
        match fs::read_link(&path) {
            Ok(target) => path = parent(&path).join(target),
            Err(_) => break,
        }
    }
    fs::canonicalize(&path).unwrap_or(path)
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
        // To a file that is not there yet, by way of another link; and to a folder that is not there.
        let far = folder.path().join("far");
        std::os::unix::fs::symlink("far", folder.path().join("near")).unwrap();
        std::os::unix::fs::symlink("new", &far).unwrap();
        write(&folder.path().join("near"), b"new").unwrap();
        assert!(far.is_symlink());
        assert_eq!(fs::read(folder.path().join("new")).unwrap(), b"new");
        std::os::unix::fs::symlink("gone/file", folder.path().join("lost")).unwrap();
        assert!(write(&folder.path().join("lost"), b"new").is_err());
        assert!(folder.path().join("lost").is_symlink());
    }

    #[cfg(unix)]
    #[test]
    fn a_picture_is_found_to_lie_among_the_inputs_through_their_links() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["photos/cat", "elsewhere/deep"] {
            fs::create_dir_all(at(name)).unwrap();
        }
        std::os::unix::fs::symlink(at("elsewhere"), at("photos/cat/more")).unwrap();
        let mut outputs = Outputs::made_from([at("photos")]);
        for name in [
            "elsewhere/grid.png",
            "elsewhere/deep/new/grid.png",
            "photos/cat/more/grid.png",
            "gone/../elsewhere/grid.png",
        ] {
            let message = outputs.file(&at(name)).unwrap_err().to_string();
            assert!(
                message.contains("whose pictures are the input"),
                "{name}: {message}"
            );
        }
        outputs.file(&at("elsewhere/table.csv")).unwrap();
        outputs.file(&at("gone/../grid.png")).unwrap();
    }

    #[test]
    fn missing_folders_are_made_and_go_if_nothing_came_into_them() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let mut outputs = Outputs::default();
        outputs.file(&at("a/b/c.csv")).unwrap();
        outputs.file(&at("a/d/e.npz")).unwrap();
        write(&at("a/d/e.npz"), b"").unwrap();
        assert!(at("a/b").is_dir());
        drop(outputs);
        assert!(!at("a/b").exists() && at("a/d/e.npz").exists());
    }

    #[test]
    fn what_cannot_be_written_is_refused_by_name_and_left_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("photos")).unwrap();
        fs::write(at("file"), "old").unwrap();
        let mut outputs = Outputs::made_from([at("photos"), at("file")]);
        outputs.file(&at("taken.svg")).unwrap();
        for (name, code, words) in [
            ("photos", 1, "photos: is a folder"),
            ("new/", 1, "new/: is a folder"),
            ("file/x/y.csv", 1, "file: is a file"),
            ("file", 2, "is an input and the output"),
            ("photos/new/grid.PNG", 2, "whose pictures are the input"),
            ("./taken.svg", 2, "two outputs"),
        ] {
            let refused = outputs.file(&at(name)).unwrap_err();
            let message = refused.to_string();
            assert!(message.contains(words), "{name}: {message}");
            let expected = std::process::ExitCode::from(code);
            assert_eq!(
                format!("{:?}", refused.exit_code()),
                format!("{expected:?}")
            );
        }
        // The folder `missing` is not there when the names are compared first.
        for name in ["missing/../file", "photos/new/../../missing/a/../../file"] {
            let message = outputs.file(&at(name)).unwrap_err().to_string();
            assert!(message.contains("is an input"), "{name}: {message}");
        }
        outputs.file(&at("photos/verdicts.csv")).unwrap();
        drop(outputs);
        let left = fs::read_dir(at("photos")).unwrap().count();
        assert_eq!((left, fs::read(at("file")).unwrap()), (0, b"old".to_vec()));
        assert!(!at("taken.svg").exists() && !at("new").exists());
    }
}
