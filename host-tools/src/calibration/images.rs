//! Calibration images, as the tokens that the model will see.

use anyhow::{Context, anyhow, ensure};
use igpt_runtime::{ImageGptConfig, ImageGptImageProcessor};

use super::Source;
use crate::arrays::TokenBatch;
use crate::failure::{Blame as _, Failure};
use crate::labelled::{LabelledSet, Part};
use crate::skips::Reader;

/// Sequences of one length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageSet {
    /// One after the other.
    pub tokens: Vec<u16>,
    /// Tokens of each.
    pub length: usize,
}

/// Reads `source`. A causal model sees the start token and all but the last pixel.
///
/// # Errors
/// Files that are missing or unreadable (a picture as `reader` says), images without a processor to read them
/// by, tokens the model does not have: bad input all of them.
pub fn read(
    source: &Source,
    config: &ImageGptConfig,
    processor: Option<&ImageGptImageProcessor>,
    causal: bool,
    reader: &mut Reader,
) -> Result<ImageSet, Failure> {
    let path = &source.path;
    let at = || path.display().to_string();
    if path.extension().is_some_and(|extension| extension == "npy") {
        let batch = TokenBatch::read(path).bad_input()?;
        let rows: Vec<&[u16]> = spread(batch.rows().len(), source.count)
            .filter_map(|index| batch.rows().nth(index))
            .collect();
        let set = checked(rows.concat(), batch.tokens, config);
        return set.with_context(at).bad_input();
    }
    let no_processor = || {
        let what = "the checkpoint has no preprocessor_config.json, by which pictures become tokens: give \
                    --processor-config FILE.json, or calibrate with tokens, in an .npy";
        format!("{}: {what}", at())
    };
    let processor = processor.with_context(no_processor).bad_input()?;
    let (height, width) = processor.size();
    let length = height * width;
    let mut tokens = Vec::new();
    let mut add = |ids: Vec<u16>| {
        let start = causal.then_some(config.sos_token());
        tokens.extend(start.into_iter().chain(ids).take(length));
    };
    // What it is calibrated on should not be what it is measured on.
    let set = LabelledSet::read_unlabelled(path, Part::Train).bad_input()?;
    reader.pass_over(set.passed_over.clone());
    let mut read = 0;
    for index in spread(set.len(), source.count) {
        if let Some(ids) = reader.take(
            set.name(index),
            set.read_image(index, |image| processor.tokens_from_image(image)),
        )? {
            add(ids);
            read += 1;
        }
    }
    reader.check(read)?;
    checked(tokens, length, config).with_context(at).bad_input()
}

/// `count` indices below `all`, evenly spaced.
fn spread(all: usize, count: usize) -> impl Iterator<Item = usize> {
    let taken = all.min(count);
    (0..taken).map(move |i| i * all / taken.max(1))
}

fn checked(tokens: Vec<u16>, length: usize, config: &ImageGptConfig) -> anyhow::Result<ImageSet> {
    let most = config.n_positions;
    ensure!(
        (1..=most).contains(&length),
        "sequences of {length} tokens, expected 1 to {most}"
    );
    ensure!(!tokens.is_empty(), "no image in it, expected one at least");
    match tokens
        .iter()
        .find(|id| usize::from(**id) >= config.vocab_size)
    {
        Some(id) => Err(anyhow!(
            "token {id}, expected less than {} (vocab_size)",
            config.vocab_size
        )),
        None => Ok(ImageSet { tokens, length }),
    }
}
