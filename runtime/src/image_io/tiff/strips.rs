//! JPEG-compressed TIFF: every strip or tile is a JPEG whose tables may lie in a tag of their own.

use tiff::tags::Tag;

use super::raw::check_chunks;
use super::{Alpha, Colour, ImageIoError, Kind, Reader};
use crate::image_io::MAX_PIXELS;
use crate::jpeg::{Decoder, EndMarker, JpegError};

/// An Adobe segment that tells how to read three components, which a TIFF says in its tags: the last
/// byte, put behind it, is 0 for RGB, 1 for YCbCr.
const ADOBE: [u8; 15] = *b"\xff\xee\x00\x0eAdobe\0\x64\0\0\0\0";

pub(super) fn decode(
    bytes: &[u8],
    reader: &mut Reader<'_>,
    kind: &Kind,
    (width, height): (u32, u32),
) -> Result<Vec<u8>, ImageIoError> {
    let transform = match kind.colour {
        Colour::Grey {
            white_is_zero: false,
        } => None,
        Colour::Rgb => Some(0),
        Colour::YCbCr => Some(1),
        _ => return Err(kind.unknown("JPEG-compressed pixels of this kind")),
    };
    if kind.bits != 8 || kind.alpha != Alpha::None || kind.samples != kind.colour.samples() {
        return Err(kind.unknown("JPEG-compressed pixels with more samples or other than 8 bits"));
    }
    if kind.planar && kind.samples > 1 {
        return Err(kind.unknown("JPEG-compressed pixels in planes"));
    }
    check_chunks(reader, kind, (width, height))?;
    let mut list = |strips, tiles| match reader.find_tag_unsigned_vec::<u64>(strips) {
        Ok(Some(list)) => Ok(list),
        Ok(None) => reader.get_tag_u64_vec(tiles),
        Err(error) => Err(error),
    };
    let offsets = list(Tag::StripOffsets, Tag::TileOffsets).map_err(ImageIoError::of_tiff)?;
    let lengths = list(Tag::StripByteCounts, Tag::TileByteCounts).map_err(ImageIoError::of_tiff)?;
    let tables = match reader
        .find_tag(Tag::JPEGTables)
        .map_err(ImageIoError::of_tiff)?
    {
        Some(value) => value.into_u8_vec().map_err(ImageIoError::of_tiff)?,
        None => Vec::new(),
    };
    // They begin and end as a JPEG does.
    let tables = tables
        .strip_prefix(b"\xff\xd8")
        .and_then(|tables| tables.strip_suffix(b"\xff\xd9"))
        .unwrap_or(&[]);

    let (chunk_width, chunk_height) = reader.chunk_dimensions();
    let across = width.div_ceil(chunk_width);
    let mut rgb = vec![0; width as usize * height as usize * 3];
    let (mut jpeg, mut pixels, mut decoder) = (Vec::new(), Vec::new(), Decoder::new());
    for (index, (&offset, &length)) in offsets.iter().zip(&lengths).enumerate() {
        let data = usize::try_from(offset).ok().and_then(|start| {
            let end = start.checked_add(usize::try_from(length).ok()?)?;
            bytes.get(start..end)?.strip_prefix(b"\xff\xd8")
        });
        let Some(data) = data else {
            return Err(JpegError::Truncated.into());
        };
        jpeg.clear();
        jpeg.extend_from_slice(b"\xff\xd8");
        jpeg.extend_from_slice(tables);
        if let Some(transform) = transform {
            jpeg.extend_from_slice(&ADOBE);
            jpeg.push(transform);
        }
        jpeg.extend_from_slice(data);
        let (part_width, part_height) =
            decoder.decode(&jpeg, MAX_PIXELS, EndMarker::Optional, &mut pixels)?;

        let index = index as u32;
        let (left, top) = (index % across * chunk_width, index / across * chunk_height);
        let (needed_width, needed_height) = (
            chunk_width.min(width - left),
            chunk_height.min(height - top),
        );
        if part_width < needed_width || part_height < needed_height {
            let what = format!(
                "a JPEG of {part_width}x{part_height} pixels for a part of {needed_width}x{needed_height}"
            );
            return Err(kind.unknown(&what));
        }
        let rows = pixels.chunks_exact(3 * part_width as usize);
        for (y, row) in rows.take(needed_height as usize).enumerate() {
            let start = 3 * ((top as usize + y) * width as usize + left as usize);
            let bytes = 3 * needed_width as usize;
            rgb[start..start + bytes].copy_from_slice(&row[..bytes]);
        }
    }
    Ok(rgb)
}
