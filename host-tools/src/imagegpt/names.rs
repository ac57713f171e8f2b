//! ImageGPT's names in a checkpoint.

use crate::checkpoint::spelling::Spelling;

/// Hugging Face's names, which never changed.
pub(crate) const SPELLING: Spelling = Spelling {
    marks: &["wte.weight"],
    body: "transformer.",
    rename: str::to_owned,
    is_buffer,
};

/// The causal masks that transformers before version 5 saved with every layer: `h.3.attn.bias` and
/// `h.3.attn.masked_bias`. `h.3.attn.c_attn.bias` is a weight.
fn is_buffer(name: &str) -> bool {
    name.ends_with(".attn.bias") || name.ends_with(".attn.masked_bias")
}
