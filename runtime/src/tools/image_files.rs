//! The image files of a folder, however deep: one rule for every program and verb.
//!
//! Names that begin with a dot are left out. Links are followed, to files and to folders; a folder inside
//! itself, which a link can make, is passed over, and so is one that was read under another name. What is
//! passed over and could have been meant is named.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::image_names::{is_hidden, is_image, natural_order};

/// Most folders that are searched: beyond it links lead round and round.
const MAX_FOLDERS: usize = 100_000;

/// What a folder holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImageFiles {
    /// The images, in the order a person counts their names, each folder's where its own name stands.
    pub files: Vec<PathBuf>,
    /// Every folder that was searched, without links: the given one first.
    pub folders: Vec<PathBuf>,
    /// What could have been meant and cannot be taken: a folder that cannot be read, a pipe named like a picture.
    pub passed_over: Vec<PassedOver>,
    /// Files whose names are not images'.
    pub others: Vec<PathBuf>,
    /// Files and folders whose names begin with a dot.
    pub hidden: Vec<PathBuf>,
    /// [`ImageFiles::folders`], to look in.
    seen: HashSet<PathBuf>,
}

/// Something in a folder that was passed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PassedOver {
    /// Which.
    pub path: PathBuf,
    /// Why.
    pub reason: String,
}

impl ImageFiles {
    /// Lists `folder`.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn in_folder(folder: &Path) -> io::Result<Self> {
        let mut found = Self::default();
        found.search(folder, &mut Vec::new())?;
        Ok(found)
    }

    /// `above` are the folders that this one lies in, without links.
    fn search(&mut self, folder: &Path, above: &mut Vec<PathBuf>) -> io::Result<()> {
        let itself = fs::canonicalize(folder)?;
        if above.contains(&itself) {
            return Err(io::Error::other("a link to a folder that it lies in"));
        }
        if !self.seen.insert(itself.clone()) {
            return Err(io::Error::other("a link to a folder that is read already"));
        }
        if self.folders.len() >= MAX_FOLDERS {
            return Err(io::Error::other(format!(
                "more than {MAX_FOLDERS} folders, do links lead in circles?"
            )));
        }
        let entries = fs::read_dir(folder)?;
        let mut entries = entries
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<io::Result<Vec<_>>>()?;
        entries.sort_by(|a, b| natural_order(a, b));
        self.folders.push(itself.clone());
        above.push(itself);
        for path in entries {
            if is_hidden(&path) {
                self.hidden.push(path);
                continue;
            }
            // A link to nothing is kept if its name is an image's: whoever reads it says what is wrong.
            let kind = fs::metadata(&path).map(|found| found.file_type());
            match kind {
                Ok(kind) if kind.is_dir() => {
                    if let Err(error) = self.search(&path, above) {
                        let reason = error.to_string();
                        self.passed_over.push(PassedOver { path, reason });
                    }
                }
                Ok(kind) if is_image(&path) && !kind.is_file() => {
                    let reason = "is no file but a pipe or a device".to_owned();
                    self.passed_over.push(PassedOver { path, reason });
                }
                _ if is_image(&path) => self.files.push(path),
                _ => self.others.push(path),
            }
        }
        above.pop();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(root: &Path, paths: &[PathBuf]) -> Vec<String> {
        let name = |path: &PathBuf| path.strip_prefix(root).unwrap().display().to_string();
        paths.iter().map(name).collect()
    }

    #[test]
    fn folders_are_searched_in_order_and_hidden_names_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["cat/b", ".git", "dog"] {
            fs::create_dir_all(at(name)).unwrap();
        }
        for name in [
            "cat/10.PNG",
            "cat/9.jpg",
            "cat/b/1.png",
            "dog/.x.png",
            "dog/a.webp",
            ".git/y.png",
            "z.txt",
            "a.gif",
        ] {
            fs::write(at(name), "").unwrap();
        }
        let found = ImageFiles::in_folder(folder.path()).unwrap();
        let expected = [
            "a.gif",
            "cat/9.jpg",
            "cat/10.PNG",
            "cat/b/1.png",
            "dog/a.webp",
        ];
        assert_eq!(names(folder.path(), &found.files), expected);
        assert_eq!(names(folder.path(), &found.others), ["z.txt"]);
        assert_eq!(names(folder.path(), &found.hidden), [".git", "dog/.x.png"]);
        assert_eq!((found.folders.len(), found.passed_over.len()), (4, 0));
        assert!(ImageFiles::in_folder(&at("missing")).is_err());
        assert!(ImageFiles::in_folder(&at("a.gif")).is_err(), "no folder");
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_and_circles_named() {
        use std::os::unix::fs::symlink;
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("data/cat")).unwrap();
        fs::create_dir_all(at("elsewhere")).unwrap();
        for name in ["data/cat/1.png", "elsewhere/2.png", "elsewhere/3.png"] {
            fs::write(at(name), "").unwrap();
        }
        symlink(at("elsewhere"), at("data/cat/more")).unwrap();
        symlink(at("elsewhere/2.png"), at("data/cat/two.png")).unwrap();
        symlink("nowhere", at("data/cat/broken.png")).unwrap();
        symlink(at("data"), at("elsewhere/round")).unwrap();
        symlink(at("elsewhere"), at("data/twice")).unwrap();
        let found = ImageFiles::in_folder(&at("data")).unwrap();
        let expected = [
            "cat/1.png",
            "cat/broken.png",
            "cat/more/2.png",
            "cat/more/3.png",
            "cat/two.png",
        ];
        assert_eq!(names(&at("data"), &found.files), expected);
        assert_eq!(found.folders.len(), 3);
        assert!(
            found
                .folders
                .contains(&fs::canonicalize(at("elsewhere")).unwrap())
        );
        let [circle, twice] = found.passed_over.as_slice() else {
            panic!("{:?}", found.passed_over);
        };
        assert!(twice.path.ends_with("data/twice") && twice.reason.contains("already"));
        assert!(circle.path.ends_with("cat/more/round") && circle.reason.contains("link"));
    }

    #[cfg(unix)]
    #[test]
    fn a_pipe_named_like_a_picture_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("live.png");
        let made = std::process::Command::new("mkfifo").arg(&path).status();
        assert!(made.unwrap().success());
        let found = ImageFiles::in_folder(folder.path()).unwrap();
        assert!(found.files.is_empty());
        assert!(found.passed_over[0].path.ends_with("live.png"));
    }
}
