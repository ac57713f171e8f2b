//! Data sets and token arrays: IDX, CSV, npy.

use igpt_tools::arrays::TokenBatch;
use igpt_tools::idx::LabelledImages;
use igpt_tools::labelled::{LabelledSet, Part};

use super::files::with_files;

/// The images' file and the labels' file: the first byte says how many of the last bytes are the labels'.
pub(super) fn idx(data: &[u8]) {
    let Some((&labels, rest)) = data.split_first() else {
        return;
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
        if let Ok(set) = LabelledImages::read(folder) {
            assert_eq!(set.labels.len(), set.iter().count());
            assert!(
                set.iter()
                    .all(|(rgb, _)| rgb.len() == 3 * set.width * set.height)
            );
        }
    });
}

/// A CSV of files and labels; `a.png` is beside it.
pub(super) fn csv(data: &[u8]) {
    with_files(&[("set.csv", data), ("a.png", b"")], |folder| {
        let _ = LabelledSet::read(&folder.join("set.csv"), Part::Test);
    });
}

/// An array of token ids.
pub(super) fn npy(data: &[u8]) {
    with_files(&[("ids.npy", data)], |folder| {
        if let Ok(batch) = TokenBatch::read(&folder.join("ids.npy")) {
            assert_eq!(
                batch.rows().map(<[u16]>::len).sum::<usize>(),
                batch.ids.len()
            );
        }
    });
}
