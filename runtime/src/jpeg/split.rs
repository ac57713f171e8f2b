//! Cuts a Motion JPEG stream into JPEGs: pictures one after another, as `rpicam-vid --codec mjpeg` and
//! `ffmpeg -f mjpeg` write them, or with padding or the headers of a multipart body between them. It need
//! not begin with a picture, and pictures need not have an end marker.
//!
//! A picture's end is found by walking its structure, not by looking for the end marker's bytes:
//! those also occur inside segments (an EXIF thumbnail is a whole JPEG). A picture that is cut in its header
//! swallows what follows it. Tables and headers hold no picture's start, so that one there ends the picture
//! at once. An application's segment may hold one; if the picture turns out to be broken, the stream is read
//! again from the first start that it swallowed. A picture found so, or first in a stream that was joined in a
//! header, may be a thumbnail: it is held until [`follow`] tells.
//!
//! No input takes more than linear time: a byte is looked at once as part of a picture or a gap, once more in
//! search of a start if its picture is broken, and once more behind a picture that is held. Reading
//! again is paid for by new bytes ([`input`]), eight for each, and where that does not do, what is left of the
//! swallowed bytes is passed over.

mod follow;
mod gap;
mod input;
mod marker;
mod piece;
mod walk;

use std::io::{self, BufRead};

use follow::Follow;
use gap::Gap;
use input::Input;
pub use piece::{MAX_FRAME_BYTES, Piece};
use piece::{START, begun};
use walk::{Walk, Walker};

/// Reads JPEGs off a byte stream: a Motion JPEG file, a camera's pipe.
#[derive(Debug)]
pub struct JpegSplitter<R> {
    input: Input<R>,
    /// A picture was given up: what follows it up to the next one is its rest.
    in_rest: bool,
    /// Where the last segment ends, or claims to, that may hold anything, in the picture read last.
    claimed: u64,
    /// In such a segment of it another picture began and did not end: a frame that follows, or a broken thumbnail.
    swallows: bool,
    /// [`Self::claimed`] of the last picture that was given up.
    rest_until: u64,
    /// A picture that begins before this offset may be a thumbnail.
    doubt_until: u64,
    /// What the stream begins with, where that is no picture.
    head: Vec<u8>,
}

impl<R: BufRead> JpegSplitter<R> {
    /// One that has read nothing yet.
    pub fn new(reader: R) -> Self {
        Self {
            input: Input::new(reader),
            in_rest: false,
            claimed: 0,
            swallows: false,
            rest_until: 0,
            doubt_until: 0,
            head: Vec::new(),
        }
    }

    /// Where the piece last returned ends, in bytes from the start of the stream.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.input.offset()
    }

    /// The first bytes of a stream that does not begin with a picture.
    #[must_use]
    pub fn head(&self) -> &[u8] {
        &self.head
    }

    /// Reads the next piece; a JPEG is put into `frame`.
    ///
    /// # Errors
    /// If the stream cannot be read.
    pub fn next(&mut self, frame: &mut Vec<u8>) -> io::Result<Piece> {
        let (gap, found) = self.hunt()?;
        if let Some(piece) = gap {
            return Ok(piece);
        }
        if !found {
            return Ok(Piece::End);
        }
        let start = self.offset() - START.len() as u64;
        let in_rest = std::mem::take(&mut self.in_rest);
        let in_claimed = in_rest && start < self.rest_until;
        frame.clear();
        frame.extend_from_slice(&START);
        let mut walker = Walker::new(&mut self.input);
        let (walk, scanned) = walker.walk(frame)?;
        (self.claimed, self.swallows) = (walker.claimed, walker.swallows);
        let reason = match walk {
            Walk::Whole if scanned => return self.whole(frame, start, in_rest),
            Walk::Whole => "a JPEG without image data",
            Walk::Broken(reason) => reason,
            // A start marker written twice.
            Walk::Restarted if frame.len() <= START.len() => {
                self.in_rest = in_rest;
                return Ok(Piece::Between {
                    bytes: frame.len() as u64,
                });
            }
            Walk::Restarted => "a JPEG without an end",
            Walk::Cut => "the stream ends inside a JPEG",
        };
        if scanned && matches!(walk, Walk::Restarted | Walk::Cut) {
            self.doubt_until = 0;
            return Ok(Piece::Unended {
                reason,
                in_rest: in_claimed,
            });
        }
        if matches!(walk, Walk::Broken(_)) {
            // A length that is too small leaves a thumbnail behind what it claims.
            self.doubt_until = self.doubt_until.max(self.offset() + LONGEST_SEGMENT);
        }
        self.rewind(frame, !matches!(walk, Walk::Cut));
        self.in_rest = true;
        let bytes = frame.len() as u64;
        Ok(if in_claimed {
            Piece::Between { bytes }
        } else {
            Piece::Broken { bytes, reason }
        })
    }

    /// Takes back the picture returned last, in `frame`, which cannot be decoded: if it swallowed others, they
    /// come next.
    pub fn reject(&mut self, frame: &mut Vec<u8>) {
        let swallowed = self.rewind(frame, false);
        self.in_rest |= swallowed;
    }

    /// A picture from `start` on that has its end: a frame, or else a thumbnail.
    fn whole(&mut self, frame: &mut Vec<u8>, start: u64, in_rest: bool) -> io::Result<Piece> {
        if start >= self.doubt_until && !self.swallows {
            return Ok(Piece::Jpeg);
        }
        if !self.was_thumbnail()? {
            self.doubt_until = 0;
            return Ok(Piece::Jpeg);
        }
        if self.swallows {
            self.rewind(frame, false);
        }
        self.in_rest = true;
        let bytes = frame.len() as u64;
        Ok(if in_rest {
            Piece::Between { bytes }
        } else if self.swallows {
            Piece::Broken {
                bytes,
                reason: "a JPEG that goes on in the next one's thumbnail",
            }
        } else {
            Piece::Broken {
                bytes,
                reason: "the thumbnail of a picture that began before the stream was joined, and its rest",
            }
        })
    }

    /// Whether what follows a picture shows that it was a thumbnail.
    fn was_thumbnail(&mut self) -> io::Result<bool> {
        let (mut follow, mut ahead) = (Follow::default(), Vec::new());
        let thumbnail = loop {
            let Some(byte) = self.input.keep(&mut ahead)? else {
                break false;
            };
            if let Some(thumbnail) = follow.take(byte) {
                break thumbnail;
            }
        };
        self.input.put_back(&ahead);
        Ok(thumbnail)
    }

    /// Cuts `frame`, the bytes read last, off where another picture begins in it, or with `partly` may
    /// begin, and has the stream read again from there.
    fn rewind(&mut self, frame: &mut Vec<u8>, partly: bool) -> bool {
        self.rest_until = self.claimed;
        self.doubt_until = self.doubt_until.max(self.claimed);
        let own = START.len() - 1;
        let behind = frame.get(own..).unwrap_or_default();
        let whole = behind.windows(START.len()).position(|at| at == START);
        let part = || Some(behind.len() - begun(behind)).filter(|_| partly);
        let Some(at) = whole.or_else(part).map(|at| at + own) else {
            return false;
        };
        let again = frame.get(at..).unwrap_or_default();
        if !self.input.rewind(again) {
            return false;
        }
        frame.truncate(at);
        true
    }

    /// Looks for a picture's start. What came before it, or else whether it was found and is consumed.
    fn hunt(&mut self) -> io::Result<(Option<Piece>, bool)> {
        let mut gap = Gap::new(self.offset() == 0);
        loop {
            let available = self.input.fill()?;
            if available.is_empty() {
                break;
            }
            let room = MAX_FRAME_BYTES.saturating_sub(gap.bytes as usize);
            let count = gap.take(available.get(..room).unwrap_or(available));
            self.input.consume(count);
            // Returning now and then lets the caller give up on a stream that never makes sense.
            // A start cut in two just here costs its picture.
            if gap.found || gap.bytes >= MAX_FRAME_BYTES as u64 {
                break;
            }
        }
        let piece = gap.piece(self.in_rest);
        if gap.in_header() {
            self.doubt_until = u64::MAX;
        }
        self.head.append(&mut gap.head);
        if piece.is_some() && gap.found {
            self.input.put_back(&START);
        }
        Ok((piece, gap.found))
    }
}

/// The longest that a segment's length can claim.
const LONGEST_SEGMENT: u64 = 0xffff;

#[cfg(test)]
mod tests;
