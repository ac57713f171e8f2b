//! Data sets and token arrays: IDX, CSV, npy.

use igpt_tools::arrays::TokenBatch;
use igpt_tools::idx::LabelledImages;
use igpt_tools::labelled::{LabelledSet, Part};

use super::files::with_files;

/// The images' file and the labels' file: the first byte says how many of the last bytes are the labels'.
pub fn idx(data: &[u8]) -> bool {
    let Some((&labels, rest)) = data.split_first() else {
        return false;
    };
    let (images, labels) = rest.split_at(rest.len().saturating_sub(labels.into()));
    let gzipped = images.starts_with(&[0x1f, 0x8b]);
    let images_name = if gzipped {
        "t10k-images-idx3-ubyte.gz"
    } else {
        "t10k-images-idx3-ubyte"
    };
    let files = [(images_name, images), ("t10k-labels-idx1-ubyte", labels)];
    with_files(&files, |folder| {
        let Ok(set) = LabelledImages::read(&folder.join(images_name)) else {
            return false;
        };
        assert_eq!(set.labels.len(), set.iter().count());
        let bytes = 3 * set.width * set.height;
        assert!(set.iter().all(|(rgb, _)| rgb.len() == bytes));
        true
    })
}

/// A CSV of files and labels; `a.png` is beside it.
pub fn csv(data: &[u8]) -> bool {
    with_files(&[("set.csv", data), ("a.png", b"")], |folder| {
        LabelledSet::read(&folder.join("set.csv"), Part::Test).is_ok()
    })
}

/// An array of token ids.
pub fn npy(data: &[u8]) -> bool {
    with_files(&[("ids.npy", data)], |folder| {
        let Ok(batch) = TokenBatch::read(&folder.join("ids.npy")) else {
            return false;
        };
        let tokens: usize = batch.rows().map(<[u16]>::len).sum();
        assert_eq!(tokens, batch.ids.len());
        true
    })
}
