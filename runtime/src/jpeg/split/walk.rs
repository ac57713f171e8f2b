//! Walks one picture's structure, segment by segment and scan by scan, to its end or to what shows that it
//! is broken.

use std::io::{self, BufRead};

use super::input::Input;
use super::marker::{EOI, SOI, SOS, TEM, ends_scan, holds_anything, longest_segment};
use super::piece::{MAX_FRAME_BYTES, START, begun};

const TOO_LONG: &str = "no end of the JPEG within 16 MiB";

/// Where a picture's walk stands.
pub(super) enum Walk {
    /// The end marker was reached.
    Whole,
    /// It cannot be one.
    Broken(&'static str),
    /// Another picture's [`START`] came first, which is put back.
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

/// Walks a picture.
pub(super) struct Walker<'a, R> {
    input: &'a mut Input<R>,
    /// Where the last segment ends, or claims to, that may hold anything.
    pub(super) claimed: u64,
    /// In such a segment another picture began and did not end: a frame that follows, or a broken thumbnail.
    pub(super) swallows: bool,
}

impl<'a, R: BufRead> Walker<'a, R> {
    /// At a picture whose [`START`] was just taken.
    pub(super) fn new(input: &'a mut Input<R>) -> Self {
        Self {
            input,
            claimed: 0,
            swallows: false,
        }
    }

    /// Walks one picture's segments and scans, from behind its [`START`], and copies them to `frame`.
    /// How that ended, and whether a scan had begun.
    pub(super) fn walk(&mut self, frame: &mut Vec<u8>) -> io::Result<(Walk, bool)> {
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
            match self.input.keep(frame)? {
                None => return Ok(Next::Over(Walk::Cut)),
                Some(0xff) => {}
                Some(code) => return Ok(Next::Marker(code)),
            }
        }
    }

    /// Copies the marker that must follow a segment before the first scan.
    fn marker(&mut self, frame: &mut Vec<u8>) -> io::Result<Next> {
        match self.input.keep(frame)? {
            Some(0xff) => self.code(frame),
            Some(_) => Ok(Next::Over(Walk::Broken(
                "data where a segment should begin",
            ))),
            None => Ok(Next::Over(Walk::Cut)),
        }
    }

    /// After a start marker inside a picture: whether it begins another one.
    fn restart(&mut self, frame: &mut Vec<u8>) -> io::Result<Walk> {
        Ok(match self.input.keep(frame)? {
            Some(0xff) => {
                self.input.put_back(&START);
                frame.truncate(frame.len() - START.len());
                Walk::Restarted
            }
            Some(_) => Walk::Broken("a start marker that no segment follows"),
            None => Walk::Cut,
        })
    }

    /// Copies a segment's length and content. `Some` if that ends the walk.
    fn segment(&mut self, code: u8, frame: &mut Vec<u8>) -> io::Result<Option<Walk>> {
        let Some(longest) = longest_segment(code) else {
            return Ok(Some(Walk::Broken("data where a segment should begin")));
        };
        let begin = frame.len();
        let (Some(high), Some(low)) = (self.input.keep(frame)?, self.input.keep(frame)?) else {
            return Ok(Some(Walk::Cut));
        };
        let length = usize::from(u16::from_be_bytes([high, low]));
        // A damaged length must not swallow the pictures that follow.
        if length < 2 || length > longest {
            return Ok(Some(Walk::Broken("a segment of an impossible length")));
        }
        if begin + length > MAX_FRAME_BYTES {
            return Ok(Some(Walk::Broken(TOO_LONG)));
        }
        if !holds_anything(code) {
            return self.table(begin, begin + length, frame);
        }
        let mut left = length - 2;
        self.claimed = self.input.offset() + left as u64;
        while left > 0 {
            let available = self.input.fill()?;
            if available.is_empty() {
                return Ok(Some(Walk::Cut));
            }
            let part = available.get(..left).unwrap_or(available);
            frame.extend_from_slice(part);
            let count = part.len();
            self.input.consume(count);
            left -= count;
        }
        self.swallows |= swallows(frame.get(begin..).unwrap_or_default());
        // Another picture's start may begin in its last two bytes: nothing else ends so.
        let end = frame.len();
        self.table(begin.max(end - 2), end, frame)
    }

    /// Copies a segment's content up to `end` of `frame`, where its length begins at `begin`, if no
    /// picture begins in it; one may begin in its last bytes and go on behind them.
    fn table(&mut self, begin: usize, end: usize, frame: &mut Vec<u8>) -> io::Result<Option<Walk>> {
        loop {
            let segment = frame.get(begin..).unwrap_or_default();
            // Quantization tables may hold a start's three bytes (one of quality 14 or so does, nearly);
            // but then no code of a segment follows.
            if let [.., 0xff, SOI, 0xff, code] = *segment
                && longest_segment(code).is_some()
            {
                let start = frame.split_off(frame.len() - START.len() - 1);
                self.input.put_back(&start);
                return Ok(Some(Walk::Restarted));
            }
            let full = frame.len() >= end;
            if full && (begun(segment) == 0 || frame.len() >= end + START.len()) {
                break;
            }
            if self.input.keep(frame)?.is_none() {
                if full {
                    break;
                }
                return Ok(Some(Walk::Cut));
            }
        }
        let behind = frame.split_off(end);
        self.input.put_back(&behind);
        Ok(None)
    }

    /// Copies entropy-coded data up to and with the marker that ends it. Whatever else looks like a marker
    /// there (stray bytes, damage) stays in: the decoder judges it, and the end is found all the same.
    fn scan(&mut self, frame: &mut Vec<u8>) -> io::Result<Next> {
        loop {
            let available = self.input.fill()?;
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
            self.input.consume(count);
            if ff.is_none() {
                continue;
            }
            match self.code(frame)? {
                // Another picture, if a segment follows.
                Next::Marker(SOI) if self.input.peek()? != Some(0xff) => {}
                Next::Marker(code) if ends_scan(code) => return Ok(Next::Marker(code)),
                // A stuffed 0xff, a restart marker, or none at all.
                Next::Marker(_) => {}
                over => return Ok(over),
            }
        }
    }
}

/// Whether another picture begins in a segment and does not end in it.
fn swallows(segment: &[u8]) -> bool {
    let start = segment.windows(START.len()).rposition(|at| at == START);
    let inside = start.and_then(|at| segment.get(at..));
    inside.is_some_and(|inside| !inside.windows(2).any(|at| at == [0xff, EOI]))
}
