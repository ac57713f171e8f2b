//! The image files of a folder, however deep, and what was passed over on the way and why.

use std::collections::HashSet;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use igpt_runtime::image_names::{EXTENSIONS, is_hidden, is_image, natural_order};
use serde::{Serialize, Serializer};

/// Most that a report names of what was passed over.
const NAMED: usize = 100;
/// The same of a line for people, for each reason.
const SHOWN: usize = 3;

/// Why a file or folder was passed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Its name begins with a dot.
    Hidden,
    /// Its name says that it is no picture.
    Extension,
    /// A picture beside the folders of a data set, in no class.
    NoClass,
    /// A folder without a picture.
    NoImage,
    /// A link to what is not there.
    BrokenLink,
    /// A link to a folder that it lies in.
    Loop,
    /// A link to a folder that was read under another name.
    ReadAlready,
    /// A pipe, a socket or a device.
    NoFile,
    /// A folder that the system does not let us read.
    Unreadable(String),
}

impl Reason {
    /// What several of a kind are, after their number.
    fn words(&self) -> &'static str {
        match self {
            Self::Hidden => "hidden",
            Self::Extension => "no pictures by their names",
            Self::NoClass => "in no class's folder",
            Self::NoImage => "folders without a picture",
            Self::BrokenLink => "broken links",
            Self::Loop => "links in a circle",
            Self::ReadAlready => "links to folders already read",
            Self::NoFile => "pipes or devices",
            Self::Unreadable(_) => "unreadable folders",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hidden => "is hidden",
            Self::Extension => "is no picture by its name",
            Self::NoClass => "is in no class's folder",
            Self::NoImage => "is a folder without a picture",
            Self::BrokenLink => "is a broken link",
            Self::Loop => "is a link to a folder that it lies in",
            Self::ReadAlready => "is a link to a folder already read",
            Self::NoFile => "is a pipe or a device",
            Self::Unreadable(error) => return write!(f, "cannot be read: {error}"),
        })
    }
}

impl Serialize for Reason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A file or folder that was passed over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Passed {
    /// Which.
    pub file: PathBuf,
    /// Why.
    pub reason: Reason,
}

/// Everything that was passed over.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PassedOver {
    /// How many files and folders.
    #[serde(rename = "passed_over_files")]
    count: usize,
    /// The first hundred of them.
    #[serde(rename = "passed_over")]
    named: Vec<Passed>,
    /// How many for each reason, in the order they were met, with the first of them.
    #[serde(skip)]
    kinds: Vec<(&'static str, usize, Vec<PathBuf>)>,
}

impl PassedOver {
    /// Adds one.
    pub fn add(&mut self, file: PathBuf, reason: Reason) {
        let words = reason.words();
        self.count += 1;
        match self.kinds.iter_mut().find(|(kind, ..)| *kind == words) {
            Some((_, count, shown)) => {
                *count += 1;
                if shown.len() < SHOWN {
                    shown.push(file.clone());
                }
            }
            None => self.kinds.push((words, 1, vec![file.clone()])),
        }
        if self.named.len() < NAMED {
            self.named.push(Passed { file, reason });
        }
    }

    /// Adds all of another's.
    pub fn extend(&mut self, other: Self) {
        self.count += other.count;
        for (words, count, shown) in other.kinds {
            match self.kinds.iter_mut().find(|(kind, ..)| *kind == words) {
                Some((_, all, first)) => {
                    *all += count;
                    first.extend(shown);
                    first.truncate(SHOWN);
                }
                None => self.kinds.push((words, count, shown)),
            }
        }
        self.named.extend(other.named);
        self.named.truncate(NAMED);
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether nothing was.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The first hundred.
    pub fn named(&self) -> &[Passed] {
        &self.named
    }

    /// A line for people, if anything was.
    pub fn summary(&self) -> Option<String> {
        let kind = |(words, count, shown): &(&'static str, usize, Vec<PathBuf>)| {
            let mut names: Vec<String> = shown
                .iter()
                .map(|file| file.display().to_string())
                .collect();
            if *count > names.len() {
                names.push("...".to_owned());
            }
            format!("{count} {words} ({})", names.join(", "))
        };
        let kinds: Vec<String> = self.kinds.iter().map(kind).collect();
        (self.count > 0).then(|| format!("passed over {}: {}", self.count, kinds.join("; ")))
    }
}

/// Image files in the order a person counts their names, and what else is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// The image files.
    pub files: Vec<PathBuf>,
    /// The rest.
    pub passed_over: PassedOver,
}

impl Listing {
    /// Every file in `folder`, however deep, that looks like an image. Linked folders are followed, each
    /// folder is read once.
    ///
    /// # Errors
    /// The folder cannot be read; one in it that cannot is passed over.
    pub fn of_folder(folder: &Path) -> anyhow::Result<Self> {
        let mut walk = Walk::default();
        let read = walk.enter(folder).and_then(|_| walk.read(folder));
        read.with_context(|| folder.display().to_string())?;
        Ok(walk.listing)
    }

    /// Each path as it is, or of a folder every image file in it.
    ///
    /// # Errors
    /// A path that is not there, a folder that cannot be read or holds no image, however deep.
    pub fn of_paths(paths: &[PathBuf]) -> anyhow::Result<Self> {
        let mut all = Self::default();
        for path in paths {
            let found = fs::metadata(path).with_context(|| path.display().to_string())?;
            if !found.is_dir() {
                all.files.push(path.clone());
                continue;
            }
            let listing = Self::of_folder(path)?;
            listing.check(path)?;
            all.files.extend(listing.files);
            all.passed_over.extend(listing.passed_over);
        }
        Ok(all)
    }

    /// Refuses a listing of `folder` without an image.
    ///
    /// # Errors
    /// There is none.
    pub fn check(&self, folder: &Path) -> anyhow::Result<()> {
        let rest = self
            .passed_over
            .summary()
            .map_or_else(String::new, |rest| format!("; {rest}"));
        anyhow::ensure!(
            !self.files.is_empty(),
            "{}: no image in it (looked for {}){rest}",
            folder.display(),
            EXTENSIONS.join(", ")
        );
        Ok(())
    }
}

#[derive(Default)]
struct Walk {
    listing: Listing,
    /// The folders that are being read, outermost first, by their real paths.
    within: Vec<PathBuf>,
    seen: HashSet<PathBuf>,
}

impl Walk {
    /// Notes that `folder` is going to be read, or says why not.
    fn enter(&mut self, folder: &Path) -> io::Result<Option<Reason>> {
        let real = fs::canonicalize(folder)?;
        if self.within.contains(&real) {
            return Ok(Some(Reason::Loop));
        }
        if !self.seen.insert(real.clone()) {
            return Ok(Some(Reason::ReadAlready));
        }
        self.within.push(real);
        Ok(None)
    }

    /// Reads a folder that was entered, and leaves it.
    fn read(&mut self, folder: &Path) -> io::Result<()> {
        let entries = fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path()));
        let mut entries = entries.collect::<Result<Vec<_>, _>>()?;
        entries.sort_by(|a, b| natural_order(a, b));
        for path in entries {
            if let Err(reason) = self.take(&path) {
                self.listing.passed_over.add(path, reason);
            }
        }
        self.within.pop();
        Ok(())
    }

    fn take(&mut self, path: &Path) -> Result<(), Reason> {
        if is_hidden(path) {
            return Err(Reason::Hidden);
        }
        let unreadable = |error: io::Error| Reason::Unreadable(error.to_string());
        let found = match fs::metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(Reason::BrokenLink);
            }
            // A link to itself, say.
            Err(_) if path.is_symlink() => return Err(Reason::BrokenLink),
            found => found.map_err(unreadable)?,
        };
        if found.is_dir() {
            if let Some(reason) = self.enter(path).map_err(unreadable)? {
                return Err(reason);
            }
            let depth = self.within.len();
            return self.read(path).map_err(|error| {
                self.within.truncate(depth.saturating_sub(1));
                unreadable(error)
            });
        }
        if !is_image(path) {
            return Err(Reason::Extension);
        }
        if !found.is_file() {
            return Err(Reason::NoFile);
        }
        self.listing.files.push(path.to_owned());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        folder
    }

    #[test]
    fn folders_are_searched_and_files_taken_as_they_are() {
        let folder = folder(&[
            "b/10.PNG",
            "b/9.tif",
            "a.webp",
            "notes.txt",
            ".c.png",
            ".git/x.png",
        ]);
        let at = |name: &str| folder.path().join(name);
        let found = Listing::of_paths(&[at("notes.txt"), folder.path().to_owned()]).unwrap();
        assert_eq!(
            found.files,
            ["notes.txt", "a.webp", "b/9.tif", "b/10.PNG"].map(at)
        );
        let reasons: Vec<_> = found
            .passed_over
            .named()
            .iter()
            .map(|p| (p.file.clone(), p.reason.clone()))
            .collect();
        assert_eq!(
            reasons,
            [
                (at(".c.png"), Reason::Hidden),
                (at(".git"), Reason::Hidden),
                (at("notes.txt"), Reason::Extension)
            ]
        );
        let summary = found.passed_over.summary().unwrap();
        assert!(
            summary.starts_with("passed over 3: 2 hidden ("),
            "{summary}"
        );
        assert!(
            summary.contains("; 1 no pictures by their names ("),
            "{summary}"
        );
        let json = serde_json::to_value(&found.passed_over).unwrap();
        assert_eq!(json["passed_over_files"], 3);
        assert_eq!(
            json["passed_over"][2]["reason"],
            "is no picture by its name"
        );
    }

    #[test]
    fn a_folder_without_an_image_says_what_it_has() {
        let folder = folder(&["IMG.HEIC", "b.heic", "c.heic", "d.heic"]);
        let error = Listing::of_paths(&[folder.path().to_owned()])
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("no image") && error.contains("passed over 4"),
            "{error}"
        );
        assert!(
            error.contains("IMG.HEIC") && error.contains(", ...)"),
            "{error}"
        );
        let missing = folder.path().join("nowhere");
        assert!(
            Listing::of_paths(&[missing])
                .unwrap_err()
                .to_string()
                .contains("nowhere")
        );
    }

    #[cfg(unix)]
    #[test]
    fn linked_folders_are_followed_once_and_never_in_circles() {
        use std::os::unix::fs::symlink;

        let (folder, far) = (folder(&["a/1.png"]), folder(&["2.png", "deep/3.png"]));
        let at = |name: &str| folder.path().join(name);
        symlink(far.path(), at("a/more")).unwrap();
        symlink(far.path(), at("again")).unwrap();
        symlink(folder.path(), at("a/up")).unwrap();
        symlink(at("nowhere"), at("gone.png")).unwrap();
        symlink(at("self"), at("self")).unwrap();
        let found = Listing::of_folder(folder.path()).unwrap();
        assert_eq!(
            found.files,
            ["a/1.png", "a/more/2.png", "a/more/deep/3.png"].map(at)
        );
        let reasons: Vec<_> = found
            .passed_over
            .named()
            .iter()
            .map(|p| p.reason.clone())
            .collect();
        assert_eq!(
            reasons,
            [
                Reason::Loop,
                Reason::ReadAlready,
                Reason::BrokenLink,
                Reason::BrokenLink
            ]
        );
    }
}
