//! What the model is given while it is timed.

use igpt_runtime::{AutoModel, ImageGptConfig};

use crate::loaded::{Input, LoadedModel};

/// Tokens to run: any do.
pub(super) fn tokens(config: &ImageGptConfig, count: usize) -> Vec<u16> {
    let colors = config.num_colors().max(1);
    (0..count).map(|i| ((i * 7919) % colors) as u16).collect()
}

/// So many tokens, or all there is room for; of a SegFormer a picture of the file's size: any will do.
pub(super) fn input(model: &LoadedModel, count: Option<usize>) -> Input {
    match model.model() {
        AutoModel::ImageGpt(model) => {
            let config = model.config();
            Input::Tokens(tokens(config, count.unwrap_or(config.n_positions)))
        }
        AutoModel::Segformer(model) => {
            let (height, width) = model.size();
            let count = model.config().num_channels * height * width;
            // Between -2 and 2, as normalised pictures are; tests/peers gives the others the same.
            let value = |i: usize| ((i * 7919) % 512) as f32 / 128.0 - 2.0;
            Input::Pixels((0..count).map(value).collect())
        }
        _ => Input::Pixels(Vec::new()),
    }
}
