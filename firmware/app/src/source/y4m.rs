//! YUV4MPEG2 (.y4m), what `ffmpeg -f yuv4mpegpipe` and the mjpegtools write: a line of text for the
//! stream, then for each frame a line and its planes. Eight bits a sample; interlaced frames are
//! taken as they are stored.

mod header;
mod packing;

use std::io::{BufRead, Read};
use std::time::Instant;

use super::error::SourceError;
use super::frame::{FrameBuffer, FrameSource, ReadOutcome};
use super::options::SourceOptions;
use header::{Header, quote};
use packing::Packing;

/// The longest header line accepted. ffmpeg's own reader allows 96 bytes.
const MAX_LINE: usize = 1024;

const FRAME_MAGIC: &[u8] = b"FRAME";

/// Frames from a Y4M stream.
pub struct Y4mSource<R> {
    reader: R,
    name: String,
    header: Header,
    /// How the frames are laid out, once the first was read.
    packing: Option<Packing>,
    /// The line being read; between frames, what was read of the next one's already.
    line: Vec<u8>,
    planes: Vec<u8>,
    next: u64,
    over: bool,
    opened: Instant,
}

impl<R: BufRead + Send> Y4mSource<R> {
    /// Reads the stream header; `name` is for messages.
    ///
    /// # Errors
    /// [`SourceError::Format`] for a header that is malformed or of an unsupported colour space,
    /// [`SourceError::Size`] for a picture that is empty or too large.
    pub fn new(mut reader: R, name: &str, options: &SourceOptions) -> Result<Self, SourceError> {
        let mut line = Vec::new();
        let header = match read_line(&mut reader, &mut line, name)? {
            Line::Whole => Header::parse(&line, name, options.max_pixels)?,
            Line::Cut | Line::End => {
                return Err(SourceError::Format {
                    name: name.to_owned(),
                    reason: format!(
                        "Y4M header: no end of line within {MAX_LINE} bytes, begins with {}",
                        quote(&line)
                    ),
                });
            }
        };
        Ok(Self {
            reader,
            name: name.to_owned(),
            header,
            packing: None,
            line: Vec::new(),
            planes: Vec::new(),
            next: 0,
            over: false,
            opened: Instant::now(),
        })
    }

    /// Reads one frame's planes. False at the stream's regular end.
    fn read_planes(&mut self) -> Result<bool, SourceError> {
        match read_line(&mut self.reader, &mut self.line, &self.name)? {
            Line::End => return Ok(false),
            // Parameters may follow the word; none of them changes a pixel.
            Line::Whole
                if self
                    .line
                    .strip_prefix(FRAME_MAGIC)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with(b" ")) => {}
            Line::Whole | Line::Cut => {
                return Err(SourceError::Format {
                    name: self.name.clone(),
                    reason: format!(
                        "frame {} starts with {}, expected a line FRAME{}",
                        self.next,
                        quote(&self.line),
                        self.sizes()
                    ),
                });
            }
        }
        self.line.clear();
        self.planes.clear();
        match self.packing {
            Some(packing) => self.read_bytes(packing.bytes)?,
            None => self.packing = Some(self.read_first()?),
        }
        Ok(true)
    }

    /// Reads the first frame and finds out how it is laid out, where that is in doubt: by where the next
    /// frame's line is.
    fn read_first(&mut self) -> Result<Packing, SourceError> {
        let tight = Packing::tight(&self.header);
        self.read_bytes(tight.bytes)?;
        let padded = match Packing::gstreamer(&self.header) {
            Some(padded) if padded != tight => padded,
            _ => return Ok(tight),
        };
        if self.next_frame_follows()? {
            return Ok(tight);
        }
        // No line there: what was read is the frame's, or what fits into it.
        let begins = quote(&self.line);
        let left = padded.bytes.saturating_sub(tight.bytes);
        let left = left.min(self.line.len());
        self.planes.extend(self.line.drain(..left));
        let complete = self.read_bytes(padded.bytes);
        if complete.is_ok() && self.next_frame_follows()? {
            return Ok(padded);
        }
        Err(SourceError::Format {
            name: self.name.clone(),
            reason: format!(
                "frame 0: {begins} after the {} bytes that its header asks for, and no line FRAME after \
                 the {} of GStreamer's padded rows either",
                tight.bytes, padded.bytes
            ),
        })
    }

    /// Whether the stream ends here, or the next frame's line begins: its first word is read into `line`.
    fn next_frame_follows(&mut self) -> Result<bool, SourceError> {
        let missing = FRAME_MAGIC.len().saturating_sub(self.line.len());
        (&mut self.reader)
            .take(missing as u64)
            .read_to_end(&mut self.line)
            .map_err(|source| self.failed(source))?;
        // A stream may also be cut inside that word.
        Ok(FRAME_MAGIC.starts_with(&self.line))
    }

    /// Reads until the frame's planes are `expected` bytes.
    fn read_bytes(&mut self, expected: usize) -> Result<(), SourceError> {
        let left = expected.saturating_sub(self.planes.len());
        // Grows as bytes arrive, so that a header alone claims no memory.
        (&mut self.reader)
            .take(left as u64)
            .read_to_end(&mut self.planes)
            .map_err(|source| self.failed(source))?;
        if self.planes.len() < expected {
            return Err(SourceError::Truncated {
                name: self.name.clone(),
                frame: self.next,
                expected: expected as u64,
                found: self.planes.len() as u64,
            });
        }
        Ok(())
    }

    /// For a message: what the frame before must have been like.
    fn sizes(&self) -> String {
        match self.packing {
            None => String::new(),
            Some(packing) => format!(" after the {} bytes of the one before", packing.bytes),
        }
    }

    fn failed(&self, source: std::io::Error) -> SourceError {
        SourceError::Read {
            name: self.name.clone(),
            source,
        }
    }
}

impl<R: BufRead + Send> FrameSource for Y4mSource<R> {
    fn read(&mut self, frame: &mut FrameBuffer) -> Result<ReadOutcome, SourceError> {
        if self.over {
            return Ok(ReadOutcome::End);
        }
        // Frames follow one another without a mark to find them by: after an error nothing
        // in the stream can be trusted.
        self.over = true;
        if !self.read_planes()? {
            return match self.next {
                0 => Err(SourceError::NoFrames {
                    name: self.name.clone(),
                    skipped: 0,
                    last: None,
                }),
                _ => Ok(ReadOutcome::End),
            };
        }
        self.over = false;
        let begun = Instant::now();
        frame.resize(self.header.width, self.header.height);
        if let Some(packing) = self.packing {
            packing.convert(&self.header, &self.planes, &mut frame.rgb);
        }
        frame.decode = begun.elapsed();
        frame.seq = self.next;
        frame.name = None;
        frame.captured = self.opened.elapsed();
        frame.dropped_before = 0;
        self.next += 1;
        Ok(ReadOutcome::Frame)
    }

    fn describe(&self) -> String {
        let Header { width, height, .. } = self.header;
        format!("{}: Y4M {width}x{height}", self.name)
    }

    fn is_live(&self) -> bool {
        false
    }
}

enum Line {
    /// Ended by a newline, which is removed.
    Whole,
    /// The input ended, or the line is longer than is allowed.
    Cut,
    /// Nothing left.
    End,
}

fn read_line(
    reader: &mut impl BufRead,
    line: &mut Vec<u8>,
    name: &str,
) -> Result<Line, SourceError> {
    let read = reader
        .take(MAX_LINE as u64)
        .read_until(b'\n', line)
        .map_err(|source| SourceError::Read {
            name: name.to_owned(),
            source,
        })?;
    Ok(match (read, line.pop_if(|last| *last == b'\n')) {
        // `line` may have held its beginning already.
        (0, _) if line.is_empty() => Line::End,
        (_, Some(_)) => Line::Whole,
        (_, None) => Line::Cut,
    })
}

#[cfg(test)]
mod tests;
