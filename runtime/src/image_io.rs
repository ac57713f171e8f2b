//! Image files to RGB8, the way Pillow and Hugging Face's `convert_to_rgb` read them.
//!
//! PNG, JPEG, BMP, GIF (its first frame), PNM, TIFF and WebP, by content, whatever the name says.
//! The orientation in EXIF is applied, or in XMP where EXIF names none; then:
//!
//! | the file holds | becomes |
//! |---|---|
//! | grey, 1 to 8 bits | R = G = B |
//! | transparency in any form | composited over white, with Pillow's rounding |
//! | 16 bits a channel | the high byte, as Pillow does for colour; PNM is rounded |
//! | a palette | its colours |
//! | CMYK | RGB, by Pillow's formula |
//! | 32-bit integers and floats | refused: nothing says which value is white |
//!
//! The pixels are Pillow's exactly, JPEG's too ([`crate::jpeg`]), but for what `docs/images.md` lists:
//! 16-bit grey, which Pillow clips so that nearly all of it is white, and some kinds that Pillow
//! misreads or refuses.

mod bmp;
mod colour;
mod error;
mod foreign;
mod gif;
mod jpeg;
mod orientation;
mod png;
mod pnm;
mod tiff;

use std::fs::File;
use std::io::{Cursor, Read};
use std::path::Path;

use image::error::ImageFormatHint;
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits};

pub use error::ImageIoError;
pub use foreign::Foreign;

use crate::image::{DecodedImage, MAX_SIDE};

/// Most memory a decoder may take for pixels, in bytes.
const MAX_DECODED: u64 = 256 << 20;
/// Most pixels of an image file, width times height: 89 million, 256 MiB of RGB8.
pub const MAX_PIXELS: u32 = (MAX_DECODED / 3) as u32;
/// Longest file that is read, in bytes.
const MAX_FILE: u64 = 256 << 20;

/// Width, height and RGB8 pixels.
type Pixels = (u32, u32, Vec<u8>);

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
/// An unknown or damaged format, or an image beyond [`MAX_PIXELS`].
pub fn decode_bytes(bytes: &[u8]) -> Result<DecodedImage, ImageIoError> {
    decode_bytes_within(bytes, MAX_PIXELS)
}

/// Decodes an image file held in memory if it has at most `max_pixels` pixels, and never more than [`MAX_PIXELS`].
///
/// # Errors
/// As [`decode_bytes`]. A larger image is refused by its headers, before room for its pixels is taken.
pub fn decode_bytes_within(bytes: &[u8], max_pixels: u32) -> Result<DecodedImage, ImageIoError> {
    if crate::lfs::is_pointer(bytes) {
        return Err(ImageIoError::LfsPointer);
    }
    let max = max_pixels.min(MAX_PIXELS);
    let (pixels, orientation) = match bytes {
        [0xff, 0xd8, ..] => jpeg::decode(bytes, max)?,
        [b'G', b'I', b'F', b'8', ..] => (gif::decode(bytes, max)?, Orientation::NoTransforms),
        _ if pnm::is_pnm(bytes) => (pnm::decode(bytes, max)?, Orientation::NoTransforms),
        _ if tiff::is_tiff(bytes) => tiff::decode(bytes, max)?,
        [] => return Err(ImageIoError::NoBytes),
        _ => match foreign::of(bytes) {
            Some(found) => return Err(ImageIoError::Foreign(found)),
            None => others(bytes, max).map_err(|error| plain(bytes, error))?,
        },
    };
    let (width, height, rgb) = orientation::apply(pixels, orientation);
    Ok(DecodedImage::new(width as usize, height as usize, rgb)?)
}

/// PNG, BMP, WebP and PAM, which the `image` crate reads as Pillow does.
fn others(bytes: &[u8], max: u32) -> Result<(Pixels, Orientation), ImageIoError> {
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_DECODED);
    let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format()?;
    let format = reader.format();
    reader.limits(limits.clone());
    let mut decoder = reader.into_decoder().map_err(ImageIoError::of_image)?;
    let (width, height) = decoder.dimensions();
    check_size(width.into(), height.into(), max)?;
    let orientation = match format {
        Some(ImageFormat::Png) => png::orientation(bytes),
        Some(ImageFormat::WebP) => {
            let (exif, xmp) = (
                decoder.exif_metadata().map_err(ImageIoError::of_image)?,
                decoder.xmp_metadata().map_err(ImageIoError::of_image)?,
            );
            orientation::of(exif.as_deref(), xmp.as_deref())
        }
        _ => Orientation::NoTransforms,
    };
    // The decoders bound what they allocate themselves; the output is ours to bound.
    limits
        .reserve(decoder.total_bytes())
        .map_err(ImageIoError::of_image)?;
    let mut rgb =
        colour::to_rgb8(DynamicImage::from_decoder(decoder).map_err(ImageIoError::of_image)?)?;
    if format == Some(ImageFormat::Bmp) {
        bmp::correct(bytes, &mut rgb);
    }
    Ok(((width, height, rgb), orientation))
}

/// An error of the `image` crate in words for who has the file and not the crate's source.
fn plain(bytes: &[u8], error: ImageIoError) -> ImageIoError {
    let ImageIoError::Decode(cause) = &error else {
        return error;
    };
    let Some(cause) = cause.downcast_ref() else {
        return error;
    };
    match cause {
        ImageError::Unsupported(found) if found.format_hint() == ImageFormatHint::Unknown => {
            ImageIoError::Unknown
        }
        ImageError::Decoding(_) | ImageError::IoError(_) if bytes.starts_with(png::SIGNATURE) => {
            ImageIoError::Png(png::damage(bytes).unwrap_or_else(|| png::words(&cause.to_string())))
        }
        _ => error,
    }
}

/// The bytes of RGB8 that a picture takes, if it may be that large.
fn check_size(width: u64, height: u64, max_pixels: u32) -> Result<usize, ImageIoError> {
    let side = 1..=MAX_SIDE as u64;
    let pixels = width.saturating_mul(height);
    if !side.contains(&width) || !side.contains(&height) || pixels > max_pixels.into() {
        return Err(ImageIoError::Size {
            width,
            height,
            max_pixels,
        });
    }
    Ok(pixels as usize * 3)
}

#[cfg(test)]
mod tests;
