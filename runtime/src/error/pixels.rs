//! What can be wrong with pixel values.

/// Another number of pixel values than a model's input has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{found} of them, expected {channels} * {height} * {width}, an image or several")]
#[non_exhaustive]
pub struct PixelsError {
    /// How many there are.
    pub found: usize,
    /// Channels of an image.
    pub channels: usize,
    /// Its height.
    pub height: usize,
    /// Its width.
    pub width: usize,
}
