//! IDX, the format of MNIST and its kin: unsigned bytes of up to three dimensions, plain or gzipped.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail, ensure};
use flate2::read::GzDecoder;

/// More than any data set of this family holds (EMNIST's largest part is 550 MB).
const LIMIT: u64 = 2 << 30;

/// Grey images with their labels.
#[derive(Clone, Debug, PartialEq)]
pub struct LabelledImages {
    /// Pixels of a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// All images, one after the other, row-major.
    pub pixels: Vec<u8>,
    /// One per image.
    pub labels: Vec<u8>,
}

impl LabelledImages {
    /// Reads a test set: `path` is its images' file, or the folder that holds `t10k-images-idx3-ubyte`. The
    /// labels' file lies beside it, with `labels-idx1` for `images-idx3` in its name. Either may end in
    /// `.gz`.
    ///
    /// # Errors
    /// A file that is missing or not IDX, or labels that are not as many as images.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let images = if path.is_dir() {
            existing(path, "t10k-images-idx3-ubyte")?
        } else {
            path.to_owned()
        };
        let name = images.file_name().unwrap_or_default().to_string_lossy();
        let stem = name
            .strip_suffix(".gz")
            .unwrap_or(&name)
            .replace("images-idx3", "labels-idx1");
        if stem == name.strip_suffix(".gz").unwrap_or(&name) {
            bail!(
                "{}: expected `images-idx3` in the name, to find the labels by",
                images.display()
            );
        }
        let labels = existing(images.parent().unwrap_or(Path::new("")), &stem)?;
        let (shape, pixels) = read_idx(&images)?;
        let [count, height, width] = *shape else {
            bail!(
                "{}: {} dimensions, expected images of three",
                images.display(),
                shape.len()
            );
        };
        ensure!(
            width > 0 && height > 0,
            "{}: images of {width} x {height}",
            images.display()
        );
        let (_, labels_read) = read_idx(&labels)?;
        let found = labels_read.len();
        ensure!(
            found == count,
            "{}: {found} labels, expected {count}",
            labels.display()
        );
        Ok(Self {
            width,
            height,
            pixels,
            labels: labels_read,
        })
    }

    /// The images as RGB8 (grey in all three channels), with their labels.
    pub fn iter(&self) -> impl Iterator<Item = (Vec<u8>, u8)> {
        let images = self.pixels.chunks_exact((self.width * self.height).max(1));
        images
            .zip(&self.labels)
            .map(|(grey, label)| (rgb8(grey), *label))
    }

    /// The image at `index` as RGB8.
    pub fn image(&self, index: usize) -> Option<Vec<u8>> {
        let mut images = self.pixels.chunks_exact((self.width * self.height).max(1));
        images.nth(index).map(rgb8)
    }
}

fn rgb8(grey: &[u8]) -> Vec<u8> {
    grey.iter().flat_map(|g| [*g; 3]).collect()
}

/// `folder/stem`, or gzipped.
fn existing(folder: &Path, stem: &str) -> anyhow::Result<PathBuf> {
    let candidates = [folder.join(stem), folder.join(format!("{stem}.gz"))];
    let found = candidates.into_iter().find(|path| path.exists());
    found.ok_or_else(|| {
        anyhow!(
            "{}: neither {stem} nor {stem}.gz is there",
            folder.display()
        )
    })
}

/// Shape and bytes.
fn read_idx(path: &Path) -> anyhow::Result<(Vec<usize>, Vec<u8>)> {
    let at = || path.display().to_string();
    let file = File::open(path).with_context(at)?;
    let zipped = path.extension().is_some_and(|extension| extension == "gz");
    let mut reader: Box<dyn Read> = if zipped {
        Box::new(GzDecoder::new(file))
    } else {
        Box::new(file)
    };
    let mut magic = [0; 4];
    reader.read_exact(&mut magic).with_context(at)?;
    let [0, 0, 8, dimensions @ 1..=3] = magic else {
        bail!(
            "{}: begins with {magic:02x?}, expected IDX of unsigned bytes, 00 00 08 and 1 to 3",
            path.display()
        );
    };
    let mut shape = Vec::new();
    for _ in 0..dimensions {
        let mut size = [0; 4];
        reader.read_exact(&mut size).with_context(at)?;
        shape.push(u32::from_be_bytes(size) as usize);
    }
    let expected = shape
        .iter()
        .try_fold(1u64, |n, size| n.checked_mul(*size as u64))
        .filter(|n| *n <= LIMIT);
    let expected =
        expected.ok_or_else(|| anyhow!("{}: shape {shape:?} is too large", path.display()))?;
    let mut bytes = Vec::new();
    reader
        .take(expected + 1)
        .read_to_end(&mut bytes)
        .with_context(at)?;
    let found = bytes.len() as u64;
    ensure!(
        found == expected,
        "{}: {found} values or more, its shape {shape:?} needs {expected}",
        path.display()
    );
    Ok((shape, bytes))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let images = [
            &[0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 3][..],
            &[1, 2, 3, 4, 5, 6],
        ]
        .concat();
        fs::write(folder.path().join("t10k-images-idx3-ubyte"), images).unwrap();
        fs::write(
            folder.path().join("t10k-labels-idx1-ubyte"),
            [0, 0, 8, 1, 0, 0, 0, 2, 7, 9],
        )
        .unwrap();
        folder
    }

    #[test]
    fn images_and_labels_are_paired() {
        let folder = folder();
        let set = LabelledImages::read(folder.path()).unwrap();
        assert_eq!((set.width, set.height), (3, 1));
        let all: Vec<_> = set.iter().collect();
        assert_eq!(
            all,
            [
                (vec![1, 1, 1, 2, 2, 2, 3, 3, 3], 7),
                (vec![4, 4, 4, 5, 5, 5, 6, 6, 6], 9)
            ]
        );
        assert_eq!(
            LabelledImages::read(&folder.path().join("t10k-images-idx3-ubyte")).unwrap(),
            set
        );
    }

    #[test]
    fn every_truncation_and_a_surplus_are_refused() {
        let folder = folder();
        let path = folder.path().join("t10k-images-idx3-ubyte");
        let whole = fs::read(&path).unwrap();
        for length in 0..whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            let error = LabelledImages::read(folder.path()).unwrap_err();
            assert!(
                format!("{error:#}").contains("t10k-images-idx3-ubyte"),
                "{length}: {error:#}"
            );
        }
        fs::write(&path, [&whole[..], &[0]].concat()).unwrap();
        LabelledImages::read(folder.path()).unwrap_err();
        fs::write(&path, [&[0, 0, 8, 3], &[0xff; 12][..]].concat()).unwrap();
        assert!(
            LabelledImages::read(folder.path())
                .unwrap_err()
                .to_string()
                .contains("too large")
        );
    }

    #[test]
    fn labels_must_be_as_many_as_images() {
        let folder = folder();
        fs::write(
            folder.path().join("t10k-labels-idx1-ubyte"),
            [0, 0, 8, 1, 0, 0, 0, 1, 7],
        )
        .unwrap();
        let error = LabelledImages::read(folder.path()).unwrap_err().to_string();
        assert!(error.contains("1 labels, expected 2"), "{error}");
    }
}
