//! Image files to RGB8, the way Pillow and Hugging Face's `convert_to_rgb` read them.
//!
//! PNG, JPEG, BMP, GIF (its first frame), PNM, TIFF and WebP, by content, whatever the name says.
//! The EXIF orientation is applied, then:
//!
//! | the file holds | becomes |
//! |---|---|
//! | grey, 1 to 8 bits | R = G = B |
//! | transparency in any form | composited over white, with Pillow's rounding |
//! | 16 bits a channel | the high byte, as Pillow does for colour |
//! | 16-bit grey | the high byte; Pillow instead clips at 255, which whitens nearly everything |
//! | a palette | its colours |
//! | CMYK JPEG | RGB, by the decoder's formula |
//! | 32-bit float | refused: nothing says which value is white |
//!
//! Lossless files give Pillow's pixels exactly. JPEG does not fix a decoder's arithmetic: ours may
//! differ from libjpeg-turbo's by a few levels, most where it smooths halved chroma.

use std::fs::File;
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits};

use crate::processor::{MAX_SIDE, ProcessorError};

/// Largest width or height of an image file, in pixels.
const MAX_FILE_SIDE: u32 = 16_384;
/// Most memory a decoder may take, in bytes: 89 megapixels of RGB8.
const MAX_DECODED: u64 = 256 << 20;
/// Longest file that is read, in bytes.
const MAX_FILE: u64 = 256 << 20;

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
    pub fn new(width: usize, height: usize, rgb: Vec<u8>) -> Result<Self, ProcessorError> {
        if !(1..=MAX_SIDE).contains(&width) || !(1..=MAX_SIDE).contains(&height) {
            return Err(ProcessorError::Dimensions { width, height });
        }
        let expected = width.checked_mul(height).and_then(|n| n.checked_mul(3));
        if expected != Some(rgb.len()) {
            return Err(ProcessorError::BufferLength {
                width,
                height,
                found: rgb.len(),
            });
        }
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

/// Why an image could not be decoded.
#[derive(Debug, thiserror::Error)]
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
    /// The bytes are no image we know, or a damaged one.
    #[error("is not a readable image: {0}")]
    Decode(#[from] image::ImageError),
    /// What a clone without Git LFS has in an image's place.
    #[error("{}", crate::lfs::MESSAGE)]
    LfsPointer,
    /// A JPEG that stops before its end marker.
    #[error("is a truncated JPEG: it has no end-of-image marker")]
    TruncatedJpeg,
    /// An image whose pixels have no defined RGB8 value.
    #[error("holds {found} pixels, expected 8 or 16 bits a channel")]
    PixelType {
        /// The pixel type.
        found: String,
    },
    /// An image without pixels.
    #[error(transparent)]
    Empty(#[from] ProcessorError),
}

/// Decodes the image file at `path`.
///
/// # Errors
/// Names the file, and says what is wrong with it.
pub fn decode_file(path: impl AsRef<Path>) -> Result<DecodedImage, ImageIoError> {
    let path = path.as_ref();
    let decode = || {
        let mut bytes = Vec::new();
        File::open(path)?
            .take(MAX_FILE + 1)
            .read_to_end(&mut bytes)?;
        if bytes.len() as u64 > MAX_FILE {
            return Err(ImageIoError::TooLong);
        }
        decode_bytes(&bytes)
    };
    decode().map_err(|source| ImageIoError::File {
        path: path.to_path_buf(),
        source: Box::new(source),
    })
}

/// Decodes an image file held in memory.
///
/// # Errors
/// An unknown or damaged format, or an image beyond the limits of this module: 16,384 pixels a
/// side and 256 MiB while decoding.
pub fn decode_bytes(bytes: &[u8]) -> Result<DecodedImage, ImageIoError> {
    if crate::lfs::is_pointer(bytes) {
        return Err(ImageIoError::LfsPointer);
    }
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_FILE_SIDE);
    limits.max_image_height = Some(MAX_FILE_SIDE);
    limits.max_alloc = Some(MAX_DECODED);

    let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format()?;
    let format = reader.format();
    if format == Some(ImageFormat::Jpeg) && !has_end_marker(bytes) {
        return Err(ImageIoError::TruncatedJpeg);
    }
    reader.limits(limits.clone());
    let mut decoder = reader.into_decoder()?;
    let orientation = if format == Some(ImageFormat::Tiff) {
        // A TIFF file is laid out as an EXIF chunk is; the decoder does not look the tag up.
        Orientation::from_exif_chunk(bytes).unwrap_or(Orientation::NoTransforms)
    } else {
        decoder.orientation()?
    };
    // The decoders bound what they allocate themselves; the output is ours to bound.
    limits.reserve(decoder.total_bytes())?;
    let mut image = DynamicImage::from_decoder(decoder)?;
    image.apply_orientation(orientation);
    let (width, height) = (image.width() as usize, image.height() as usize);
    Ok(DecodedImage::new(width, height, to_rgb8(image)?)?)
}

/// Whether a JPEG has the marker FF D9 somewhere in its second half.
///
/// The decoder fills what is missing of a truncated file with grey and says nothing; Pillow
/// refuses it. Bytes may follow the marker (cameras append previews), so it need not be last.
fn has_end_marker(bytes: &[u8]) -> bool {
    let (_, tail) = bytes.split_at(bytes.len() / 2);
    tail.windows(2).rev().any(|pair| pair == [0xff, 0xd9])
}

fn to_rgb8(image: DynamicImage) -> Result<Vec<u8>, ImageIoError> {
    Ok(match image {
        DynamicImage::ImageRgb8(i) => i.into_raw(),
        DynamicImage::ImageLuma8(i) => grey(i.into_raw().into_iter()),
        DynamicImage::ImageLuma16(i) => grey(i.into_raw().into_iter().map(high_byte)),
        DynamicImage::ImageRgb16(i) => i.into_raw().into_iter().map(high_byte).collect(),
        DynamicImage::ImageLumaA8(i) => over_white(i.pixels().map(|p| ([p.0[0]; 3], p.0[1]))),
        DynamicImage::ImageLumaA16(i) => over_white(
            i.pixels()
                .map(|p| ([high_byte(p.0[0]); 3], high_byte(p.0[1]))),
        ),
        DynamicImage::ImageRgba8(i) => over_white(i.pixels().map(|p| split_alpha(p.0))),
        DynamicImage::ImageRgba16(i) => {
            over_white(i.pixels().map(|p| split_alpha(p.0.map(high_byte))))
        }
        other => {
            return Err(ImageIoError::PixelType {
                found: format!("{:?}", other.color()),
            });
        }
    })
}

fn grey(levels: impl Iterator<Item = u8>) -> Vec<u8> {
    levels.flat_map(|level| [level; 3]).collect()
}

fn high_byte(level: u16) -> u8 {
    (level >> 8) as u8
}

fn split_alpha([r, g, b, a]: [u8; 4]) -> ([u8; 3], u8) {
    ([r, g, b], a)
}

/// Pillow's `alpha_composite` on an opaque white background.
fn over_white(pixels: impl Iterator<Item = ([u8; 3], u8)>) -> Vec<u8> {
    pixels
        .flat_map(|(rgb, alpha)| rgb.map(|level| blend_over_white(level, alpha)))
        .collect()
}

fn blend_over_white(level: u8, alpha: u8) -> u8 {
    // Pillow keeps seven fraction bits and divides by 255 with shifts; both show in the result.
    const FRACTION: u32 = 7;
    let alpha = u32::from(alpha);
    let sum = (u32::from(level) * alpha + 255 * (255 - alpha)) << FRACTION;
    let rounded = sum + (0x80 << FRACTION);
    ((((rounded >> 8) + rounded) >> 8) >> FRACTION) as u8
}

#[cfg(test)]
mod tests;
