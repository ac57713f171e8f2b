//! Calibration images, whatever a family makes of them.

use igpt_runtime::DecodedImage;

use super::Source;
use crate::failure::{Blame as _, Failure};
use crate::labelled::{LabelledSet, Part};
use crate::skips::Reader;

/// Gives `add` what `read` makes of each image taken from `source`.
///
/// # Errors
/// Files that are missing or unreadable (a picture as `reader` says).
pub(crate) fn read<T, E: Into<anyhow::Error>>(
    source: &Source,
    reader: &mut Reader,
    read: impl Fn(&DecodedImage) -> Result<T, E>,
    mut add: impl FnMut(T),
) -> Result<(), Failure> {
    // What it is calibrated on should not be what it is measured on.
    let set = LabelledSet::read_unlabelled(&source.path, Part::Train).bad_input()?;
    reader.pass_over(set.passed_over.clone());
    let mut taken = 0;
    for index in spread(set.len(), source.count) {
        let picture = set.read_image(index, &read);
        if let Some(picture) = reader.take(set.name(index), picture)? {
            add(picture);
            taken += 1;
        }
    }
    reader.check(taken)
}

/// `count` indices below `all`, evenly spaced.
pub(crate) fn spread(all: usize, count: usize) -> impl Iterator<Item = usize> {
    let taken = all.min(count);
    (0..taken).map(move |i| i * all / taken.max(1))
}
