//! The samples of a TIFF as plain numbers, whatever they mean.

use std::io::{self, Read, Seek, SeekFrom};

use tiff::tags::Tag;

use super::{ImageIoError, Kind, Reader};
use crate::image_io::MAX_DECODED;
use crate::image_io::colour::high_byte;

/// The tag that says what the samples mean.
const PHOTOMETRIC: u16 = 262;
/// What is read instead of its value: BlackIsZero, grey levels.
const GREY: u16 = 1;

/// A TIFF file in which every picture's first directory says that its samples are grey levels.
pub(super) struct AsNumbers<'a> {
    bytes: &'a [u8],
    position: u64,
    /// Where the value of the tag lies, what it was, and the bytes to show instead.
    entry: Option<(usize, u16, [u8; 2])>,
}

impl<'a> AsNumbers<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            position: 0,
            entry: find(bytes),
        }
    }

    /// What the file really says.
    pub(super) fn photometric(&self) -> Option<u16> {
        self.entry.map(|(_, value, _)| value)
    }
}

/// Finds the tag's 16-bit value in the first directory.
fn find(bytes: &[u8]) -> Option<(usize, u16, [u8; 2])> {
    let little = bytes.first()? == &b'I';
    let number = |at: usize, size: usize| -> Option<u64> {
        let bytes = bytes.get(at..at.checked_add(size)?)?;
        let join = |value: u64, &byte: &u8| value << 8 | u64::from(byte);
        Some(match little {
            true => bytes.iter().rev().fold(0, join),
            false => bytes.iter().fold(0, join),
        })
    };
    let big = number(2, 2)? == 43;
    let (start, count_size, entry_size, value_at) = match big {
        true => (number(8, 8)?, 8, 20, 12),
        false => (number(4, 4)?, 2, 12, 8),
    };
    let start = usize::try_from(start).ok()?;
    let entries = number(start, count_size)?.min(65_536) as usize;
    (0..entries).find_map(|index| {
        let entry = start.checked_add(count_size + index * entry_size)?;
        let is_it = number(entry, 2)? == u64::from(PHOTOMETRIC) && number(entry + 2, 2)? == 3;
        is_it.then_some(())?;
        let shown = match little {
            true => GREY.to_le_bytes(),
            false => GREY.to_be_bytes(),
        };
        Some((entry + value_at, number(entry + value_at, 2)? as u16, shown))
    })
}

impl Read for AsNumbers<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let start = usize::try_from(self.position).unwrap_or(usize::MAX);
        let rest = self.bytes.get(start..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        if let Some((at, _, shown)) = self.entry {
            for (offset, byte) in shown.into_iter().enumerate() {
                if (start..start + count).contains(&(at + offset)) {
                    buffer[at + offset - start] = byte;
                }
            }
        }
        self.position += count as u64;
        Ok(count)
    }
}

impl Seek for AsNumbers<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
            SeekFrom::End(offset) => (self.bytes.len() as u64).checked_add_signed(offset),
        };
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

/// All samples of a picture, unpacked from strips and tiles.
pub(super) struct Samples {
    bytes: Vec<u8>,
    width: usize,
    bits: u8,
    /// Of a pixel.
    samples: usize,
    row_bytes: usize,
    /// From one plane to the next; `None` if a pixel's samples lie together.
    plane_bytes: Option<usize>,
    reversed: bool,
}

impl Samples {
    pub(super) fn read(
        reader: &mut Reader<'_>,
        kind: &Kind,
        (width, height): (u32, u32),
    ) -> Result<Self, ImageIoError> {
        check_chunks(reader, kind, (width, height))?;
        let (width, height) = (width as usize, height as usize);
        let (samples_of_row, planes) = match kind.planar {
            true => (1, kind.samples),
            false => (kind.samples, 1),
        };
        let row_bytes = (width * samples_of_row * usize::from(kind.bits)).div_ceil(8);
        let plane_bytes = row_bytes * height;
        if (plane_bytes * planes) as u64 > MAX_DECODED {
            return Err(kind.unknown("more than 256 MiB of samples"));
        }
        // Chunk by chunk: the crate's own way through the whole picture trusts its list of chunks.
        let (across, down) = reader.chunk_dimensions();
        let (across, down) = (across as usize, down as usize);
        let (columns, rows) = (width.div_ceil(across), height.div_ceil(down));
        let pixel_bits = samples_of_row * usize::from(kind.bits);
        // The crate takes the tiles of all planes but the first for others.
        if kind.planar
            && reader
                .find_tag(Tag::TileOffsets)
                .map_err(ImageIoError::of_tiff)?
                .is_some()
        {
            return Err(kind.unknown("tiles in planes"));
        }
        if columns > 1 && !(across * pixel_bits).is_multiple_of(8) {
            return Err(kind.unknown("tiles that end within a byte"));
        }
        let mut bytes = vec![0; plane_bytes * planes];
        let mut chunk = Vec::new();
        for index in 0..columns * rows * planes {
            let (plane, place) = (index / (columns * rows), index % (columns * rows));
            let (left, top) = (place % columns * across, place / columns * down);
            let lines = down.min(height - top);
            let line_bytes = (across.min(width - left) * pixel_bits).div_ceil(8);
            // The count was checked to fit 32 bits by the list of chunks.
            let layout = reader
                .image_chunk_buffer_layout(index as u32)
                .map_err(ImageIoError::of_tiff)?;
            if layout.len != line_bytes * lines {
                return Err(kind.unknown("samples that its tags disagree about"));
            }
            chunk.resize(layout.len, 0);
            reader
                .read_chunk_bytes(index as u32, &mut chunk)
                .map_err(ImageIoError::of_tiff)?;
            for (y, line) in chunk.chunks_exact(line_bytes).enumerate() {
                let start = plane * plane_bytes + (top + y) * row_bytes + left * pixel_bits / 8;
                bytes[start..start + line_bytes].copy_from_slice(line);
            }
        }
        Ok(Self {
            bytes,
            width,
            bits: kind.bits,
            samples: kind.samples,
            row_bytes,
            plane_bytes: kind.planar.then_some(plane_bytes),
            reversed: kind.reversed,
        })
    }

    /// Puts a row's samples into `row`, a byte each, pixel by pixel: the high byte of 16 bits.
    pub(super) fn row(&self, y: usize, row: &mut Vec<u8>) {
        row.clear();
        let line = |plane: usize| {
            let start = plane * self.plane_bytes.unwrap_or(0) + y * self.row_bytes;
            &self.bytes[start..start + self.row_bytes]
        };
        if self.plane_bytes.is_none() {
            row.extend(self.unpacked(line(0), self.width * self.samples));
            return;
        }
        row.resize(self.width * self.samples, 0);
        for plane in 0..self.samples {
            let places = row.iter_mut().skip(plane).step_by(self.samples);
            for (place, sample) in places.zip(self.unpacked(line(plane), self.width)) {
                *place = sample;
            }
        }
    }

    fn unpacked(&self, line: &[u8], count: usize) -> impl Iterator<Item = u8> {
        let bits = usize::from(self.bits);
        (0..count).map(move |index| {
            let byte = |at: usize| match self.reversed {
                true => line[at].reverse_bits(),
                false => line[at],
            };
            match bits {
                8 => byte(index),
                16 => high_byte(u16::from_ne_bytes([byte(2 * index), byte(2 * index + 1)])),
                _ => {
                    let per_byte = 8 / bits;
                    let shift = 8 - bits * (index % per_byte + 1);
                    byte(index / per_byte) >> shift & ((1 << bits) - 1)
                }
            }
        })
    }
}

/// Refuses a file that lists another number of strips or tiles than the picture has.
pub(super) fn check_chunks(
    reader: &mut Reader<'_>,
    kind: &Kind,
    (width, height): (u32, u32),
) -> Result<(), ImageIoError> {
    let (across, down) = reader.chunk_dimensions();
    if across == 0 || down == 0 {
        return Err(kind.unknown("strips or tiles without pixels"));
    }
    let planes = if kind.planar { kind.samples as u64 } else { 1 };
    let chunks = u64::from(width.div_ceil(across)) * u64::from(height.div_ceil(down)) * planes;
    for (strips, tiles) in [
        (Tag::StripOffsets, Tag::TileOffsets),
        (Tag::StripByteCounts, Tag::TileByteCounts),
    ] {
        let listed = match reader
            .find_tag_unsigned_vec::<u64>(strips)
            .map_err(ImageIoError::of_tiff)?
        {
            Some(list) => list,
            None => reader
                .get_tag_u64_vec(tiles)
                .map_err(ImageIoError::of_tiff)?,
        };
        if listed.len() as u64 != chunks {
            let what = format!("{} strips or tiles, {chunks} needed", listed.len());
            return Err(kind.unknown(&what));
        }
    }
    Ok(())
}
