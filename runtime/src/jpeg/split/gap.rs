//! What lies between two pictures of a stream: padding, line ends, the headers of a multipart body. Of no
//! account, unless a picture that lost its beginning is among it.

use super::marker::{EOI, SOI, SOS};
use super::piece::{MAX_FRAME_BYTES, Piece};

/// What is kept of a stream's beginning, for the message that it is none.
const HEAD_BYTES: usize = 32;

/// The bytes seen so far.
#[derive(Debug)]
pub(super) struct Gap {
    /// How many, without the start of the picture that ends it.
    pub(super) bytes: u64,
    /// A picture's start was seen.
    pub(super) found: bool,
    /// The stream begins with it.
    at_start: bool,
    /// Then, its first bytes.
    pub(super) head: Vec<u8>,
    /// The last eight of them.
    tail: u64,
    /// How many of them are no text.
    binary: u64,
    /// Among them was the header of a scan, or the end of one whose beginning nobody saw.
    headless: bool,
}

impl Gap {
    pub(super) fn new(at_start: bool) -> Self {
        Self {
            bytes: 0,
            found: false,
            at_start,
            head: Vec::new(),
            tail: 0,
            binary: 0,
            headless: false,
        }
    }

    /// Looks at `bytes` up to the start of a picture; how many that are, the start included.
    pub(super) fn take(&mut self, bytes: &[u8]) -> usize {
        if self.at_start {
            let room = HEAD_BYTES.saturating_sub(self.head.len());
            self.head.extend(bytes.iter().take(room));
        }
        for (at, &byte) in bytes.iter().enumerate() {
            self.tail = self.tail << 8 | u64::from(byte);
            self.binary += u64::from(!matches!(byte, b' '..=b'~' | b'\r' | b'\n' | b'\t'));
            match self.tail.to_be_bytes() {
                [.., 0xff, SOI, 0xff] => {
                    // Its own three bytes are seen and not counted.
                    self.bytes = (self.bytes + at as u64 + 1).saturating_sub(3);
                    self.found = true;
                    return at + 1;
                }
                // A scan header of one to four components: by chance once in a gigabyte.
                [.., 0xff, SOS, 0, 8 | 10 | 12 | 14] => self.headless = true,
                // Padding may hold such bytes (a camera's buffer with the last picture's end in it), but
                // nothing precedes a stream that was joined in its middle.
                [.., 0xff, EOI] if self.at_start => self.headless = true,
                _ => {}
            }
        }
        self.bytes += bytes.len() as u64;
        bytes.len()
    }

    /// Whether the stream may have been joined in a picture's header, so that the picture found may be the
    /// thumbnail in it. Not so behind the rest of a scan, or behind the headers of a multipart body: text
    /// that ends in an empty line.
    pub(super) fn in_header(&self) -> bool {
        let headers = self.binary == 3
            && matches!(
                self.tail.to_be_bytes(),
                [.., b'\n', b'\n', _, _, _] | [.., b'\n', b'\r', b'\n', _, _, _]
            );
        self.at_start && self.found && self.bytes > 0 && !self.headless && !headers
    }

    /// What it is, if it is anything. `rest`: a picture before it was given up and reported.
    pub(super) fn piece(&self, rest: bool) -> Option<Piece> {
        let bytes = self.bytes;
        Some(match (self.headless && !rest, self.at_start) {
            _ if bytes == 0 => return None,
            (true, true) => Piece::Broken {
                bytes,
                reason: "the rest of a picture that began before the stream was joined",
            },
            (true, false) => Piece::Broken {
                bytes,
                reason: "a JPEG without its beginning",
            },
            _ if bytes >= MAX_FRAME_BYTES as u64 => Piece::Broken {
                bytes,
                reason: "no JPEG within 16 MiB",
            },
            _ => Piece::Between { bytes },
        })
    }
}
