//! Cuts a Motion JPEG stream into JPEGs: pictures one after another, as `rpicam-vid --codec mjpeg` and
//! `ffmpeg -f mjpeg` write them, or with padding or the headers of a multipart body between them. It need
//! not begin with a picture, and pictures need not have an end marker.
//!
//! A picture's end is found by walking its structure, not by looking for the end marker's bytes:
//! those also occur inside segments (an EXIF thumbnail is a whole JPEG). Every byte is looked at once,
//! so that no input takes more than linear time; the price is that a damaged length of an application's
//! segment may swallow up to 64 KiB of the pictures behind it.

mod gap;
mod marker;

use std::io::{self, BufRead};

use gap::Gap;
use marker::{EOI, SOI, SOS, TEM, ends_scan, longest_segment};

/// The largest JPEG accepted, in bytes. It bounds what a stream without an end marker can claim.
pub(super) const MAX_FRAME_BYTES: usize = 16 << 20;

/// How a picture begins: its start marker, and the first byte of the segment that must follow.
const START: [u8; 3] = [0xff, SOI, 0xff];

/// What the next stretch of the stream is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    /// The buffer holds one JPEG, from its start marker to its end marker.
    Jpeg,
    /// The buffer holds a JPEG without an end marker: another picture begins behind its scan, or the
    /// stream ends, for `reason`. It may be complete, or cut; what was between it and the next
    /// picture is at its end.
    Unended { reason: &'static str },
    /// This many bytes lie between pictures, and none was lost with them.
    Between { bytes: u64 },
    /// This many bytes are what is left of a picture.
    Broken { bytes: u64, reason: &'static str },
    /// The stream is over.
    End,
}

/// Where a picture's walk stands.
enum Walk {
    /// The end marker was reached.
    Whole,
    /// It cannot be one.
    Broken(&'static str),
    /// Another picture's [`START`], which is consumed, came first.
    Restarted,
    /// The stream ended first.
    Cut,
}

/// What follows a stretch of a picture.
enum Next {
    /// The marker of this code.
    Marker(u8),
    /// Nothing that continues the picture.
    Over(Walk),
}

/// Reads JPEGs off a byte stream.
pub(super) struct JpegSplitter<R> {
    reader: R,
    /// Bytes consumed.
    offset: u64,
    /// The [`START`] of the next picture was consumed.
    started: bool,
    /// A picture was given up: what follows it up to the next one is its rest.
    in_rest: bool,
    /// What the stream begins with, where that is no picture.
    head: Vec<u8>,
}

impl<R: BufRead> JpegSplitter<R> {
    pub(super) fn new(reader: R) -> Self {
        Self {
            reader,
            offset: 0,
            started: false,
            in_rest: false,
            head: Vec::new(),
        }
    }

    /// Where the piece last returned ends, in bytes from the start of the stream.
    pub(super) fn offset(&self) -> u64 {
        // The next picture's start is consumed already.
        self.offset - if self.started { START.len() as u64 } else { 0 }
    }

    /// The first bytes of a stream that does not begin with a picture.
    pub(super) fn head(&self) -> &[u8] {
        &self.head
    }

    /// Reads the next piece; a JPEG is put into `frame`.
    pub(super) fn next(&mut self, frame: &mut Vec<u8>) -> io::Result<Piece> {
        if !self.started {
            let (gap, found) = self.hunt()?;
            self.started = found;
            if let Some(piece) = gap {
                return Ok(piece);
            }
            if !found {
                return Ok(Piece::End);
            }
        }
        self.started = false;
        self.in_rest = false;
        frame.clear();
        frame.extend_from_slice(&START);
        let (walk, scanned) = self.walk(frame)?;
        let reason = match walk {
            Walk::Whole => return Ok(Piece::Jpeg),
            Walk::Broken(reason) => {
                self.in_rest = true;
                reason
            }
            Walk::Restarted => {
                frame.truncate(frame.len() - START.len());
                self.started = true;
                "a JPEG without an end"
            }
            Walk::Cut => "the stream ends inside a JPEG",
        };
        Ok(match walk {
            Walk::Restarted | Walk::Cut if scanned => Piece::Unended { reason },
            // A start marker written twice.
            Walk::Restarted if frame.len() <= START.len() => Piece::Between {
                bytes: frame.len() as u64,
            },
            _ => Piece::Broken {
                bytes: frame.len() as u64,
                reason,
            },
        })
    }

    /// Looks for a picture's start and consumes it. What came before it, and whether there was one.
    fn hunt(&mut self) -> io::Result<(Option<Piece>, bool)> {
        let mut gap = Gap::new(self.offset == 0);
        loop {
            let available = self.fill()?;
            if available.is_empty() {
                break;
            }
            let room = MAX_FRAME_BYTES.saturating_sub(gap.bytes as usize);
            let count = gap.take(available.get(..room).unwrap_or(available));
            self.consume(count);
            // Returning now and then lets the caller give up on a stream that never makes sense.
            // A start cut in two just here costs its picture.
            if gap.found || gap.bytes >= MAX_FRAME_BYTES as u64 {
                break;
            }
        }
        let piece = gap.piece(self.in_rest);
        self.head.append(&mut gap.head);
        Ok((piece, gap.found))
    }

    /// Walks one picture's segments and scans, from behind its [`START`], and copies them to `frame`.
    /// How that ended, and whether a scan had begun.
    fn walk(&mut self, frame: &mut Vec<u8>) -> io::Result<(Walk, bool)> {
        let mut scanned = false;
        // Here 0xff was just kept.
        let mut next = self.code(frame)?;
        loop {
            let code = match next {
                Next::Marker(code) => code,
                Next::Over(walk) => return Ok((walk, scanned)),
            };
            match code {
                EOI => return Ok((Walk::Whole, scanned)),
                SOI => return Ok((self.restart(frame)?, scanned)),
                TEM => {}
                code => {
                    if let Some(walk) = self.segment(code, frame)? {
                        return Ok((walk, scanned));
                    }
                }
            }
            scanned |= code == SOS;
            next = if scanned {
                self.scan(frame)?
            } else {
                self.marker(frame)?
            };
        }
    }

    /// Copies the code of a marker, whose 0xff was just kept; any number of them may precede it.
    fn code(&mut self, frame: &mut Vec<u8>) -> io::Result<Next> {
        loop {
            if frame.len() >= MAX_FRAME_BYTES {
                return Ok(Next::Over(Walk::Broken(TOO_LONG)));
            }
            match self.keep(frame)? {
                None => return Ok(Next::Over(Walk::Cut)),
                Some(0xff) => {}
                Some(code) => return Ok(Next::Marker(code)),
            }
        }
    }

    /// Copies the marker that must follow a segment before the first scan.
    fn marker(&mut self, frame: &mut Vec<u8>) -> io::Result<Next> {
        match self.keep(frame)? {
            Some(0xff) => self.code(frame),
            Some(_) => Ok(Next::Over(Walk::Broken(
                "data where a segment should begin",
            ))),
            None => Ok(Next::Over(Walk::Cut)),
        }
    }

    /// After a start marker inside a picture: whether it begins another one.
    fn restart(&mut self, frame: &mut Vec<u8>) -> io::Result<Walk> {
        Ok(match self.keep(frame)? {
            Some(0xff) => Walk::Restarted,
            Some(_) => Walk::Broken("a start marker that no segment follows"),
            None => Walk::Cut,
        })
    }

    /// Copies a segment's length and content. `Some` if that ends the walk.
    fn segment(&mut self, code: u8, frame: &mut Vec<u8>) -> io::Result<Option<Walk>> {
        let Some(longest) = longest_segment(code) else {
            return Ok(Some(Walk::Broken("data where a segment should begin")));
        };
        let (Some(high), Some(low)) = (self.keep(frame)?, self.keep(frame)?) else {
            return Ok(Some(Walk::Cut));
        };
        let length = usize::from(u16::from_be_bytes([high, low]));
        // A damaged length must not swallow the pictures that follow.
        if length < 2 || length > longest {
            return Ok(Some(Walk::Broken("a segment of an impossible length")));
        }
        let mut left = length - 2;
        if frame.len() + left > MAX_FRAME_BYTES {
            return Ok(Some(Walk::Broken(TOO_LONG)));
        }
        while left > 0 {
            let available = self.fill()?;
            if available.is_empty() {
                return Ok(Some(Walk::Cut));
            }
            let part = available.get(..left).unwrap_or(available);
            frame.extend_from_slice(part);
            let count = part.len();
            self.consume(count);
            left -= count;
        }
        Ok(None)
    }

    /// Copies entropy-coded data up to and with the marker that ends it. Whatever else looks like a marker
    /// there (stray bytes, damage) stays in: the decoder judges it, and the end is found all the same.
    fn scan(&mut self, frame: &mut Vec<u8>) -> io::Result<Next> {
        loop {
            let available = self.fill()?;
            if available.is_empty() {
                return Ok(Next::Over(Walk::Cut));
            }
            let ff = available.iter().position(|&byte| byte == 0xff);
            let count = ff.map_or(available.len(), |at| at + 1);
            let part = available.get(..count).unwrap_or(available);
            if frame.len() + part.len() > MAX_FRAME_BYTES {
                return Ok(Next::Over(Walk::Broken(TOO_LONG)));
            }
            frame.extend_from_slice(part);
            self.consume(count);
            if ff.is_none() {
                continue;
            }
            match self.code(frame)? {
                // Another picture, if a segment follows.
                Next::Marker(SOI) if self.peek()? != Some(0xff) => {}
                Next::Marker(code) if ends_scan(code) => return Ok(Next::Marker(code)),
                // A stuffed 0xff, a restart marker, or none at all.
                Next::Marker(_) => {}
                over => return Ok(over),
            }
        }
    }

    /// Takes one byte and appends it to `frame`.
    fn keep(&mut self, frame: &mut Vec<u8>) -> io::Result<Option<u8>> {
        let byte = self.peek()?;
        if byte.is_some() {
            self.consume(1);
        }
        frame.extend(byte);
        Ok(byte)
    }

    fn peek(&mut self) -> io::Result<Option<u8>> {
        Ok(self.fill()?.first().copied())
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

const TOO_LONG: &str = "no end of the JPEG within 16 MiB";

#[cfg(test)]
#[path = "jpeg_split/tests.rs"]
mod tests;
