//! Pixels of any kind to RGB8, with Pillow's rounding.

use image::DynamicImage;

use super::ImageIoError;

/// The pixels of an image of 8 or 16 bits a channel, over white where they are transparent.
pub(super) fn to_rgb8(image: DynamicImage) -> Result<Vec<u8>, ImageIoError> {
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

pub(super) fn high_byte(level: u16) -> u8 {
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

pub(super) fn blend_over_white(level: u8, alpha: u8) -> u8 {
    // Pillow keeps seven fraction bits and divides by 255 with shifts; both show in the result.
    const FRACTION: u32 = 7;
    let alpha = u32::from(alpha);
    let sum = (u32::from(level) * alpha + 255 * (255 - alpha)) << FRACTION;
    let rounded = sum + (0x80 << FRACTION);
    ((((rounded >> 8) + rounded) >> 8) >> FRACTION) as u8
}

/// A level that was multiplied by its alpha, divided by it again.
pub(super) fn unpremultiply(level: u8, alpha: u8) -> u8 {
    match alpha {
        0 => level,
        alpha => (u32::from(level) * 255 / u32::from(alpha)).min(255) as u8,
    }
}
