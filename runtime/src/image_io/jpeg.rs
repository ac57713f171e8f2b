//! JPEG files: their pixels, and the EXIF and XMP among their segments.

use image::metadata::Orientation;

use super::{ImageIoError, Pixels, orientation};
use crate::jpeg::{Decoder, EndMarker};

const APP1: u8 = 0xe1;
const SOS: u8 = 0xda;
const EOI: u8 = 0xd9;

pub(super) fn decode(bytes: &[u8], max: u32) -> Result<(Pixels, Orientation), ImageIoError> {
    let mut rgb = Vec::new();
    let (width, height) = Decoder::new().decode(bytes, max, EndMarker::Required, &mut rgb)?;
    let (exif, xmp) = metadata(bytes);
    Ok(((width, height, rgb), orientation::of(exif.as_deref(), xmp)))
}

/// The EXIF block, whose parts may lie in several segments, and the XMP packet.
fn metadata(bytes: &[u8]) -> (Option<Vec<u8>>, Option<&[u8]>) {
    let (mut exif, mut xmp) = (None::<Vec<u8>>, None);
    for segment in app1(bytes) {
        if let Some(part) = segment.strip_prefix(b"Exif\0\0") {
            exif.get_or_insert_default().extend_from_slice(part);
        } else if let Some(packet) = segment.strip_prefix(b"http://ns.adobe.com/xap/1.0/\0") {
            xmp = Some(packet);
        }
    }
    (exif, xmp)
}

/// The contents of the APP1 segments before the first scan.
fn app1(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = bytes.get(2..).unwrap_or_default();
    std::iter::from_fn(move || {
        loop {
            match *rest {
                // Filling, and whatever lies between segments.
                [0xff, 0xff, ..] => rest = rest.get(1..)?,
                [0xff, SOS | EOI, ..] => return None,
                // These stand alone.
                [0xff, 0x00 | 0x01 | 0xd0..=0xd8, ..] => rest = rest.get(2..)?,
                [0xff, code, high, low, ..] => {
                    let length = usize::from(u16::from_be_bytes([high, low])).max(2);
                    let content = rest.get(4..2 + length);
                    rest = rest.get(2 + length..)?;
                    if code == APP1 {
                        return content;
                    }
                }
                _ => rest = rest.get(1..)?,
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_found_behind_filling_and_not_within_others() {
        let jpeg = b"\xff\xd8\xff\xe0\0\x06\xff\xe1\0\x04\xff\xff\xe1\0\x05abc\xff\xe1\0\x02\xff\xda\xff\xe1\0\x03d";
        let found: Vec<_> = app1(jpeg).collect();
        assert_eq!(found, [b"abc".as_slice(), b""]);
        for cut in 0..jpeg.len() {
            app1(&jpeg[..cut]).count();
        }
    }

    #[test]
    fn exif_in_two_segments_is_one_block() {
        let jpeg = b"\xff\xd8\xff\xe1\0\x0aExif\0\0ab\xff\xe1\0\x0aExif\0\0cd";
        assert_eq!(metadata(jpeg), (Some(b"abcd".to_vec()), None));
    }
}
