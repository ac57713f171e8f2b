//! The largest numbers that a config may hold.

/// Largest number of positions a config may ask for: 256 x 256 pixels.
pub const MAX_POSITIONS: usize = 65_536;
/// Largest vocabulary, the start token included: a token is a `u16`.
pub const MAX_VOCAB: usize = 65_536;
/// Largest width of the residual stream; five times iGPT-XL's.
pub const MAX_EMBD: usize = 16_384;
/// Largest width of the MLP: four times [`MAX_EMBD`].
pub const MAX_INNER: usize = 4 * MAX_EMBD;
/// Largest number of blocks.
pub const MAX_LAYERS: usize = 1_024;
/// Largest number of labels of a classification head.
pub const MAX_LABELS: usize = 65_536;
