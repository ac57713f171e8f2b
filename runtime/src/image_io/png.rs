//! The EXIF and XMP of a PNG, wherever in the file its chunks lie.

use std::io::Read;

use flate2::bufread::ZlibDecoder;
use image::metadata::Orientation;

use super::orientation;

/// Most bytes of text that are unpacked.
const MAX_TEXT: u64 = 1 << 20;
/// The keyword under which ImageMagick writes EXIF, in hexadecimal.
const RAW_EXIF: &[u8] = b"Raw profile type exif";
const XMP: &[u8] = b"XML:com.adobe.xmp";

/// The orientation that a PNG's metadata ask for.
pub(super) fn orientation(bytes: &[u8]) -> Orientation {
    let (mut exif, mut raw, mut xmp) = (None, None, None);
    for (kind, data) in chunks(bytes) {
        if kind == b"eXIf" {
            exif = Some(data.to_vec());
        } else if let Some((keyword, value)) = text(kind, data) {
            match keyword {
                RAW_EXIF => raw = value.and_then(|value| unhex(&value)),
                XMP => xmp = value,
                _ => {}
            }
        }
    }
    orientation::of(exif.or(raw).as_deref(), xmp.as_deref())
}

/// Type and data of each chunk.
fn chunks(bytes: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut rest = bytes.get(8..).unwrap_or_default();
    std::iter::from_fn(move || {
        let (length, after) = rest.split_first_chunk::<4>()?;
        let (kind, after) = after.split_at_checked(4)?;
        let (data, after) = after.split_at_checked(u32::from_be_bytes(*length) as usize)?;
        rest = after.get(4..)?;
        Some((kind, data))
    })
}

/// Keyword and value of a text chunk; unpacked only if it is one that matters.
fn text<'a>(kind: &[u8], data: &'a [u8]) -> Option<(&'a [u8], Option<Vec<u8>>)> {
    if !matches!(kind, b"tEXt" | b"zTXt" | b"iTXt") {
        return None;
    }
    let (keyword, mut value) = split_at_nul(data)?;
    if keyword != RAW_EXIF && keyword != XMP {
        return None;
    }
    let mut packed = false;
    match kind {
        b"zTXt" => {
            packed = true;
            value = value.get(1..)?;
        }
        b"iTXt" => {
            packed = *value.first()? == 1;
            let (_language, rest) = split_at_nul(value.get(2..)?)?;
            (_, value) = split_at_nul(rest)?;
        }
        _ => {}
    }
    if !packed {
        return Some((keyword, Some(value.to_vec())));
    }
    let mut text = Vec::new();
    let unpacked = ZlibDecoder::new(value)
        .take(MAX_TEXT)
        .read_to_end(&mut text);
    Some((keyword, unpacked.ok().map(|_| text)))
}

fn split_at_nul(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let nul = bytes.iter().position(|&byte| byte == 0)?;
    Some((bytes.get(..nul)?, bytes.get(nul + 1..)?))
}

/// The bytes of such a profile: two lines of name and length, then hexadecimal digits.
fn unhex(profile: &[u8]) -> Option<Vec<u8>> {
    let lines = profile.split(|&byte| byte == b'\n').skip(3);
    let digits: Vec<u8> = lines
        .flatten()
        .filter_map(|&byte| char::from(byte).to_digit(16).map(|digit| digit as u8))
        .collect();
    let (pairs, _) = digits.as_chunks::<2>();
    Some(pairs.iter().map(|[high, low]| high << 4 | low).collect())
}
