//! Labelled images in the forms that data sets come in: a folder a class, IDX, or a CSV of files.

mod folders;
mod table;

use std::cmp::Ordering;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use igpt_runtime::tools::image_names::is_image;
use igpt_runtime::tools::one_line;
use igpt_runtime::{DecodedImage, image_io};
use rand::SeedableRng as _;
use rand::seq::SliceRandom as _;
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use crate::idx::{self, LabelledImages};
use crate::listing::{Listing, PassedOver};

/// What an image is called: its file, or its place in an IDX file, from 0.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum ImageName {
    /// Of a folder or a CSV.
    File(#[serde(serialize_with = "crate::json::lossy")] PathBuf),
    /// Of an IDX file.
    Index(usize),
}

impl std::fmt::Display for ImageName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => f.write_str(&one_line(&path.display().to_string())),
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

/// Images with the index of each one's class.
#[derive(Clone, Debug)]
pub struct LabelledSet {
    images: Images,
    /// The class of each image.
    labels: Vec<usize>,
    /// The name of each class.
    pub classes: Vec<String>,
    /// The folder or file of the split that was read, of a data set with splits.
    pub split: Option<String>,
    /// What lies among the images and is none.
    pub passed_over: PassedOver,
}

#[derive(Clone, Debug)]
enum Images {
    Files(Vec<PathBuf>),
    Idx(LabelledImages),
}

impl LabelledSet {
    /// Reads the set at `path`: a table (CSV) of files and labels, perhaps with a column of splits; an IDX file of images, its labels beside it;
    /// a folder with IDX files of a training and a test set; a folder with a folder of images a class, or with
    /// a folder for each split (by Hugging Face's names) that hold those.
    ///
    /// Returns it and whether the other part is there as well.
    ///
    /// # Errors
    /// A set that is none of those, is empty, has not that part, or cannot be read.
    pub fn read(path: &Path, part: Part) -> anyhow::Result<(Self, bool)> {
        let at = || path.display().to_string();
        // What is not there is told before what it should have been called.
        let found = fs::metadata(path).with_context(at)?;
        if !found.is_dir() {
            return match table::is_table(path) {
                true => Self::from_table(path, true, part),
                false => Ok((Self::from_idx(path)?, false)),
            };
        }
        let parts = idx::parts(path)?;
        let (this, other) = match part {
            Part::Train => (parts.train, parts.test),
            Part::Test => (parts.test, parts.train),
        };
        match (this, other) {
            (None, None) => {}
            (Some(this), other) => {
                let mut set = Self::from_idx(&this)?;
                set.split = this
                    .file_name()
                    .map(|name| name.to_string_lossy().into_owned());
                return Ok((set, other.is_some()));
            }
            (None, Some(other)) => bail!(
                "{}: holds {}, but no {} images: to take those nevertheless name the file itself",
                at(),
                other.display(),
                match part {
                    Part::Train => "training",
                    Part::Test => "test",
                }
            ),
        }
        let chosen = folders::choose(path, part)?;
        let classes = folders::classes(&chosen)?;
        let set = Self {
            images: Images::Files(classes.files),
            labels: classes.labels,
            classes: classes.names,
            split: chosen.split,
            passed_over: classes.passed_over,
        };
        Ok((set, chosen.other))
    }

    fn from_idx(path: &Path) -> anyhow::Result<Self> {
        let images = LabelledImages::read(path)?;
        // Labels that no image has are no classes: EMNIST's letters count from 1.
        let mut numbers = images.labels.clone();
        numbers.sort_unstable();
        numbers.dedup();
        let class = |label: &u8| numbers.binary_search(label).ok();
        Self {
            labels: images.labels.iter().filter_map(class).collect(),
            images: Images::Idx(images),
            classes: numbers.iter().map(u8::to_string).collect(),
            split: None,
            passed_over: PassedOver::default(),
        }
        .checked(path)
    }

    /// Returns also whether the other part is there.
    fn from_table(path: &Path, labelled: bool, part: Part) -> anyhow::Result<(Self, bool)> {
        let table = table::read(path, labelled, part)?;
        let mut classes = table.labels.clone();
        classes.sort_by(|a, b| class_order(a, b));
        classes.dedup();
        let class = |name: &String| {
            classes
                .binary_search_by(|class| class_order(class, name))
                .ok()
        };
        let set = Self {
            labels: table.labels.iter().filter_map(class).collect(),
            images: Images::Files(table.files),
            classes,
            split: table.split,
            passed_over: PassedOver::default(),
        };
        Ok((set.checked(path)?, table.other))
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
    /// it as they like, are all of one class without a name. Training images that a set has not are its others.
    ///
    /// # Errors
    /// As [`LabelledSet::read`].
    pub fn read_unlabelled(path: &Path, part: Part) -> anyhow::Result<Self> {
        let found = fs::metadata(path).with_context(|| path.display().to_string())?;
        if found.is_dir() {
            let parts = idx::parts(path)?;
            let one_part = parts.train.is_some() != parts.test.is_some();
            if part == Part::Train && one_part {
                return Ok(Self::read(path, Part::Test)
                    .or_else(|_| Self::read(path, part))?
                    .0);
            }
            if parts.train.is_some() || parts.test.is_some() {
                return Ok(Self::read(path, part)?.0);
            }
        } else if table::is_table(path) {
            return Ok(Self::from_table(path, false, part)?.0);
        } else if !is_image(path) {
            return Self::from_idx(path);
        }
        let (path, split) = match (found.is_dir(), part) {
            (false, _) => (path.to_owned(), None),
            (true, Part::Test) => folders::choose_unlabelled(path, part)?,
            (true, Part::Train) => {
                folders::choose_unlabelled(path, part).unwrap_or_else(|_| (path.to_owned(), None))
            }
        };
        let listing = Listing::of_paths(&[path])?;
        Ok(Self {
            labels: vec![0; listing.files.len()],
            images: Images::Files(listing.files),
            classes: vec![String::new()],
            split,
            passed_over: listing.passed_over,
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

    /// What `read` makes of an image, such as what a model sees of it.
    ///
    /// # Errors
    /// A file that is missing or no image; what `read` says, with the file's name.
    pub fn read_image<T, E>(
        &self,
        index: usize,
        read: impl FnOnce(&DecodedImage) -> Result<T, E>,
    ) -> anyhow::Result<T>
    where
        E: Into<anyhow::Error>,
    {
        let read = |image: &DecodedImage| read(image).map_err(E::into);
        match &self.images {
            Images::Files(files) => {
                let path = files.get(index).context("no such image")?;
                read(&image_io::decode_file(path)?).with_context(|| path.display().to_string())
            }
            Images::Idx(set) => {
                let rgb = set.image(index).context("no such image")?;
                let image = DecodedImage::new(set.width, set.height, rgb)?;
                read(&image)
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

/// The order of classes: numbers by their value and before names, names by their bytes.
fn class_order(a: &str, b: &str) -> Ordering {
    let key = |name: &str| {
        (
            name.parse::<u64>().is_err(),
            name.parse::<u64>().unwrap_or_default(),
        )
    };
    key(a).cmp(&key(b)).then_with(|| a.cmp(b))
}

#[cfg(test)]
mod tests;
