//! The image files of a folder, and a count of what was passed over on the way and why.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use igpt_runtime::tools::image_files::ImageFiles;
use igpt_runtime::tools::image_names::EXTENSIONS;
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
    /// A folder or file that cannot be taken: unreadable, a link in a circle, a pipe.
    Other(String),
}

impl Reason {
    /// What several of a kind are, after their number.
    fn words(&self) -> &'static str {
        match self {
            Self::Hidden => "hidden",
            Self::Extension => "by name no picture",
            Self::NoClass => "in no class's folder",
            Self::NoImage => "without a picture in it",
            Self::Other(_) => "that cannot be taken",
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
            Self::Other(reason) => reason,
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

/// A reason in words, how many there are, and the first of them.
type Kind = (&'static str, usize, Vec<String>);

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
    kinds: Vec<Kind>,
}

impl PassedOver {
    /// Adds one.
    pub fn add(&mut self, file: PathBuf, reason: Reason) {
        let words = reason.words();
        let shown_as = match &reason {
            Reason::Other(reason) => format!("{}: {reason}", file.display()),
            _ => file.display().to_string(),
        };
        self.count += 1;
        match self.kinds.iter_mut().find(|(kind, ..)| *kind == words) {
            Some((_, count, shown)) => {
                *count += 1;
                if shown.len() < SHOWN {
                    shown.push(shown_as);
                }
            }
            None => self.kinds.push((words, 1, vec![shown_as])),
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
        Self::line(self.kinds.iter().collect())
    }

    /// The same without those of one reason, where they are told of already.
    pub fn summary_but(&self, told: &Reason) -> Option<String> {
        let rest = self
            .kinds
            .iter()
            .filter(|(words, ..)| *words != told.words());
        Self::line(rest.collect())
    }

    fn line(kinds: Vec<&Kind>) -> Option<String> {
        let kind = |(words, count, shown): &Kind| {
            let mut names = shown.clone();
            if *count > names.len() {
                names.push("...".to_owned());
            }
            format!("{count} {words} ({})", names.join(", "))
        };
        let count: usize = kinds.iter().map(|(_, count, _)| count).sum();
        let kinds: Vec<String> = kinds.into_iter().map(kind).collect();
        (count > 0).then(|| format!("passed over {count}: {}", kinds.join("; ")))
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
    /// Every file in `folder`, however deep, that looks like an image, by the rule of [`ImageFiles`].
    ///
    /// # Errors
    /// The folder cannot be read; one in it that cannot is passed over.
    pub fn of_folder(folder: &Path) -> anyhow::Result<Self> {
        let found = ImageFiles::in_folder(folder).with_context(|| folder.display().to_string())?;
        let mut passed_over = PassedOver::default();
        found
            .hidden
            .into_iter()
            .for_each(|file| passed_over.add(file, Reason::Hidden));
        found
            .others
            .into_iter()
            .for_each(|file| passed_over.add(file, Reason::Extension));
        for passed in found.passed_over {
            passed_over.add(passed.path, Reason::Other(passed.reason));
        }
        Ok(Self {
            files: found.files,
            passed_over,
        })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_folder::folder;

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
        assert!(summary.contains("; 1 by name no picture ("), "{summary}");
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
}
