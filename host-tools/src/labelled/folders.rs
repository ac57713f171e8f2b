//! A data set as folders: a folder a class, perhaps within a folder for each split.
//!
//! What a folder's name says, its content has to bear out: a name that looks like a split's on a folder that
//! cannot be one is refused, because as a class it would make a model that knows "train" from "test".

mod rules;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use igpt_runtime::tools::counted;
use igpt_runtime::tools::image_names::{is_hidden, is_image, natural_order};

use super::Part;
use super::table;
use crate::listing::{Listing, Passed, PassedOver, Reason};
use crate::split::Split;

/// Images with the index of each one's class.
#[derive(Debug, Default)]
pub(super) struct Classes {
    pub(super) files: Vec<PathBuf>,
    pub(super) labels: Vec<usize>,
    pub(super) names: Vec<String>,
    pub(super) passed_over: PassedOver,
}

/// The folder of one part of a data set.
#[derive(Debug)]
pub(super) struct Chosen {
    pub(super) folder: PathBuf,
    /// The split's folder's name, where there are splits.
    pub(super) split: Option<String>,
    /// Whether the other part is there as well.
    pub(super) other: bool,
    /// What lies beside the splits.
    pub(super) passed_over: PassedOver,
}

/// A folder in a data set, with images.
#[derive(Debug)]
struct Folder {
    path: PathBuf,
    name: String,
    listing: Listing,
    /// Whether images lie in it, not only in folders in it.
    direct: bool,
}

impl Folder {
    /// The split that it is by its whole name.
    fn exact(&self) -> Option<Split> {
        Split::named(&self.name)
    }

    /// The split that its name has at least a word of.
    fn split(&self) -> Option<Split> {
        self.exact().or_else(|| Split::within(&self.name))
    }
}

/// What is in a data set's folder.
#[derive(Debug, Default)]
struct Survey {
    root: PathBuf,
    folders: Vec<Folder>,
    tables: Vec<PathBuf>,
    passed_over: PassedOver,
    /// Images that lie beside the folders.
    loose: usize,
}

impl Survey {
    fn of(root: &Path) -> anyhow::Result<Self> {
        let at = || root.display().to_string();
        let entries = fs::read_dir(root).with_context(at)?;
        let entries = entries.map(|entry| entry.map(|entry| entry.path()));
        let mut entries = entries.collect::<Result<Vec<_>, _>>().with_context(at)?;
        entries.sort_by(|a, b| natural_order(a, b));
        let mut survey = Self {
            root: root.to_owned(),
            ..Self::default()
        };
        for path in entries {
            let reason = if is_hidden(&path) {
                Reason::Hidden
            } else if path.is_dir() {
                match survey.enter(path.clone()) {
                    Ok(()) => continue,
                    Err(reason) => reason,
                }
            } else if is_image(&path) {
                survey.loose += 1;
                Reason::NoClass
            } else {
                if table::is_table(&path) {
                    survey.tables.push(path.clone());
                }
                Reason::Extension
            };
            survey.passed_over.add(path, reason);
        }
        Ok(survey)
    }

    fn enter(&mut self, path: PathBuf) -> Result<(), Reason> {
        let unreadable = |error: anyhow::Error| Reason::Other(error.root_cause().to_string());
        let listing = Listing::of_folder(&path).map_err(unreadable)?;
        if listing.files.is_empty() {
            return Err(Reason::NoImage);
        }
        self.folders.push(Folder {
            name: path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned(),
            direct: listing
                .files
                .iter()
                .any(|file| file.parent() == Some(&path)),
            listing,
            path,
        });
        Ok(())
    }

    /// Whether the folders are splits and not classes.
    ///
    /// One called as a split is one. Of those with a split's name as a word (`bullet_train`, `seg_train`) one
    /// that holds no images itself is one too, as folders of classes are; and so are all if they are nothing
    /// but that and not of one split.
    ///
    /// # Errors
    /// Folders that are splits beside others that are not.
    fn has_splits(&self) -> anyhow::Result<bool> {
        let mut words = self.folders.iter().map(Folder::split);
        let first = words.next().flatten();
        let (mut all, mut several) = (first.is_some(), false);
        for split in words {
            all &= split.is_some();
            several |= split != first;
        }
        let is_split = |folder: &&Folder| {
            folder.exact().is_some()
                || (folder.split().is_some() && (!folder.direct || (all && several)))
        };
        let splits: Vec<&Folder> = self.folders.iter().filter(is_split).collect();
        let Some(one) = splits.first() else {
            return Ok(false);
        };
        let others: Vec<&Folder> = self
            .folders
            .iter()
            .filter(|f| f.split().is_none())
            .collect();
        ensure!(
            others.is_empty() && self.loose == 0,
            "{}: {} by {} of a data set, but beside {} {}: expected either classes or splits. \
             Name the part itself, as {}; if {} is a class, list the images in a CSV of file_name and label",
            self.root.display(),
            names(&splits),
            if splits.len() == 1 {
                "its name is a split"
            } else {
                "their names are splits"
            },
            if splits.len() == 1 { "it" } else { "them" },
            match others.is_empty() {
                true => format!(
                    "there {} {}",
                    if self.loose == 1 { "is" } else { "are" },
                    pictures(self.loose)
                ),
                false => format!("there is {}", names(&others)),
            },
            one.path.display(),
            one.name
        );
        Ok(true)
    }

    /// The split of `part`, and whether the other one is there.
    fn choose(&self, part: Part) -> anyhow::Result<(&Folder, bool)> {
        let root = self.root.display();
        let of = |split: Split| -> anyhow::Result<Option<&Folder>> {
            let found: Vec<&Folder> = self
                .folders
                .iter()
                .filter(|folder| folder.split() == Some(split))
                .collect();
            match *found.as_slice() {
                [] => Ok(None),
                [only] => Ok(Some(only)),
                [one, ..] => bail!(
                    "{root}: {} are all the {} split by their names, expected one: name it itself, as {}",
                    names(&found),
                    split.name(),
                    one.path.display()
                ),
            }
        };
        let train = of(Split::Train)?;
        let test = match of(Split::Test)? {
            None => of(Split::Validation)?,
            found => found,
        };
        match (part, train, test) {
            (Part::Train, Some(train), test) => Ok((train, test.is_some())),
            (Part::Test, train, Some(test)) => Ok((test, train.is_some())),
            (Part::Train, None, Some(other)) => bail!(
                "{root}: holds {}, but no training split{}: to fit on that nevertheless name it itself, as {}",
                other.name,
                self.empty_splits(),
                other.path.display()
            ),
            (Part::Test, Some(other), None) => bail!(
                "{root}: holds {}, but no test or validation split{}: to measure on that nevertheless name it \
                 itself, as {}",
                other.name,
                self.empty_splits(),
                other.path.display()
            ),
            (_, None, None) => bail!("{root}: no split in it"),
        }
    }

    /// The folders with splits' names that have no picture, for messages.
    fn empty_splits(&self) -> String {
        let passed = self
            .passed_over
            .named()
            .iter()
            .filter(|p| p.reason == Reason::NoImage);
        let name = |passed: &Passed| {
            passed
                .file
                .file_name()
                .map(|name| name.to_string_lossy().into_owned())
        };
        let empty: Vec<String> = passed
            .filter_map(name)
            .filter(|name| Split::named(name).is_some())
            .collect();
        match empty.is_empty() {
            true => String::new(),
            false => format!(" (in {} is no picture)", empty.join(" and ")),
        }
    }
}

fn names(folders: &[&Folder]) -> String {
    let names: Vec<&str> = folders.iter().map(|folder| folder.name.as_str()).collect();
    listed(&names)
}

fn listed(all: &[&str]) -> String {
    const SHOWN: usize = 5;
    let mut names: Vec<&str> = all.iter().copied().take(SHOWN).collect();
    if all.len() > SHOWN {
        names.push("others");
    }
    match names.split_last() {
        Some((last, [])) => (*last).to_owned(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
        None => String::new(),
    }
}

fn pictures(count: usize) -> String {
    match count {
        0 => "no picture".to_owned(),
        n => counted(n, "picture"),
    }
}

/// The folder of `part`: of a data set with splits that split's, else `root`.
///
/// # Errors
/// Names of splits that cannot be splits, or not those that are needed; a folder that cannot be read.
pub(super) fn choose(root: &Path, part: Part) -> anyhow::Result<Chosen> {
    let survey = unpacked(Survey::of(root)?)?;
    if !survey.has_splits()? {
        return Ok(Chosen {
            folder: root.to_owned(),
            split: None,
            other: false,
            passed_over: PassedOver::default(),
        });
    }
    let (chosen, other) = survey.choose(part)?;
    Ok(Chosen {
        folder: chosen.path.clone(),
        split: Some(chosen.name.clone()),
        other,
        passed_over: survey.passed_over.clone(),
    })
}

/// As [`choose`], where classes do not matter: folders that are splits only in part are plain folders.
///
/// # Errors
/// Splits, but not the one that is needed; a folder that cannot be read.
pub(super) fn choose_unlabelled(
    root: &Path,
    part: Part,
) -> anyhow::Result<(PathBuf, Option<String>)> {
    let survey = Survey::of(root)?;
    if !survey.has_splits().unwrap_or(false) {
        return Ok((root.to_owned(), None));
    }
    let (chosen, _) = survey.choose(part)?;
    Ok((chosen.path.clone(), Some(chosen.name.clone())))
}

/// Archives often unpack into a folder of their own name within one of that name (`seg_train/seg_train`): the
/// inner one is meant.
fn unpacked(mut survey: Survey) -> anyhow::Result<Survey> {
    loop {
        let own = fs::canonicalize(&survey.root).unwrap_or_else(|_| survey.root.clone());
        let own = own
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .to_lowercase();
        match survey.folders.as_slice() {
            [only] if !only.direct && survey.loose == 0 && only.name.to_lowercase() == own => {
                let outer = std::mem::take(&mut survey.passed_over);
                survey = Survey::of(&only.path.clone())?;
                survey.passed_over.extend(outer);
            }
            _ => return Ok(survey),
        }
    }
}

/// The classes that `chosen` holds.
///
/// # Errors
/// No folders with images, folders that are no classes by what is in them, a folder that cannot be read.
pub(super) fn classes(chosen: &Chosen) -> anyhow::Result<Classes> {
    let survey = unpacked(Survey::of(&chosen.folder)?)?;
    let at = chosen.folder.display();
    if survey.folders.is_empty() {
        let table = survey.tables.first().map_or_else(String::new, |table| {
            format!("; if {} says the classes, name it instead", table.display())
        });
        // The pictures are counted by themselves.
        let passed_over = survey.passed_over.summary_but(&Reason::NoClass);
        let rest = passed_over.map_or_else(String::new, |line| format!("; {line}"));
        match &chosen.split {
            Some(split) => bail!(
                "{at}: {split} is a split by its name, but holds {} and no folder of them for each \
                 class{table}",
                pictures(survey.loose)
            ),
            None => bail!(
                "{at}: no folders of pictures in it, expected one for each class, called as the class, or IDX \
                 files, or in its place a CSV of file_name and label (docs/data.md); it holds {}{table}{rest}",
                pictures(survey.loose)
            ),
        }
    }
    let mut classes = Classes {
        passed_over: chosen.passed_over.clone(),
        ..Classes::default()
    };
    classes.passed_over.extend(survey.passed_over);
    let mut folders = survey.folders;
    folders.sort_by(|a, b| super::class_order(&a.name, &b.name));
    rules::check(&survey.root, &folders)?;
    for folder in folders {
        classes.labels.resize(
            classes.files.len() + folder.listing.files.len(),
            classes.names.len(),
        );
        classes.files.extend(folder.listing.files);
        classes.passed_over.extend(folder.listing.passed_over);
        classes.names.push(folder.name);
    }
    Ok(classes)
}

#[cfg(test)]
mod tests;
