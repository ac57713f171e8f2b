//! IDX, the format of MNIST and its kin: unsigned bytes of up to three dimensions, plain or gzipped.

mod gzip;
mod names;

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read};
use std::path::Path;

use anyhow::{Context, anyhow, bail, ensure};
use igpt_runtime::tools::lfs;

pub use names::{Parts, parts};

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
    /// Reads the set whose images are in the file at `path`. The labels' file lies beside it, with
    /// `labels-idx1` for `images-idx3` in its name (or with dots, as `labels.idx1`). Either may be gzipped, and
    /// may lie in a folder of its own name.
    ///
    /// # Errors
    /// A file that is missing or not IDX, or labels that are not as many as images.
    pub fn read(images: &Path) -> anyhow::Result<Self> {
        ensure!(
            !lfs::is_pointer_file(images),
            "{}: {}",
            images.display(),
            lfs::MESSAGE
        );
        let labels = names::labels_of(images)?;
        let (shape, pixels) = read_idx(images)?;
        let [count, height, width] = *shape else {
            bail!(
                "{}: values of shape {shape:?}, expected [images, rows, columns]",
                images.display()
            );
        };
        ensure!(
            width > 0 && height > 0,
            "{}: images of {width} x {height}",
            images.display()
        );
        let (shape, labels_read) = read_idx(&labels)?;
        ensure!(
            shape.len() == 1,
            "{}: values of shape {shape:?}, expected one label for each image",
            labels.display()
        );
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

/// Shape and bytes.
fn read_idx(path: &Path) -> anyhow::Result<(Vec<usize>, Vec<u8>)> {
    let at = || path.display().to_string();
    ensure!(!lfs::is_pointer_file(path), "{}: {}", at(), lfs::MESSAGE);
    let mut file = BufReader::new(File::open(path).with_context(at)?);
    // By content: unpacked files keep their `.gz` and packed ones lose it.
    let zipped = file.fill_buf().with_context(at)?.starts_with(&[0x1f, 0x8b]);
    let mut reader: Box<dyn Read> = match zipped {
        true => Box::new(gzip::Members::new(file)),
        false => Box::new(file),
    };
    let mut header = Vec::new();
    let mut four = || -> anyhow::Result<[u8; 4]> {
        let before = header.len();
        let mut more = reader.by_ref().take(4);
        more.read_to_end(&mut header).with_context(at)?;
        ensure!(
            !header.is_empty(),
            "{}: is empty, expected IDX; is it copied or downloaded whole?",
            at()
        );
        let read = header.get(before..).unwrap_or_default();
        <[u8; 4]>::try_from(read).map_err(|_| {
            anyhow!(
                "{}: {} bytes, expected {} at least of IDX's header; is it copied or downloaded whole?",
                at(),
                header.len(),
                before + 4
            )
        })
    };
    let magic = four()?;
    let dimensions = match magic {
        [0, 0, 8, dimensions @ 1..=4] => dimensions,
        [0, 0, kind @ 8..=0x0e, dimensions] => bail!(
            "{}: IDX of {dimensions} dimensions of {}, expected up to 4 of unsigned bytes",
            at(),
            elements(kind)
        ),
        _ => bail!(
            "{}: begins with {magic:02x?}, expected IDX of unsigned bytes, 00 00 08 and 1 to 3",
            at()
        ),
    };
    let mut shape = Vec::new();
    for _ in 0..dimensions {
        shape.push(u32::from_be_bytes(four()?) as usize);
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
        found >= expected,
        "{}: {found} values, expected {expected} of its shape {shape:?}; is it copied or downloaded whole?",
        path.display()
    );
    ensure!(
        found == expected,
        "{}: more than {expected} values, expected as many of its shape {shape:?}",
        path.display()
    );
    Ok((shape, bytes))
}

/// What an IDX file's values are, by the third byte.
fn elements(kind: u8) -> &'static str {
    match kind {
        0x08 => "unsigned bytes",
        0x09 => "signed bytes",
        0x0b => "16-bit integers",
        0x0c => "32-bit integers",
        0x0d => "32-bit floats",
        0x0e => "64-bit floats",
        _ => "an unknown type",
    }
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

    fn read_test(folder: &Path) -> anyhow::Result<LabelledImages> {
        LabelledImages::read(&folder.join("t10k-images-idx3-ubyte"))
    }

    fn gzipped(bytes: &[u8]) -> Vec<u8> {
        use std::io::Write as _;

        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn gzip_of_several_members_is_read_whole_whatever_its_name() {
        let folder = folder();
        let set = read_test(folder.path()).unwrap();
        let path = folder.path().join("t10k-images-idx3-ubyte");
        let whole = fs::read(&path).unwrap();
        for cut in [0, 3, 17, whole.len()] {
            let members = [gzipped(&whole[..cut]), gzipped(&whole[cut..])].concat();
            fs::write(&path, &members).unwrap();
            assert_eq!(read_test(folder.path()).unwrap(), set, "{cut}");
            // Blocks of tapes and disks are filled with zeros.
            fs::write(&path, [members, vec![0; 512]].concat()).unwrap();
            assert_eq!(read_test(folder.path()).unwrap(), set, "{cut}");
        }
    }

    #[test]
    fn what_is_no_image_is_refused_by_its_shape_and_type() {
        let folder = folder();
        let path = folder.path().join("t10k-images-idx3-ubyte");
        let sizes = |count: usize| [0, 0, 0, 1].repeat(count);
        for (bytes, words) in [
            (
                [vec![0, 0, 8, 4], sizes(4), vec![9]].concat(),
                "shape [1, 1, 1, 1], expected [images, rows",
            ),
            (
                [vec![0, 0, 8, 2], sizes(2), vec![9]].concat(),
                "shape [1, 1], expected [images, rows",
            ),
            (
                [vec![0, 0, 0x0d, 3], sizes(3), vec![0; 4]].concat(),
                "3 dimensions of 32-bit floats",
            ),
            (vec![0x89, b'P', b'N', b'G'], "expected IDX"),
            (vec![], "is empty, expected IDX"),
            (vec![0, 0], "2 bytes, expected 4 at least of IDX's header"),
            (
                [vec![0, 0, 8, 3], sizes(2)].concat(),
                "12 bytes, expected 16 at least of IDX's header",
            ),
            (
                [vec![0, 0, 8, 3], sizes(3)].concat(),
                "0 values, expected 1 of its shape [1, 1, 1]",
            ),
            (
                [vec![0, 0, 8, 3], sizes(3), vec![9, 9, 9]].concat(),
                "more than 1 values, expected as many of its shape [1, 1, 1]",
            ),
            (gzipped(&[]), "is empty, expected IDX"),
            (gzipped(&[0, 0, 8]), "3 bytes, expected 4 at least"),
            (
                b"version https://git-lfs.github.com/spec/v1\noid".to_vec(),
                "Git LFS pointer",
            ),
        ] {
            fs::write(&path, bytes).unwrap();
            let error = read_test(folder.path()).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }

    #[test]
    fn images_and_labels_are_paired() {
        let folder = folder();
        let set = read_test(folder.path()).unwrap();
        assert_eq!((set.width, set.height), (3, 1));
        let all: Vec<_> = set.iter().collect();
        assert_eq!(
            all,
            [
                (vec![1, 1, 1, 2, 2, 2, 3, 3, 3], 7),
                (vec![4, 4, 4, 5, 5, 5, 6, 6, 6], 9)
            ]
        );
    }

    #[test]
    fn every_truncation_and_a_surplus_are_refused() {
        let folder = folder();
        let path = folder.path().join("t10k-images-idx3-ubyte");
        let whole = fs::read(&path).unwrap();
        for length in 0..whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            let error = read_test(folder.path()).unwrap_err();
            assert!(
                format!("{error:#}").contains("t10k-images-idx3-ubyte"),
                "{length}: {error:#}"
            );
        }
        fs::write(&path, [&whole[..], &[0]].concat()).unwrap();
        read_test(folder.path()).unwrap_err();
        fs::write(&path, [&[0, 0, 8, 3], &[0xff; 12][..]].concat()).unwrap();
        assert!(
            read_test(folder.path())
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
        let error = read_test(folder.path()).unwrap_err().to_string();
        assert!(error.contains("1 labels, expected 2"), "{error}");
    }
}
