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

/// How every PNG begins.
pub(super) const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";

/// What is wrong with the chunks of a PNG, if it is that: the first that is not whole or not as it was written.
pub(super) fn damage(bytes: &[u8]) -> Option<String> {
    let mut at = SIGNATURE.len();
    loop {
        let rest = bytes.get(at..).filter(|rest| !rest.is_empty());
        let Some((head, after)) = rest.and_then(|rest| rest.split_first_chunk::<8>()) else {
            return Some("it ends before its end (no chunk `IEND`)".to_owned());
        };
        let (length, kind) = head.split_at(4);
        let length = length
            .iter()
            .fold(0, |sum, &byte| sum << 8 | usize::from(byte));
        if !kind.iter().all(u8::is_ascii_alphabetic) {
            let kind = kind.escape_ascii();
            return Some(format!(
                "at byte {at} is `{kind}` where the name of a chunk should be: it is damaged there or before"
            ));
        }
        let kind = kind.escape_ascii();
        let Some((data, sum)) = after
            .split_at_checked(length)
            .and_then(|(data, after)| Some((data, after.first_chunk::<4>()?)))
        else {
            let left = after.len();
            return Some(format!(
                "its chunk `{kind}` at byte {at} is of {length} bytes, and {left} follow: the file is cut, or damaged \
                 there"
            ));
        };
        let mut crc = flate2::Crc::new();
        crc.update(&head[4..]);
        crc.update(data);
        let (found, expected) = (crc.sum(), u32::from_be_bytes(*sum));
        if found != expected {
            return Some(format!(
                "its chunk `{kind}` at byte {at} is damaged: its CRC-32 is {found:08x}, expected {expected:08x}"
            ));
        }
        if head.ends_with(b"IEND") {
            return None;
        }
        at += 12 + length;
    }
}

/// The decoder's own words, in which a chunk is its name and not the decoder's record of it.
pub(super) fn words(message: &str) -> String {
    const RECORD: &str = "ChunkType { type: ";
    let message = message
        .strip_prefix("Format error decoding Png: ")
        .unwrap_or(message);
    let mut plain = String::new();
    let mut rest = message;
    while let Some((before, record)) = rest.split_once(RECORD) {
        let (fields, after) = record.split_once('}').unwrap_or((record, ""));
        let name = fields.split(',').next().unwrap_or(fields).trim();
        plain.push_str(before);
        plain.push('`');
        plain.push_str(name);
        plain.push('`');
        rest = after;
    }
    plain.push_str(rest);
    plain
}

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

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use image::{DynamicImage, ImageFormat};

    use super::super::decode_bytes;
    use super::{damage, words};

    #[test]
    fn a_damaged_png_is_told_in_plain_words() {
        let mut whole = Cursor::new(Vec::new());
        let picture = DynamicImage::new_rgb8(40, 40);
        picture.write_to(&mut whole, ImageFormat::Png).unwrap();
        let whole = whole.into_inner();
        assert_eq!(damage(&whole), None);
        // The signature is 8 bytes and IHDR's chunk 25; IDAT's name begins at 37 and its data at 41.
        assert_eq!(&whole[37..41], b"IDAT");
        let changed = |at: usize, to: u8| {
            let mut bytes = whole.clone();
            bytes[at] = to;
            bytes
        };
        for (bytes, message) in [
            (changed(40, 0), "at byte 33 is `IDA\\x00` where the name"),
            (
                changed(45, whole[45] ^ 4),
                "chunk `IDAT` at byte 33 is damaged: its CRC-32 is ",
            ),
            (
                changed(17, 9),
                "chunk `IHDR` at byte 8 is damaged: its CRC-32 is ",
            ),
            (changed(34, 1), "and 32 follow"),
            (whole[..44].to_vec(), "3 follow: the file is cut"),
        ] {
            let found = decode_bytes(&bytes).unwrap_err().to_string();
            let follow = found.contains("follow: the file is cut") && message.contains("follow");
            assert!(found.contains(message) || follow, "{message}: {found}");
            assert!(
                found.contains("broken PNG: ") && !found.contains("ChunkType"),
                "{found}"
            );
        }
    }

    #[test]
    fn a_record_of_a_chunk_becomes_its_name() {
        let record = "Format error decoding Png: ChunkType { type: PLTE, critical: true, private: false } chunk appeared \
                      before IHDR chunk";
        assert_eq!(words(record), "`PLTE` chunk appeared before IHDR chunk");
        assert_eq!(words("Missing palette"), "Missing palette");
    }
}
