//! JPEG to RGB8, bit for bit as libjpeg-turbo and so Pillow do it; the one decoder of files and streams.
//!
//! The C library is MozJPEG's copy of libjpeg-turbo, compiled without SIMD: the vector paths agree with
//! the plain one on every sound file, but not where a crafted one overflows 16 bits, and a verdict must
//! not depend on the CPU. `docs/images.md` has the choice with its numbers.
//!
//! Read is what Pillow reads: baseline, extended and progressive files of 8 bits a sample, Huffman- or
//! arithmetic-coded, with 1, 3 or 4 components of any sampling, in any order of scans, with or without
//! restart markers. Frames without Huffman tables, as Motion JPEG has them, get the standard ones.
//!
//! Stricter than libjpeg: where that would guess (grey for what is cut off, whatever for what is
//! damaged) there is an error, for a guess would be classified like a picture.

mod error;
mod shim;
mod split;

use crate::cmyk::rgb_of_cmyk;
use shim::Picture;

pub use error::JpegError;
pub use split::{JpegSplitter, MAX_FRAME_BYTES, Piece};

/// What to do about a JPEG without an end-of-image marker (FF D9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndMarker {
    /// Refuse it, as Pillow does: a file that was cut.
    Required,
    /// Take it if the picture is complete without it: some cameras leave the marker out.
    Optional,
}

/// Decodes JPEGs, one after another. What one shows never depends on those before it.
#[derive(Debug, Default)]
pub struct Decoder {
    /// A row of CMYK.
    row: Vec<u8>,
}

impl Decoder {
    /// A decoder; it holds nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Decodes `jpeg` into `rgb`, three bytes a pixel in rows from the top, and gives its width and height.
    /// Bytes behind the end marker are ignored, and so is the orientation. `rgb` is made as long as it must be,
    /// so a buffer that is used again is allocated once; after an error what it holds is unspecified.
    ///
    /// # Errors
    /// See [`JpegError`]. A size beyond `max_pixels` is refused before anything is allocated.
    pub fn decode(
        &mut self,
        jpeg: &[u8],
        max_pixels: u32,
        end_marker: EndMarker,
        rgb: &mut Vec<u8>,
    ) -> Result<(u32, u32), JpegError> {
        let picture = Picture::open(jpeg)?;
        let shim::Header {
            width,
            height,
            components,
        } = picture.header;
        if !matches!(components, 1 | 3 | 4) {
            return Err(JpegError::Components { found: components });
        }
        let pixels = u64::from(width) * u64::from(height);
        if pixels == 0 || pixels > max_pixels.into() {
            return Err(JpegError::TooLarge {
                width,
                height,
                max_pixels,
            });
        }
        let mut rows = picture.start()?;
        rgb.resize(width as usize * height as usize * 3, 0);
        for out in rgb.chunks_exact_mut(3 * width as usize) {
            if components == 4 {
                self.row.resize(4 * width as usize, 0);
                rows.read(&mut self.row)?;
                let (cmyk, rgb) = (self.row.as_chunks::<4>().0, out.as_chunks_mut::<3>().0);
                for (cmyk, rgb) in cmyk.iter().zip(rgb) {
                    // JPEGs hold CMYK inverted, as Adobe writes it: 255 is no ink.
                    *rgb = rgb_of_cmyk(cmyk.map(|level| 255 - level));
                }
            } else {
                rows.read(out)?;
            }
        }
        let ended = rows.finish()?;
        if !ended && end_marker == EndMarker::Required {
            return Err(JpegError::NoEndMarker);
        }
        Ok((width, height))
    }
}

/// Width and height as a JPEG's headers give them.
///
/// # Errors
/// [`JpegError::Broken`] or [`JpegError::Truncated`] where the headers are not sound.
pub fn size(jpeg: &[u8]) -> Result<(u32, u32), JpegError> {
    let header = Picture::open(jpeg)?.header;
    Ok((header.width, header.height))
}

#[cfg(test)]
mod tests;
