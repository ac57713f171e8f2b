//! `DecodedImage`: RGB8 pixels and their size, as decoders give and processors take them.

/// Largest width or height of an image; also what JPEG and most cameras can name.
pub const MAX_SIDE: usize = 65_535;

/// Why pixels are no image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// An image without pixels, or one with a side longer than [`MAX_SIDE`].
    #[error("an image of {width}x{height} pixels, expected sides of 1 to {MAX_SIDE}")]
    Dimensions {
        /// Width in pixels.
        width: usize,
        /// Height in pixels.
        height: usize,
    },
    /// The buffer does not hold the image it is said to hold.
    #[error("{found} bytes of RGB8, expected 3 * {width} * {height}")]
    BufferLength {
        /// Width in pixels.
        width: usize,
        /// Height in pixels.
        height: usize,
        /// Length of the buffer in bytes.
        found: usize,
    },
}

/// An RGB8 image: rows from the top, pixels from the left, three bytes each, no padding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecodedImage {
    width: usize,
    height: usize,
    rgb: Vec<u8>,
}

impl DecodedImage {
    /// An image from its pixels.
    ///
    /// # Errors
    /// A side of 0 or beyond [`MAX_SIDE`], or a buffer that is not `3 * width * height` long.
    pub fn new(width: usize, height: usize, rgb: Vec<u8>) -> Result<Self, ImageError> {
        check(&rgb, width, height)?;
        Ok(Self { width, height, rgb })
    }

    /// Width in pixels.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// Height in pixels.
    #[must_use]
    pub fn height(&self) -> usize {
        self.height
    }

    /// The pixels.
    #[must_use]
    pub fn rgb(&self) -> &[u8] {
        &self.rgb
    }

    /// The pixels, by value.
    #[must_use]
    pub fn into_rgb(self) -> Vec<u8> {
        self.rgb
    }
}

/// Checks that `rgb` holds a picture of `width` x `height` pixels and that both are sane.
pub(crate) fn check(rgb: &[u8], width: usize, height: usize) -> Result<(), ImageError> {
    if !(1..=MAX_SIDE).contains(&width) || !(1..=MAX_SIDE).contains(&height) {
        return Err(ImageError::Dimensions { width, height });
    }
    // Both sides fit 16 bits, but their product times three need not fit a 32-bit usize.
    let expected = width.checked_mul(height).and_then(|n| n.checked_mul(3));
    if expected == Some(rgb.len()) {
        return Ok(());
    }
    Err(ImageError::BufferLength {
        width,
        height,
        found: rgb.len(),
    })
}
