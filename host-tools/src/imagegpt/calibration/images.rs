//! Calibration images, as the tokens that the model will see.

use anyhow::{Context, anyhow, ensure};
use igpt_runtime::{DecodedImage, ImageGptConfig, ImageGptImageProcessor};
use serde_json::{Value, json};

use crate::arrays::TokenBatch;
use crate::calibration::{Source, pictures};
use crate::failure::{Blame as _, Failure};
use crate::skips::Reader;

/// Sequences of one length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageSet {
    /// One after the other.
    pub tokens: Vec<u16>,
    /// Tokens of each.
    pub length: usize,
}

impl ImageSet {
    /// For the file's recipe.
    pub(in crate::imagegpt) fn summary(&self) -> Value {
        let sequences = self.tokens.len() / self.length.max(1);
        json!({ "sequences": sequences, "tokens": self.length })
    }
}

/// Reads `source`. A causal model sees the start token and all but the last pixel.
///
/// # Errors
/// Files that are missing or unreadable (a picture as `reader` says), images without a processor to read them
/// by, tokens the model does not have: bad input all of them.
pub(in crate::imagegpt) fn read(
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
        let rows: Vec<&[u16]> = pictures::spread(batch.rows().len(), source.count)
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
    let add = |ids: Vec<u16>| {
        let start = causal.then_some(config.sos_token());
        tokens.extend(start.into_iter().chain(ids).take(length));
    };
    let read = |image: &DecodedImage| processor.tokens_from_image(image);
    pictures::read(source, reader, read, add)?;
    checked(tokens, length, config).with_context(at).bad_input()
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
