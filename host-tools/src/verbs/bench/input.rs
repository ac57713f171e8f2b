//! What the model is given while it is timed.

use igpt_runtime::ImageGptConfig;

/// Tokens to run: any do.
pub(super) fn tokens(config: &ImageGptConfig, count: usize) -> Vec<u16> {
    let colors = config.num_colors().max(1);
    (0..count).map(|i| ((i * 7919) % colors) as u16).collect()
}
