//! TIFF and BigTIFF: the first picture, as Pillow reads it.
//!
//! The `tiff` crate unpacks the samples, which it is asked for as numbers: it is told that they are grey
//! ([`raw`]), for it refuses palettes and forgets how alpha is meant. Colours are made here from what the
//! tags really say. JPEG-compressed pictures go to our own JPEG decoder ([`strips`]).

mod kind;
mod raw;
mod strips;

use image::metadata::Orientation;
use tiff::decoder::Decoder;
use tiff::tags::{CompressionMethod, Tag};

use super::colour::{blend_over_white, unpremultiply};
use super::{ImageIoError, Pixels, check_size, orientation};
use crate::cmyk::rgb_of_cmyk;
use kind::{Alpha, Colour, Kind};
use raw::AsNumbers;

type Reader<'a> = Decoder<AsNumbers<'a>>;

/// Whether these are the first bytes of such a file.
pub(super) fn is_tiff(bytes: &[u8]) -> bool {
    matches!(
        bytes,
        [b'I', b'I', 42 | 43, 0, ..] | [b'M', b'M', 0, 42 | 43, ..]
    )
}

pub(super) fn decode(bytes: &[u8], max: u32) -> Result<(Pixels, Orientation), ImageIoError> {
    let source = AsNumbers::new(bytes);
    let photometric = source.photometric();
    let mut reader = Decoder::new(source).map_err(ImageIoError::of_tiff)?;
    let (width, height) = reader.dimensions().map_err(ImageIoError::of_tiff)?;
    let length = check_size(width.into(), height.into(), max)?;
    let turn = upright(&mut reader)?;
    let kind = Kind::read(&mut reader, photometric)?;
    let rgb = if kind.compression == CompressionMethod::ModernJPEG {
        strips::decode(bytes, &mut reader, &kind, (width, height))?
    } else {
        let samples = raw::Samples::read(&mut reader, &kind, (width, height))?;
        let map = match kind.colour {
            Colour::Palette => colour_map(&mut reader, kind.bits)?,
            _ => Vec::new(),
        };
        let mut rgb = Vec::with_capacity(length);
        let mut row = Vec::new();
        for y in 0..height as usize {
            samples.row(y, &mut row);
            for pixel in row.chunks_exact(kind.samples) {
                rgb.extend_from_slice(&kind.rgb(pixel, &map));
            }
        }
        rgb
    };
    if rgb.len() != length {
        return Err(kind.unknown("a picture that is not whole"));
    }
    Ok(((width, height, rgb), turn))
}

/// The orientation tag, or what XMP says.
fn upright(reader: &mut Reader<'_>) -> Result<Orientation, ImageIoError> {
    if let Some(value) = reader
        .find_tag_unsigned::<u64>(Tag::Orientation)
        .map_err(ImageIoError::of_tiff)?
    {
        let value = u8::try_from(value).unwrap_or(0);
        return Ok(Orientation::from_exif(value).unwrap_or(Orientation::NoTransforms));
    }
    // XMP: bytes of undefined type. What cannot be read turns nothing.
    let xmp = reader.get_tag_u8_vec(Tag::Unknown(700)).ok();
    Ok(orientation::of(None, xmp.as_deref()))
}

/// The palette: of its 16 bits a level the high byte counts, as in Pillow.
fn colour_map(reader: &mut Reader<'_>, bits: u8) -> Result<Vec<[u8; 3]>, ImageIoError> {
    let levels = reader
        .get_tag_u16_vec(Tag::ColorMap)
        .map_err(ImageIoError::of_tiff)?;
    let count = 1 << bits;
    if levels.len() < 3 * count {
        let found = format!(
            "{} values in its ColorMap, {} needed",
            levels.len(),
            3 * count
        );
        return Err(ImageIoError::TiffKind { found });
    }
    Ok((0..count)
        .map(|index| [0, 1, 2].map(|channel| (levels[channel * count + index] >> 8) as u8))
        .collect())
}

impl Kind {
    /// The colour of one pixel's samples: 8 bits each, the high byte of 16, unscaled where there are fewer.
    fn rgb(&self, pixel: &[u8], map: &[[u8; 3]]) -> [u8; 3] {
        let rgb = match (self.colour, pixel) {
            (Colour::Grey { white_is_zero }, [level, ..]) => {
                let level = match self.bits {
                    1 => level * 255,
                    2 => level * 85,
                    4 => level * 17,
                    _ => *level,
                };
                [if white_is_zero { 255 - level } else { level }; 3]
            }
            (Colour::Palette, [index, ..]) => map[usize::from(*index)],
            (Colour::Rgb, [r, g, b, ..]) => [*r, *g, *b],
            (Colour::Cmyk, [c, m, y, k, ..]) => rgb_of_cmyk([*c, *m, *y, *k]),
            // Kind::read has seen to it that there are as many samples.
            _ => [0; 3],
        };
        let alpha = || pixel.get(self.colour.samples()).copied().unwrap_or(255);
        match self.alpha {
            Alpha::None => rgb,
            Alpha::Straight => rgb.map(|level| blend_over_white(level, alpha())),
            Alpha::Associated => {
                rgb.map(|level| blend_over_white(unpremultiply(level, alpha()), alpha()))
            }
        }
    }
}
