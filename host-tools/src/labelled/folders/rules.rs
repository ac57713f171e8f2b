//! What folders of classes must not hold: splits, the same folders as the others, pictures of another class.
//!
//! Each would make a model without a word that tells parts of a data set from one another, or is fitted on
//! what it is measured by.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{bail, ensure};

use super::{Folder, listed, names};
use crate::split::Split;

/// Holds the classes' `folders` in `root` against every rule.
///
/// # Errors
/// One that is broken.
pub(super) fn check(root: &Path, folders: &[Folder]) -> anyhow::Result<()> {
    for folder in folders {
        no_splits(folder)?;
    }
    no_parts(root, folders)?;
    one_class_each(root, folders)
}

/// The folders with pictures in a class, by their paths from it.
fn inner(folder: &Folder) -> BTreeSet<&Path> {
    let mut inner = BTreeSet::new();
    let mut last = None;
    for file in &folder.listing.files {
        let parent = file.parent();
        if parent == last {
            continue;
        }
        last = parent;
        let within = parent.and_then(|parent| parent.strip_prefix(&folder.path).ok());
        let above = within.into_iter().flat_map(Path::ancestors);
        inner.extend(above.filter(|path| !path.as_os_str().is_empty()));
    }
    inner
}

fn name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// Refuses a class with a split in it: a folder of a split's name, or two side by side that have different
/// ones as words. One such word alone (`bullet_train`) says nothing.
fn no_splits(folder: &Folder) -> anyhow::Result<()> {
    let inner = inner(folder);
    let exact = inner
        .iter()
        .find(|path| Split::named(&name(path)).is_some());
    let found = match exact {
        Some(path) => format!("{}, a split by its name", path.display()),
        None => {
            let mut beside: BTreeMap<Option<&Path>, Vec<(String, Split)>> = BTreeMap::new();
            for path in inner {
                if let Some(split) = Split::within(&name(path)) {
                    let all = beside.entry(path.parent()).or_default();
                    all.push((path.display().to_string(), split));
                }
            }
            let several = beside.values().find(|all| {
                all.iter()
                    .any(|(_, split)| all.first().is_some_and(|(_, first)| first != split))
            });
            let Some(several) = several else {
                return Ok(());
            };
            let several: Vec<&str> = several.iter().map(|(name, _)| name.as_str()).collect();
            format!("{}, splits by their names", listed(&several))
        }
    };
    bail!(
        "{}: holds {found}, and is a class by its place: expected splits above classes. If {} is the data set, \
         name it itself; else move the splits above the classes, or list the pictures in a CSV of file_name, \
         label and split",
        folder.path.display(),
        folder.name
    )
}

/// Refuses folders that hold no pictures themselves but all folders of the same names, where half of all do so:
/// those names are the classes, whatever the folders are called.
fn no_parts(root: &Path, folders: &[Folder]) -> anyhow::Result<()> {
    let mut held: HashMap<String, usize> = HashMap::new();
    let mut nested = Vec::new();
    for folder in folders.iter().filter(|folder| !folder.direct) {
        let first = |path: &&Path| path.components().count() == 1;
        let inner: BTreeSet<String> = inner(folder).into_iter().filter(first).map(name).collect();
        for name in &inner {
            *held.entry(name.clone()).or_default() += 1;
        }
        nested.push((folder, inner));
    }
    // Most classes share no names: those need not be held against one another.
    let shared = |name: &String| held.get(name).is_some_and(|count| *count > 1);
    nested.retain(|(_, inner)| inner.iter().filter(|name| shared(name)).count() > 1);
    for (_, all) in &nested {
        let alike: Vec<&Folder> = nested
            .iter()
            .filter(|(_, inner)| inner.is_subset(all))
            .map(|(folder, _)| *folder)
            .collect();
        if alike.len() < 2 || alike.len() * 2 < folders.len() {
            continue;
        }
        let classes: Vec<&str> = all.iter().map(String::as_str).collect();
        let one = alike.first().map_or(root, |folder| folder.path.as_path());
        bail!(
            "{}: {} hold no pictures themselves but folders of the same names ({}), as parts of a data set do and \
             classes do not. If they are parts, call them train and test, or name one itself, as {}; if they \
             are classes, list the pictures in a CSV of file_name and label",
            root.display(),
            names(&alike),
            listed(&classes),
            one.display()
        );
    }
    Ok(())
}

/// Refuses a picture that links put into two classes.
fn one_class_each(root: &Path, folders: &[Folder]) -> anyhow::Result<()> {
    let real_root = fs::canonicalize(root).unwrap_or_else(|_| root.to_owned());
    let mut real_folders: HashMap<&Path, PathBuf> = HashMap::new();
    let mut linked: HashMap<PathBuf, (&Folder, &Path)> = HashMap::new();
    let mut plain = Vec::new();
    for folder in folders {
        for file in &folder.listing.files {
            let (Some(parent), Some(name)) = (file.parent(), file.file_name()) else {
                continue;
            };
            let real = real_folders
                .entry(parent)
                .or_insert_with(|| fs::canonicalize(parent).unwrap_or_else(|_| parent.to_owned()));
            let without_links = parent.strip_prefix(root).map(|rest| real_root.join(rest));
            let is_link = fs::symlink_metadata(file).is_ok_and(|found| found.is_symlink());
            if !is_link && without_links.as_ref() == Ok(real) {
                plain.push((folder, file));
                continue;
            }
            let itself = match is_link {
                false => real.join(name),
                // A link to nothing is told of by whoever reads it.
                true => fs::canonicalize(file).unwrap_or_else(|_| real.join(name)),
            };
            let (other, first) = *linked.entry(itself).or_insert((folder, file));
            one_class(other, first, folder, file)?;
        }
    }
    if linked.is_empty() {
        return Ok(());
    }
    for (folder, file) in plain {
        let itself = file.strip_prefix(root).map(|rest| real_root.join(rest));
        if let Some((other, link)) = itself.ok().and_then(|itself| linked.get(&itself)) {
            one_class(folder, file, other, link)?;
        }
    }
    Ok(())
}

fn one_class(a: &Folder, first: &Path, b: &Folder, second: &Path) -> anyhow::Result<()> {
    ensure!(
        a.path == b.path,
        "{}: is by a link the same picture as {}, and so of class {:?} and of {:?}: expected each picture in one \
         class; remove the link",
        second.display(),
        first.display(),
        b.name,
        a.name
    );
    Ok(())
}
