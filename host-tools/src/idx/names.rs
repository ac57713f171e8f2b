//! How the files of IDX data sets are called, and where they lie: MNIST and its kin give each file a name that
//! says what it holds, and mirrors change its punctuation or put it into a folder of the same name.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use igpt_runtime::tools::image_names::is_image;

use crate::split::Split;

/// How the name of a file of images ends, and that of its labels.
const IMAGES: &str = "images-idx3-ubyte";
const LABELS: &str = "labels-idx1-ubyte";

/// The files of images in a folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    /// Of the training set.
    pub train: Option<PathBuf>,
    /// Of the test set, or if there is none of the validation set.
    pub test: Option<PathBuf>,
}

/// Finds the IDX files of images in `folder`: `train-images-idx3-ubyte`, `t10k-images-idx3-ubyte` and the like.
///
/// # Errors
/// A folder that cannot be read, or several such data sets in it.
pub fn parts(folder: &Path) -> anyhow::Result<Parts> {
    let at = || folder.display().to_string();
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).with_context(at)? {
        let path = entry.with_context(at)?.path();
        let name = plain_name(&path);
        if let Some(prefix) = name.strip_suffix(IMAGES)
            && let Some(file) = file_of(&path, &name)
        {
            found.push((prefix.to_owned(), file));
        }
    }
    found.sort();
    let of = |wanted: Split| -> anyhow::Result<Option<PathBuf>> {
        let of_split: Vec<_> = found
            .iter()
            .filter(|(p, _)| split(p) == Some(wanted))
            .collect();
        let Some((first, file)) = of_split.first() else {
            return Ok(None);
        };
        // Files of one name but for punctuation hold the same.
        let other = of_split.iter().find(|(prefix, _)| prefix != first);
        ensure!(
            other.is_none(),
            "{}: several {} sets in it, expected one: name the file itself, as {}",
            at(),
            wanted.name(),
            file.display()
        );
        let best = of_split
            .iter()
            .map(|(_, file)| file)
            .min_by_key(|file| rank(folder, file));
        Ok(best.cloned())
    };
    Ok(Parts {
        train: of(Split::Train)?,
        test: match of(Split::Test)? {
            None => of(Split::Validation)?,
            found => found,
        },
    })
}

/// The file of the labels of the images at `images`.
///
/// # Errors
/// A name that does not say that it is of images, or no such file.
pub(super) fn labels_of(images: &Path) -> anyhow::Result<PathBuf> {
    let name = plain_name(images);
    let Some(prefix) = name.strip_suffix(IMAGES) else {
        ensure!(
            !is_image(images),
            "{}: is one picture by its name, expected a data set: a folder of pictures for each class, a table of \
             file_name and label (.csv, .tsv) or an IDX file; `igpt classify` takes single pictures",
            images.display()
        );
        bail!(
            "{}: is no folder, no picture and no CSV by its name; of an IDX file expected `{IMAGES}` at the end \
             of its name, to find the labels by",
            images.display()
        );
    };
    let wanted = format!("{prefix}{LABELS}");
    let folder = images.parent().unwrap_or(Path::new(""));
    let mut folders = vec![folder];
    // Out of the folder of its own name.
    if plain_name(folder) == name {
        folders.extend(folder.parent());
    }
    for folder in folders {
        let listed = if folder.as_os_str().is_empty() {
            Path::new(".")
        } else {
            folder
        };
        let entries = fs::read_dir(listed).with_context(|| listed.display().to_string())?;
        let paths = entries
            .flatten()
            .map(|entry| folder.join(entry.file_name()));
        let files = paths
            .filter(|path| plain_name(path) == wanted)
            .filter_map(|path| file_of(&path, &wanted));
        if let Some(found) = files.min_by_key(|file| rank(folder, file)) {
            return Ok(found);
        }
    }
    bail!(
        "{}: no {wanted} beside it, plain or as .gz, which would have its labels",
        images.display()
    )
}

/// A path's last part as all mirrors' names would have it.
fn plain_name(path: &Path) -> String {
    let name = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .to_lowercase();
    name.strip_suffix(".gz")
        .unwrap_or(&name)
        .replace(['.', '_'], "-")
}

/// The file at `path`, or of a folder that in it of the same name.
fn file_of(path: &Path, name: &str) -> Option<PathBuf> {
    if !path.is_dir() {
        return path.exists().then(|| path.to_owned());
    }
    let entries = fs::read_dir(path).ok()?.flatten().map(|entry| entry.path());
    entries
        .filter(|inner| !inner.is_dir() && plain_name(inner) == name)
        .min()
}

/// Which of files of one name goes first: unpacked ones, those that lie in no folder of their own.
fn rank(folder: &Path, file: &Path) -> (bool, bool, PathBuf) {
    let zipped = file
        .extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("gz"));
    (zipped, file.parent() != Some(folder), file.to_owned())
}

/// The split that the name before `images` says.
fn split(prefix: &str) -> Option<Split> {
    if prefix.split('-').any(|word| word == "t10k") {
        return Some(Split::Test);
    }
    Split::within(prefix)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_folder::folder;

    #[test]
    fn every_mirrors_names_are_found_with_their_labels() {
        for (images, labels) in [
            ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
            ("t10k-images.idx3-ubyte", "t10k-labels.idx1-ubyte"),
            ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"),
            ("t10k-images.idx3-ubyte.gz", "t10k-labels-idx1-ubyte"),
            ("T10K-Images-idx3-ubyte", "t10k-labels-idx1-ubyte.GZ"),
            (
                "emnist-letters-test-images-idx3-ubyte",
                "emnist-letters-test-labels-idx1-ubyte",
            ),
            (
                "t10k-images-idx3-ubyte/t10k-images-idx3-ubyte",
                "t10k-labels-idx1-ubyte/t10k-labels-idx1-ubyte",
            ),
            (
                "t10k-images-idx3-ubyte/t10k-images.idx3-ubyte",
                "t10k-labels.idx1-ubyte",
            ),
            ("val-images-idx3-ubyte", "val-labels-idx1-ubyte"),
        ] {
            let folder = folder(&[images, labels, "notes.txt"]);
            let at = |name: &str| folder.path().join(name);
            let found = parts(folder.path()).unwrap();
            assert_eq!(
                (found.train, found.test.as_ref()),
                (None, Some(&at(images))),
                "{images}"
            );
            assert_eq!(labels_of(&at(images)).unwrap(), at(labels));
        }
    }

    #[test]
    fn of_the_same_file_twice_the_plain_one_is_read() {
        // As Kaggle's MNIST lies there.
        let folder = folder(&[
            "train-images-idx3-ubyte/train-images-idx3-ubyte",
            "train-images.idx3-ubyte",
            "train-images-idx3-ubyte.gz",
            "t10k-images.idx3-ubyte",
        ]);
        let at = |name: &str| Some(folder.path().join(name));
        let found = parts(folder.path()).unwrap();
        assert_eq!(
            (found.train, found.test),
            (at("train-images.idx3-ubyte"), at("t10k-images.idx3-ubyte"))
        );
    }

    #[test]
    fn several_data_sets_and_missing_labels_are_named() {
        let folder = folder(&[
            "emnist-letters-test-images-idx3-ubyte",
            "emnist-digits-test-images-idx3-ubyte",
        ]);
        let error = parts(folder.path()).unwrap_err().to_string();
        assert!(
            error.contains("several test sets") && error.contains("emnist-digits"),
            "{error}"
        );
        let images = folder.path().join("emnist-letters-test-images-idx3-ubyte");
        let error = labels_of(&images).unwrap_err().to_string();
        assert!(
            error.contains("no emnist-letters-test-labels-idx1-ubyte beside it"),
            "{error}"
        );
        let error = labels_of(&folder.path().join("k/rgba.PNG"))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("rgba.PNG: is one picture by its name, expected a data set")
                && error.contains("`igpt classify` takes single pictures"),
            "{error}"
        );
        let error = labels_of(&folder.path().join("data.parquet"))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("data.parquet: is no folder, no picture and no CSV"),
            "{error}"
        );
    }
}
