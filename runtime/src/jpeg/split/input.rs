//! A byte stream that can be read again from a little before: what a broken picture swallowed is searched
//! for the pictures in it.

use std::io::{self, BufRead};

use super::piece::MAX_FRAME_BYTES;

/// How many bytes may be read again for each new one. Pictures that swallow pictures that swallow pictures
/// would otherwise cost quadratic time; one that is cut needs a single byte a byte.
const AGAIN: usize = 8;

/// A reader, and what was put back.
#[derive(Debug)]
pub(super) struct Input<R> {
    reader: R,
    /// Bytes consumed, but for those put back.
    offset: u64,
    /// Bytes to be read before the reader's, from `at` on.
    again: Vec<u8>,
    at: usize,
    /// How many bytes [`Input::rewind`] may put back.
    credit: usize,
}

impl<R: BufRead> Input<R> {
    pub(super) fn new(reader: R) -> Self {
        Self {
            reader,
            offset: 0,
            again: Vec::new(),
            at: 0,
            credit: 0,
        }
    }

    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Takes one byte and appends it to `frame`.
    pub(super) fn keep(&mut self, frame: &mut Vec<u8>) -> io::Result<Option<u8>> {
        let byte = self.peek()?;
        if byte.is_some() {
            self.consume(1);
        }
        frame.extend(byte);
        Ok(byte)
    }

    pub(super) fn peek(&mut self) -> io::Result<Option<u8>> {
        Ok(self.fill()?.first().copied())
    }

    /// The next bytes, some at least; none at the end.
    pub(super) fn fill(&mut self) -> io::Result<&[u8]> {
        if self.at < self.again.len() {
            return Ok(self.again.get(self.at..).unwrap_or_default());
        }
        // `fill_buf` does not retry interrupted reads by itself.
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

    /// Consumes `count` of the bytes that `fill` gave.
    pub(super) fn consume(&mut self, count: usize) {
        self.offset += count as u64;
        if self.at < self.again.len() {
            self.at += count;
            return;
        }
        self.again.clear();
        self.again.shrink_to(1 << 16);
        self.at = 0;
        // Bounded, so that a long good stream saves nothing up for a hostile one behind it.
        self.credit = (self.credit + AGAIN * count).min(AGAIN * MAX_FRAME_BYTES);
        self.reader.consume(count);
    }

    /// Puts the last bytes consumed back, a few or such as are put back once.
    pub(super) fn put_back(&mut self, bytes: &[u8]) {
        self.offset -= bytes.len() as u64;
        if let Some(at) = self.at.checked_sub(bytes.len()) {
            // They were put back before, and lie there still.
            self.at = at;
            return;
        }
        let rest = self.again.get(self.at..).unwrap_or_default();
        self.again = [bytes, rest].concat();
        self.at = 0;
    }

    /// Puts the last bytes consumed back, however many, unless that was done too often.
    pub(super) fn rewind(&mut self, bytes: &[u8]) -> bool {
        let Some(credit) = self.credit.checked_sub(bytes.len()) else {
            return false;
        };
        self.credit = credit;
        self.put_back(bytes);
        true
    }
}
