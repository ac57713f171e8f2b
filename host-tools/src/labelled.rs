//! Labelled images in the forms that data sets come in: a folder a class, IDX, or a CSV of files.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail, ensure};
use igpt_runtime::image_names::{is_hidden, is_image};
use igpt_runtime::{ImageGptImageProcessor, image_io};
use rand::SeedableRng as _;
use rand::seq::SliceRandom as _;
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use crate::idx::LabelledImages;
use crate::source::image_files;

/// What an image is called: its file, or its place in an IDX file, from 0.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum ImageName {
    /// Of a folder or a CSV.
    File(PathBuf),
    /// Of an IDX file.
    Index(usize),
}

impl std::fmt::Display for ImageName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Index(index) => write!(f, "{index}"),
        }
    }
}

/// The half of a data set that is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// What is fitted.
    Train,
    /// What is held against it.
    Test,
}

/// Where a folder may have its parts.
const PARTS: [(Part, &str); 4] = [
    (Part::Train, "train"),
    (Part::Test, "test"),
    (Part::Test, "val"),
    (Part::Test, "validation"),
];

/// Images with the index of each one's class.
#[derive(Clone, Debug)]
pub struct LabelledSet {
    images: Images,
    /// The class of each image.
    labels: Vec<usize>,
    /// The name of each class.
    pub classes: Vec<String>,
}

#[derive(Clone, Debug)]
enum Images {
    Files(Vec<PathBuf>),
    Idx(LabelledImages),
}

impl LabelledSet {
    /// Reads the set at `path`: a CSV with the columns `file_name` and `label`; an IDX file of images, its
    /// labels beside it; a folder with IDX's `train-` and `t10k-` files; a folder with a folder of images a
    /// class, or with `train` and `test` (or
    /// `val`) that hold those.
    ///
    /// Returns it and whether the other part is there as well.
    ///
    /// # Errors
    /// A set that is none of those, is empty, or cannot be read.
    pub fn read(path: &Path, part: Part) -> anyhow::Result<(Self, bool)> {
        let at = || path.display().to_string();
        if path.extension().is_some_and(|extension| extension == "csv") {
            return Ok((Self::from_csv(path)?, false));
        }
        if !path.is_dir() {
            // What is not there is told before what it should have been called.
            fs::metadata(path).with_context(at)?;
            return Ok((Self::from_idx(path)?, false));
        }
        if let Some(found) = idx_part(path, part) {
            let other = if part == Part::Train {
                Part::Test
            } else {
                Part::Train
            };
            return Ok((Self::from_idx(&found)?, idx_part(path, other).is_some()));
        }
        let parts = || PARTS.iter().filter(|(_, name)| path.join(name).is_dir());
        let both = parts().any(|(part, _)| *part == Part::Train)
            && parts().any(|(part, _)| *part == Part::Test);
        match parts().find(|(this, _)| both && *this == part) {
            Some((_, name)) => Ok((Self::from_folders(&path.join(name))?, true)),
            None => Ok((Self::from_folders(path)?, false)),
        }
    }

    fn from_idx(path: &Path) -> anyhow::Result<Self> {
        let images = LabelledImages::read(path)?;
        let labels: Vec<usize> = images
            .labels
            .iter()
            .map(|label| usize::from(*label))
            .collect();
        let classes = labels.iter().max().map_or(0, |largest| largest + 1);
        Self {
            images: Images::Idx(images),
            labels,
            classes: (0..classes).map(|class| class.to_string()).collect(),
        }
        .checked(path)
    }

    fn from_folders(path: &Path) -> anyhow::Result<Self> {
        let at = || path.display().to_string();
        let mut folders = Vec::new();
        for entry in fs::read_dir(path).with_context(at)? {
            let folder = entry.with_context(at)?.path();
            if folder.is_dir() && !is_hidden(&folder) {
                folders.push(folder);
            }
        }
        folders.sort();
        ensure!(
            !folders.is_empty(),
            "{}: no folders in it, expected one of images for each class, or IDX files",
            at()
        );
        let (mut files, mut labels, mut classes) = (Vec::new(), Vec::new(), Vec::new());
        for folder in folders {
            files.extend(image_files(std::slice::from_ref(&folder))?);
            labels.resize(files.len(), classes.len());
            classes.push(
                folder
                    .file_name()
                    .unwrap_or_default()
                    .to_string_lossy()
                    .into_owned(),
            );
        }
        Self {
            images: Images::Files(files),
            labels,
            classes,
        }
        .checked(path)
    }

    fn from_csv(path: &Path) -> anyhow::Result<Self> {
        let at = || path.display().to_string();
        let mut reader = csv::Reader::from_path(path).with_context(at)?;
        let headers = reader.headers().with_context(at)?.clone();
        let column = |name: &str| {
            let found = headers.iter().position(|header| header.trim() == name);
            let columns: Vec<&str> = headers.iter().collect();
            found.ok_or_else(|| {
                anyhow!(
                    "{}: columns {columns:?}, expected file_name and label",
                    at()
                )
            })
        };
        let (file, label) = (column("file_name")?, column("label")?);
        let folder = path.parent().unwrap_or(Path::new(""));
        let (mut files, mut names) = (Vec::new(), Vec::new());
        for record in reader.records() {
            let record = record.with_context(at)?;
            let field = |index: usize| record.get(index).unwrap_or_default().trim();
            ensure!(
                !field(file).is_empty() && !field(label).is_empty(),
                "{}: record {} has no file_name or no label",
                at(),
                files.len() + 1
            );
            files.push(folder.join(field(file)));
            names.push(field(label).to_owned());
        }
        let mut classes = names.clone();
        classes.sort();
        classes.dedup();
        let labels = names
            .iter()
            .filter_map(|name| classes.binary_search(name).ok())
            .collect();
        Self {
            images: Images::Files(files),
            labels,
            classes,
        }
        .checked(path)
    }

    fn checked(self, path: &Path) -> anyhow::Result<Self> {
        ensure!(
            !self.labels.is_empty(),
            "{}: no images in it",
            path.display()
        );
        Ok(self)
    }

    /// The same images with the indices that their classes have in `classes`.
    ///
    /// # Errors
    /// An image whose class is not among them.
    pub fn with_classes(mut self, classes: &[String], path: &Path) -> anyhow::Result<Self> {
        for label in &mut self.labels {
            let name = self.classes.get(*label).map_or("", String::as_str);
            let Some(index) = classes.iter().position(|class| class == name) else {
                bail!(
                    "{}: class {name:?} is not among those fitted: {}",
                    path.display(),
                    classes.join(", ")
                );
            };
            *label = index;
        }
        self.classes = classes.to_vec();
        Ok(self)
    }

    /// As [`LabelledSet::read`], for whoever asks for no classes: a picture, or a folder whose images lie in
    /// it as they like, are all of one class without a name.
    ///
    /// # Errors
    /// As [`LabelledSet::read`].
    pub fn read_unlabelled(path: &Path, part: Part) -> anyhow::Result<Self> {
        let loose = path.is_dir() && idx_part(path, part).is_none();
        if !loose && !is_image(path) {
            return Ok(Self::read(path, part)?.0);
        }
        let files = image_files(&[path.to_owned()])?;
        Ok(Self {
            labels: vec![0; files.len()],
            images: Images::Files(files),
            classes: vec![String::new()],
        })
    }

    /// Whether classes are numbers, as IDX has them, and not names.
    pub fn is_numbered(&self) -> bool {
        matches!(self.images, Images::Idx(_))
    }

    /// What an image of this set is called.
    pub fn name(&self, index: usize) -> ImageName {
        match &self.images {
            Images::Files(files) => ImageName::File(files.get(index).cloned().unwrap_or_default()),
            Images::Idx(_) => ImageName::Index(index),
        }
    }

    /// `limit` images evenly spaced, or all, in their order.
    pub fn spaced(&self, limit: Option<usize>) -> Vec<usize> {
        let count = limit.unwrap_or(usize::MAX).min(self.len());
        (0..count).map(|i| i * self.len() / count.max(1)).collect()
    }

    /// Images.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The class of an image of this set.
    pub fn label(&self, index: usize) -> usize {
        self.labels.get(index).copied().unwrap_or_default()
    }

    /// An image as the model sees it.
    ///
    /// # Errors
    /// A file that is missing or no image.
    pub fn tokens(
        &self,
        index: usize,
        processor: &ImageGptImageProcessor,
    ) -> anyhow::Result<Vec<u16>> {
        match &self.images {
            Images::Files(files) => {
                let path = files.get(index).context("no such image")?;
                let tokens = processor.tokens_from_image(&image_io::decode_file(path)?);
                tokens.with_context(|| path.display().to_string())
            }
            Images::Idx(set) => {
                let rgb = set.image(index).context("no such image")?;
                Ok(processor.tokens_from_rgb8(&rgb, set.width, set.height)?)
            }
        }
    }

    /// `limit` images drawn by `seed`, or all, in their order.
    pub fn sample(&self, limit: Option<usize>, seed: u64) -> Vec<usize> {
        let mut all: Vec<usize> = (0..self.len()).collect();
        if let Some(limit) = limit.filter(|limit| *limit < all.len()) {
            all.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
            all.truncate(limit);
            all.sort_unstable();
        }
        all
    }

    /// `chosen` in two: of each class the share `held_out` is the second, drawn by `seed`, one image at least
    /// and never all.
    pub fn split(&self, chosen: &[usize], held_out: f64, seed: u64) -> (Vec<usize>, Vec<usize>) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let (mut train, mut test) = (Vec::new(), Vec::new());
        for class in 0..self.classes.len() {
            let mut of_class: Vec<usize> = chosen
                .iter()
                .copied()
                .filter(|index| self.label(*index) == class)
                .collect();
            of_class.shuffle(&mut rng);
            let share = (held_out * of_class.len() as f64).round() as usize;
            let share = share.max(1).min(of_class.len().saturating_sub(1));
            train.extend(of_class.split_off(share));
            test.extend(of_class);
        }
        train.sort_unstable();
        test.sort_unstable();
        (train, test)
    }
}

/// The IDX file of images of a part in `folder`.
fn idx_part(folder: &Path, part: Part) -> Option<PathBuf> {
    let stem = match part {
        Part::Train => "train-images-idx3-ubyte",
        Part::Test => "t10k-images-idx3-ubyte",
    };
    let files = [folder.join(stem), folder.join(format!("{stem}.gz"))];
    files.into_iter().find(|file| file.exists())
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
    fn folders_are_classes_and_parts_are_found() {
        let flat = folder(&[
            "cat/1.png",
            "cat/2.jpg",
            "ant/x/3.png",
            "readme.txt",
            ".git/4.png",
        ]);
        let (set, other) = LabelledSet::read(flat.path(), Part::Train).unwrap();
        assert!(!other);
        assert_eq!(
            (set.classes.join(","), set.labels),
            ("ant,cat".into(), vec![0, 1, 1])
        );
        let parts = folder(&["train/a/1.png", "train/b/2.png", "val/b/3.png"]);
        let (train, other) = LabelledSet::read(parts.path(), Part::Train).unwrap();
        assert!(other);
        assert_eq!((train.len(), train.classes.len()), (2, 2));
        let (test, _) = LabelledSet::read(parts.path(), Part::Test).unwrap();
        let test = test.with_classes(&train.classes, parts.path()).unwrap();
        assert_eq!(test.labels, [1], "b, as it was fitted");
        let error = train.with_classes(&["b".into()], parts.path()).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("\"a\" is not among those fitted: b"),
            "{error}"
        );
    }

    #[test]
    fn a_csv_names_files_beside_it() {
        let folder = folder(&[]);
        let path = folder.path().join("labels.csv");
        fs::write(
            &path,
            "label,file_name\ndog,x.png\n\"a, b\",y.png\ndog,z.png\n",
        )
        .unwrap();
        let (set, _) = LabelledSet::read(&path, Part::Train).unwrap();
        assert_eq!(
            (set.classes.join(";"), &set.labels),
            ("a, b;dog".into(), &vec![1, 0, 1])
        );
        for (text, words) in [
            ("a,b\n1,2\n", "expected file_name and label"),
            ("file_name,label\n", "no images"),
            ("file_name,label\nx.png,\n", "record 1"),
            ("file_name,label\nx.png\n", "labels.csv"),
        ] {
            fs::write(&path, text).unwrap();
            let error = format!("{:#}", LabelledSet::read(&path, Part::Train).unwrap_err());
            assert!(error.contains(words), "{error}");
        }
    }

    #[test]
    fn every_class_is_on_both_sides_of_a_split() {
        let set = LabelledSet {
            images: Images::Files(Vec::new()),
            labels: (0..100).map(|i| usize::from(i >= 95)).collect(),
            classes: vec!["many".into(), "few".into()],
        };
        let all = set.sample(None, 0);
        let (train, test) = set.split(&all, 0.2, 3);
        let few = |part: &[usize]| part.iter().filter(|i| **i >= 95).count();
        assert_eq!(
            (train.len(), test.len(), few(&train), few(&test)),
            (80, 20, 4, 1)
        );
        assert!(train.iter().all(|i| !test.contains(i)));
        assert_eq!(set.split(&all, 0.2, 3), (train.clone(), test));
        assert_ne!(set.split(&all, 0.2, 4).0, train);
        assert_eq!(set.sample(Some(10), 1).len(), 10);
    }
}
