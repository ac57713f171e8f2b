//! YUV4MPEG2 (.y4m), what `ffmpeg -f yuv4mpegpipe` and the mjpegtools write: a line of text for the
//! stream, then for each frame a line and its planes. Eight bits a sample; interlaced frames are
//! taken as they are stored.

use std::io::{BufRead, Read};
use std::time::Instant;

use super::yuv::{Matrix, grey_row};
use super::{FrameBuffer, FrameSource, ReadOutcome, SourceError, SourceOptions};

/// The longest header line accepted. ffmpeg's own reader allows 96 bytes.
const MAX_LINE: usize = 1024;

const STREAM_MAGIC: &[u8] = b"YUV4MPEG2";
const FRAME_MAGIC: &[u8] = b"FRAME";

/// How the planes share chroma.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layout {
    Mono,
    /// Cb and Cr planes, subsampled by these factors across and down.
    Planar {
        across: usize,
        down: usize,
    },
}

impl Layout {
    /// Reads the value of the C parameter. The 4:2:0 variants differ in where chroma is sited,
    /// which repeating it does not see.
    fn from_tag(tag: &[u8]) -> Option<Self> {
        Some(match tag {
            b"420jpeg" | b"420mpeg2" | b"420paldv" | b"420" => Self::Planar { across: 2, down: 2 },
            b"422" => Self::Planar { across: 2, down: 1 },
            b"444" => Self::Planar { across: 1, down: 1 },
            b"mono" => Self::Mono,
            _ => return None,
        })
    }
}

/// What the stream header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Header {
    width: u32,
    height: u32,
    layout: Layout,
    matrix: Matrix,
}

impl Header {
    fn parse(line: &[u8], name: &str, max_pixels: u32) -> Result<Self, SourceError> {
        let wrong = |reason: String| SourceError::Format {
            name: name.to_owned(),
            reason: format!("Y4M header: {reason}"),
        };
        let mut words = line.split(|&b| b == b' ');
        if words.next() != Some(STREAM_MAGIC) {
            return Err(wrong(format!(
                "starts with {}, expected YUV4MPEG2",
                quote(line)
            )));
        }
        let (mut width, mut height) = (None, None);
        let mut layout = Layout::Planar { across: 2, down: 2 };
        let mut matrix = Matrix::BT601_LIMITED;
        for word in words {
            let Some((tag, value)) = word.split_first() else {
                continue; // two spaces in a row
            };
            match tag {
                b'W' => width = Some(side(value).ok_or_else(|| wrong(bad_side("width", word)))?),
                b'H' => height = Some(side(value).ok_or_else(|| wrong(bad_side("height", word)))?),
                b'C' => {
                    layout = Layout::from_tag(value).ok_or_else(|| {
                        wrong(format!(
                            "colour space {} is not supported, expected C420jpeg, C420mpeg2, \
                             C420paldv, C420, C422, C444 or Cmono (8 bits)",
                            quote(word)
                        ))
                    })?;
                }
                b'X' if value == b"COLORRANGE=FULL" => matrix = Matrix::BT601_FULL,
                // Frame rate, aspect, interlacing and private parameters change no pixel.
                _ => {}
            }
        }
        let (Some(width), Some(height)) = (width, height) else {
            let what = if width.is_none() {
                "width (W)"
            } else {
                "height (H)"
            };
            return Err(wrong(format!("no {what} in {}", quote(line))));
        };
        let too_big = || SourceError::Size {
            name: name.to_owned(),
            width,
            height,
            max_pixels,
        };
        let pixels = width.checked_mul(height).ok_or_else(too_big)?;
        if pixels == 0 || pixels > u64::from(max_pixels) {
            return Err(too_big());
        }
        Ok(Self {
            // Neither side exceeds max_pixels, a u32, as neither is zero.
            width: u32::try_from(width).map_err(|_| too_big())?,
            height: u32::try_from(height).map_err(|_| too_big())?,
            layout,
            matrix,
        })
    }

    /// Bytes of luma, and of each chroma plane.
    fn plane_bytes(&self) -> (usize, usize) {
        let (width, height) = (self.width as usize, self.height as usize);
        let chroma = match self.layout {
            Layout::Mono => 0,
            Layout::Planar { across, down } => width.div_ceil(across) * height.div_ceil(down),
        };
        (width * height, chroma)
    }

    /// Converts the planes, `plane_bytes` long, into `rgb`, `width * height * 3` long.
    fn convert(&self, planes: &[u8], rgb: &mut [u8]) {
        let width = self.width as usize;
        let (luma_bytes, chroma_bytes) = self.plane_bytes();
        let (luma, chroma) = planes.split_at_checked(luma_bytes).unwrap_or_default();
        let rows = rgb
            .chunks_exact_mut(3 * width)
            .zip(luma.chunks_exact(width));
        match self.layout {
            Layout::Mono => rows.for_each(|(out, luma)| grey_row(self.matrix, out, luma)),
            Layout::Planar { across, down } => {
                let (cb, cr) = chroma.split_at_checked(chroma_bytes).unwrap_or_default();
                let chroma_width = width.div_ceil(across);
                let chroma_rows = cb
                    .chunks_exact(chroma_width)
                    .zip(cr.chunks_exact(chroma_width));
                let repeated = chroma_rows.flat_map(|row| std::iter::repeat_n(row, down));
                for ((out, luma), (cb, cr)) in rows.zip(repeated) {
                    let pairs = cb.iter().copied().zip(cr.iter().copied());
                    self.matrix.row(out, luma, pairs, across);
                }
            }
        }
    }
}

/// Digits only: no sign, no blanks, and small enough for a `u64`.
fn side(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

fn bad_side(what: &str, word: &[u8]) -> String {
    format!("{what} {}: expected a number of pixels", quote(word))
}

/// Input bytes for a message: escaped, and not too many.
fn quote(bytes: &[u8]) -> String {
    let head = bytes.get(..40).unwrap_or(bytes);
    let dots = if head.len() < bytes.len() { "..." } else { "" };
    format!("\"{}{dots}\"", head.escape_ascii())
}

/// Frames from a Y4M stream.
pub struct Y4mSource<R> {
    reader: R,
    name: String,
    header: Header,
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
            line,
            planes: Vec::new(),
            next: 0,
            over: false,
            opened: Instant::now(),
        })
    }

    /// Reads one frame's planes. False at the stream's regular end.
    fn read_planes(&mut self) -> Result<bool, SourceError> {
        self.line.clear();
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
                        "frame {} starts with {}, expected a line FRAME",
                        self.next,
                        quote(&self.line)
                    ),
                });
            }
        }
        let (luma, chroma) = self.header.plane_bytes();
        let expected = luma + 2 * chroma;
        // Grows as bytes arrive, so that a header alone claims no memory.
        self.planes.clear();
        let found = (&mut self.reader)
            .take(expected as u64)
            .read_to_end(&mut self.planes)
            .map_err(|source| SourceError::Read {
                name: self.name.clone(),
                source,
            })?;
        if found < expected {
            return Err(SourceError::Truncated {
                name: self.name.clone(),
                frame: self.next,
                expected: expected as u64,
                found: found as u64,
            });
        }
        Ok(true)
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
        frame.resize(self.header.width, self.header.height);
        self.header.convert(&self.planes, &mut frame.rgb);
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
        (0, _) => Line::End,
        (_, Some(_)) => Line::Whole,
        (_, None) => Line::Cut,
    })
}

#[cfg(test)]
mod tests;
