//! Which way up an image is: the orientation in EXIF and, where that names none, in XMP, as Pillow's
//! `exif_transpose` has it.

use image::metadata::Orientation;
use image::{DynamicImage, RgbImage};

use super::Pixels;

/// EXIF's tag, and TIFF's.
const TAG: u16 = 0x112;

/// The orientation that the metadata ask for.
pub(super) fn of(exif: Option<&[u8]>, xmp: Option<&[u8]>) -> Orientation {
    exif.and_then(in_exif)
        .or_else(|| xmp.and_then(in_xmp))
        .and_then(|value| Orientation::from_exif(u8::try_from(value).unwrap_or(0)))
        .unwrap_or(Orientation::NoTransforms)
}

/// Turns the pixels upright.
pub(super) fn apply((width, height, rgb): Pixels, orientation: Orientation) -> Pixels {
    if orientation == Orientation::NoTransforms {
        return (width, height, rgb);
    }
    match RgbImage::from_raw(width, height, rgb) {
        Some(image) => {
            let mut image = DynamicImage::from(image);
            image.apply_orientation(orientation);
            (image.width(), image.height(), image.into_rgb8().into_raw())
        }
        // Shorter than its size, which whoever is given it finds out.
        None => (width, height, Vec::new()),
    }
}

/// The value of the orientation tag in the first directory of an EXIF block.
fn in_exif(exif: &[u8]) -> Option<u32> {
    let exif = exif.strip_prefix(b"Exif\0\0").unwrap_or(exif);
    let little = match exif.get(..4)? {
        b"II*\0" => true,
        b"MM\0*" => false,
        _ => return None,
    };
    let u16_at = |at: usize| -> Option<u16> {
        let bytes = exif.get(at..at.checked_add(2)?)?.try_into().ok()?;
        Some(match little {
            true => u16::from_le_bytes(bytes),
            false => u16::from_be_bytes(bytes),
        })
    };
    let u32_at = |at: usize| -> Option<u32> {
        let bytes = exif.get(at..at.checked_add(4)?)?.try_into().ok()?;
        Some(match little {
            true => u32::from_le_bytes(bytes),
            false => u32::from_be_bytes(bytes),
        })
    };
    let directory = u32_at(4)? as usize;
    let entries = usize::from(u16_at(directory)?);
    (0..entries).find_map(|index| {
        let entry = directory + 2 + 12 * index;
        if u16_at(entry)? != TAG {
            return None;
        }
        if u32_at(entry + 4)? != 1 {
            return Some(0);
        }
        // Most write a 16-bit value, some 32 bits. Of another type it says nothing, and is there all the same.
        match u16_at(entry + 2)? {
            3 => u16_at(entry + 8).map(u32::from),
            4 => u32_at(entry + 8),
            _ => Some(0),
        }
    })
}

/// The digit behind `tiff:Orientation`, written as an attribute or as an element.
fn in_xmp(xmp: &[u8]) -> Option<u32> {
    const NAME: &[u8] = b"tiff:Orientation";
    (0..xmp.len().checked_sub(NAME.len())?).find_map(|at| {
        let rest = xmp.get(at..)?.strip_prefix(NAME)?;
        let value = rest.strip_prefix(b"=\"").or(rest.strip_prefix(b">"))?;
        let digit = value.first().filter(|byte| byte.is_ascii_digit())?;
        Some(u32::from(digit - b'0'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tag_may_have_16_or_32_bits_in_either_byte_order() {
        let little = |kind: u8, value: [u8; 4]| {
            let mut exif = b"II*\0\x08\0\0\0\x01\0\x12\x01".to_vec();
            exif.extend([kind, 0, 1, 0, 0, 0]);
            exif.extend(value);
            exif
        };
        for kind in [3, 4] {
            assert_eq!(in_exif(&little(kind, [6, 0, 0, 0])), Some(6));
        }
        assert_eq!(in_exif(&little(1, [6, 0, 0, 0])), Some(0));
        let big = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x08\0\0";
        assert_eq!(in_exif(big), Some(8));
        for cut in 0..big.len() - 2 {
            assert_eq!(in_exif(&big[..cut]), None);
        }
    }

    #[test]
    fn xmp_counts_where_exif_names_no_orientation() {
        let attribute = br#"<rdf:Description tiff:Orientation="6"/>"#;
        let element = b"<tiff:Orientation>3</tiff:Orientation>";
        assert_eq!(of(None, Some(attribute)), Orientation::Rotate90);
        assert_eq!(of(None, Some(element)), Orientation::Rotate180);
        assert_eq!(
            of(None, Some(b"tiff:Orientation= 6")),
            Orientation::NoTransforms
        );
        let upright = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x01\0\0";
        assert_eq!(
            of(Some(upright), Some(attribute)),
            Orientation::NoTransforms
        );
        assert_eq!(of(Some(b"MM"), Some(attribute)), Orientation::Rotate90);
    }
}
