//! Why a JPEG is not decoded.

/// Why a JPEG could not be decoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JpegError {
    /// It is damaged, no JPEG, or of a kind that is not read.
    #[error("broken JPEG: {0}")]
    Broken(String),
    /// It ends before its picture does.
    #[error("truncated JPEG: it ends before its picture is complete")]
    Truncated,
    /// Its picture is complete but no end-of-image marker follows, and the caller wants one.
    #[error("truncated JPEG: it has no end-of-image marker (FF D9)")]
    NoEndMarker,
    /// It is larger than the caller allows.
    #[error("JPEG of {width}x{height}; expected 1x1 up to {max_pixels} pixels")]
    TooLarge {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// The caller's limit.
        max_pixels: u32,
    },
    /// Nothing says what colour so many components make.
    #[error("JPEG of {found} components; expected 1 (grey), 3 (colour) or 4 (CMYK)")]
    Components {
        /// The components.
        found: u32,
    },
    /// Its coefficients, or its pixels, take more memory than there is or than is allowed.
    #[error(
        "JPEG in several scans that needs more than 320 MiB to decode; one in a single scan needs little"
    )]
    Memory,
}
