//! Cuts a Motion JPEG elementary stream into JPEGs, as `rpicam-vid --codec mjpeg -o -` and
//! `ffmpeg -f mjpeg` write it: pictures one after another, nothing between them.
//!
//! A picture's end is found by walking its structure, not by looking for the end marker's bytes:
//! those also occur inside segments (an EXIF thumbnail is a whole JPEG). Every byte is looked at once,
//! so that no input takes more than linear time; the price is that a damaged segment length may
//! swallow up to 64 KiB of the pictures behind it.

use std::io::{self, BufRead};

/// The largest JPEG accepted, in bytes. It bounds what a stream without an end marker can claim.
pub(super) const MAX_FRAME_BYTES: usize = 16 << 20;

const SOI: u8 = 0xd8;
const EOI: u8 = 0xd9;
const SOS: u8 = 0xda;

/// What the next stretch of the stream is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    /// The buffer holds one JPEG, from its start marker to its end marker.
    Jpeg,
    /// This many bytes belong to no whole picture.
    Garbage { bytes: u64, reason: &'static str },
    /// The stream is over.
    End,
}

/// Why a picture was given up.
type Broken = &'static str;

/// Where a picture's walk stands.
enum Walk {
    /// The end marker was reached.
    Whole,
    Broken(Broken),
    /// Another start marker came before the end marker; its two bytes are consumed.
    Restarted(Broken),
}

/// Reads JPEGs off a byte stream.
pub(super) struct JpegSplitter<R> {
    reader: R,
    /// Bytes consumed.
    offset: u64,
    /// A start marker was consumed that begins the next picture.
    started: bool,
}

impl<R: BufRead> JpegSplitter<R> {
    pub(super) fn new(reader: R) -> Self {
        Self {
            reader,
            offset: 0,
            started: false,
        }
    }

    /// Where the piece last returned ends, in bytes from the start of the stream.
    pub(super) fn offset(&self) -> u64 {
        // The next picture's start marker is consumed already.
        self.offset - if self.started { 2 } else { 0 }
    }

    /// Reads the next piece; a JPEG is put into `frame`.
    pub(super) fn next(&mut self, frame: &mut Vec<u8>) -> io::Result<Piece> {
        if !std::mem::take(&mut self.started) {
            let (found, bytes) = self.hunt()?;
            self.started = found;
            if bytes > 0 {
                let reason = "bytes that belong to no JPEG";
                return Ok(Piece::Garbage { bytes, reason });
            }
            if !std::mem::take(&mut self.started) {
                return Ok(Piece::End);
            }
        }
        frame.clear();
        frame.extend_from_slice(&[0xff, SOI]);
        let walk = self.walk(frame)?;
        Ok(match walk {
            Walk::Whole => Piece::Jpeg,
            Walk::Broken(reason) => Piece::Garbage {
                bytes: frame.len() as u64,
                reason,
            },
            Walk::Restarted(reason) => {
                self.started = true;
                Piece::Garbage {
                    bytes: frame.len() as u64,
                    reason,
                }
            }
        })
    }

    /// Looks for a start marker and consumes it. Whether there was one, and the bytes before it.
    fn hunt(&mut self) -> io::Result<(bool, u64)> {
        let mut bytes = 0;
        let mut after_ff = false;
        while let Some(byte) = self.byte()? {
            bytes += 1;
            if after_ff && byte == SOI {
                return Ok((true, bytes - 2));
            }
            after_ff = byte == 0xff;
            // Returning now and then lets the caller give up on a stream that never makes sense.
            // A start marker cut in two just here costs its picture.
            if bytes >= MAX_FRAME_BYTES as u64 {
                break;
            }
        }
        Ok((false, bytes))
    }

    /// Walks one picture's segments and scans, from behind its start marker, and copies them to `frame`.
    fn walk(&mut self, frame: &mut Vec<u8>) -> io::Result<Walk> {
        let Some(byte) = self.keep(frame)? else {
            return Ok(Walk::Broken(CUT));
        };
        if byte != 0xff {
            return Ok(Walk::Broken("a start marker that no segment follows"));
        }
        loop {
            if frame.len() >= MAX_FRAME_BYTES {
                return Ok(Walk::Broken(TOO_LONG));
            }
            // Here 0xff was just kept; any number of them may precede the marker's code.
            let Some(code) = self.keep(frame)? else {
                return Ok(Walk::Broken(CUT));
            };
            match code {
                0xff => continue,
                EOI => return Ok(Walk::Whole),
                SOI => {
                    frame.truncate(frame.len() - 2);
                    return Ok(Walk::Restarted("a JPEG without an end"));
                }
                0x00 => return Ok(Walk::Broken("data where a segment should begin")),
                // TEM and restart markers stand alone.
                0x01 | 0xd0..=0xd7 => {}
                _ => {
                    if let Err(reason) = self.segment(frame)? {
                        return Ok(Walk::Broken(reason));
                    }
                }
            }
            let scan = code == SOS || matches!(code, 0xd0..=0xd7);
            let next = if scan {
                self.scan(frame)?
            } else {
                self.marker(frame)?
            };
            if let Err(reason) = next {
                return Ok(Walk::Broken(reason));
            }
        }
    }

    /// Copies a segment's length and content.
    fn segment(&mut self, frame: &mut Vec<u8>) -> io::Result<Result<(), Broken>> {
        let (Some(high), Some(low)) = (self.keep(frame)?, self.keep(frame)?) else {
            return Ok(Err(CUT));
        };
        let Some(mut left) = usize::from(u16::from_be_bytes([high, low])).checked_sub(2) else {
            return Ok(Err("a segment shorter than its own length"));
        };
        if frame.len() + left > MAX_FRAME_BYTES {
            return Ok(Err(TOO_LONG));
        }
        while left > 0 {
            let available = self.fill()?;
            if available.is_empty() {
                return Ok(Err(CUT));
            }
            let part = available.get(..left).unwrap_or(available);
            frame.extend_from_slice(part);
            let count = part.len();
            self.consume(count);
            left -= count;
        }
        Ok(Ok(()))
    }

    /// Copies the 0xff that must follow a segment.
    fn marker(&mut self, frame: &mut Vec<u8>) -> io::Result<Result<(), Broken>> {
        Ok(match self.keep(frame)? {
            Some(0xff) => Ok(()),
            Some(_) => Err("data where a segment should begin"),
            None => Err(CUT),
        })
    }

    /// Copies entropy-coded data up to and with the 0xff of the marker that ends it.
    /// A 0xff in the data is followed by 0x00; the caller sees restart markers one by one.
    fn scan(&mut self, frame: &mut Vec<u8>) -> io::Result<Result<(), Broken>> {
        loop {
            let available = self.fill()?;
            if available.is_empty() {
                return Ok(Err(CUT));
            }
            let ff = available.iter().position(|&byte| byte == 0xff);
            let count = ff.map_or(available.len(), |at| at + 1);
            let part = available.get(..count).unwrap_or(available);
            if frame.len() + part.len() > MAX_FRAME_BYTES {
                return Ok(Err(TOO_LONG));
            }
            frame.extend_from_slice(part);
            self.consume(count);
            if ff.is_some() {
                match self.fill()?.first() {
                    Some(0x00) => {
                        frame.push(0x00);
                        self.consume(1);
                    }
                    Some(_) => return Ok(Ok(())),
                    None => return Ok(Err(CUT)),
                }
            }
        }
    }

    /// Takes one byte and appends it to `frame`.
    fn keep(&mut self, frame: &mut Vec<u8>) -> io::Result<Option<u8>> {
        let byte = self.byte()?;
        frame.extend(byte);
        Ok(byte)
    }

    fn byte(&mut self) -> io::Result<Option<u8>> {
        let byte = self.fill()?.first().copied();
        if byte.is_some() {
            self.consume(1);
        }
        Ok(byte)
    }

    /// `fill_buf`, which does not retry interrupted reads by itself.
    fn fill(&mut self) -> io::Result<&[u8]> {
        loop {
            match self.reader.fill_buf() {
                Ok([]) => return Ok(&[]),
                Ok(_) => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        // Filled already: this only hands the bytes out (the borrow checker wants it in two steps).
        self.reader.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        self.reader.consume(count);
        self.offset += count as u64;
    }
}

const CUT: Broken = "the stream ends inside a JPEG";
const TOO_LONG: Broken = "no end of the JPEG within 16 MiB";

#[cfg(test)]
#[path = "jpeg_split/tests.rs"]
mod tests;
