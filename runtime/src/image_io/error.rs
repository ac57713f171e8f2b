//! Why an image file is not read.

use std::path::PathBuf;

use super::MAX_FILE;
use super::foreign::Foreign;
use crate::image::MAX_SIDE;
use crate::jpeg::JpegError;

/// What is read.
const READ: &str = "PNG, JPEG, BMP, GIF, PNM, TIFF and WebP";

/// What a decoder says.
type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why an image could not be decoded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageIoError {
    /// Something is wrong with the file at this path.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<ImageIoError>,
    },
    /// The file could not be read.
    #[error("cannot be read: {0}")]
    Io(#[from] std::io::Error),
    /// The file is longer than an image has any business to be.
    #[error("is longer than {MAX_FILE} bytes, the most that is read as an image")]
    TooLong,
    /// The image is larger than is read.
    #[error(
        "is of {width}x{height} pixels; expected at least 1x1, at most {MAX_SIDE} a side and {max_pixels} in all"
    )]
    Size {
        /// Width in pixels.
        width: u64,
        /// Height in pixels.
        height: u64,
        /// The caller's limit.
        max_pixels: u32,
    },
    /// A file without a byte.
    #[error("is empty")]
    NoBytes,
    /// Something that is known and not read.
    #[error("is {}, and what is read is {READ}: {}", .0.found, .0.remedy)]
    Foreign(Foreign),
    /// It begins like nothing that is known.
    #[error("is not a readable image: by its content it is none of {READ}")]
    Unknown,
    /// A damaged PNG.
    #[error("is not a readable image: broken PNG: {0}")]
    Png(String),
    /// A damaged image.
    #[error("is not a readable image: {0}")]
    Decode(Cause),
    /// What a clone without Git LFS has in an image's place.
    #[error("{}", crate::lfs::MESSAGE)]
    LfsPointer,
    /// A JPEG that is damaged, cut or of an unknown kind.
    #[error("is not a readable image: {0}")]
    Jpeg(JpegError),
    /// A GIF without a whole first frame.
    #[error("is not a readable image: broken GIF: {0}")]
    Gif(Cause),
    /// A PBM, PGM or PPM that is damaged.
    #[error("is not a readable image: broken PNM: {0}")]
    Pnm(String),
    /// A TIFF that is damaged or packed in a way that is not read.
    #[error("is not a readable image: TIFF: {0}")]
    Tiff(Cause),
    /// A TIFF whose pixels have no defined RGB8 value, or none that we know.
    #[error(
        "is a TIFF of {found}; expected grey, palette, RGB, CMYK or JPEG-compressed YCbCr pixels of up to 16 bits a sample"
    )]
    TiffKind {
        /// What its tags say.
        found: String,
    },
    /// An image whose pixels have no defined RGB8 value.
    #[error("holds {found} pixels, expected 8 or 16 bits a channel")]
    PixelType {
        /// The pixel type.
        found: String,
    },
    /// An image without pixels, or with too many.
    #[error(transparent)]
    Image(#[from] crate::image::ImageError),
}

/// Not `From`: a decoder's crate is no part of our face.
impl ImageIoError {
    pub(super) fn of_image(error: image::ImageError) -> Self {
        Self::Decode(error.into())
    }

    pub(super) fn of_gif(error: gif::DecodingError) -> Self {
        Self::Gif(error.into())
    }

    pub(super) fn of_tiff(error: tiff::TiffError) -> Self {
        Self::Tiff(error.into())
    }
}

impl From<JpegError> for ImageIoError {
    fn from(error: JpegError) -> Self {
        match error {
            JpegError::TooLarge {
                width,
                height,
                max_pixels,
            } => Self::Size {
                width: width.into(),
                height: height.into(),
                max_pixels,
            },
            error => Self::Jpeg(error),
        }
    }
}
