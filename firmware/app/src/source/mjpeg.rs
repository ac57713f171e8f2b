//! Motion JPEG from a file or a pipe: pictures cut off the stream and decoded one by one. A broken one
//! is passed over and reported; the stream goes on. One that only lacks its end marker is decoded.

use std::io::BufRead;
use std::time::Instant;

use igpt_runtime::jpeg::{JpegSplitter, MAX_FRAME_BYTES, Piece};

use super::error::SourceError;
use super::frame::{FrameBuffer, FrameSource, ReadOutcome};
use super::jpeg::Decoder;
use super::jpeg_range;
use super::options::SourceOptions;
use super::skip::Skips;

/// Frames from a Motion JPEG stream.
pub struct MjpegSource<R> {
    splitter: JpegSplitter<R>,
    decoder: Decoder,
    jpeg: Vec<u8>,
    name: String,
    skips: Skips,
    next: u64,
    opened: Instant,
}

impl<R: BufRead + Send> MjpegSource<R> {
    /// A source on `reader`; `name` is for messages.
    pub fn new(reader: R, name: &str, options: &SourceOptions) -> Self {
        Self {
            splitter: JpegSplitter::new(reader),
            decoder: Decoder::new(options.max_pixels),
            jpeg: Vec::new(),
            name: name.to_owned(),
            skips: Skips::new(options),
            next: 0,
            opened: Instant::now(),
        }
    }

    fn skip(&mut self, bytes: u64, reason: &str) {
        let start = self.splitter.offset().saturating_sub(bytes);
        let place = format!("{}, {bytes} bytes from offset {start}", self.name);
        self.skips.add(place, reason.to_owned());
    }

    /// The error for a stream without one frame that can be used.
    fn no_frames(&self) -> SourceError {
        if self.skips.count() > 0 {
            return self.skips.no_frames(&self.name);
        }
        SourceError::Format {
            name: self.name.clone(),
            reason: format!(
                "expected Y4M or Motion JPEG, but no picture (FF D8 FF) begins in its {} bytes{}",
                self.splitter.offset(),
                match self.splitter.head() {
                    [] => String::new(),
                    head => format!("; it begins with \"{}\"", head.escape_ascii()),
                }
            ),
        }
    }
}

/// A JPEG without an end marker, without the headers of the next part of a multipart body at its end: a line
/// end, two dashes and a boundary, then text alone.
fn without_part_headers(jpeg: &[u8]) -> &[u8] {
    let is_text = |byte: &u8| matches!(byte, b' '..=b'~' | b'\r' | b'\n' | b'\t');
    let data = jpeg.iter().rposition(|byte| !is_text(byte)).unwrap_or(0);
    let text = jpeg.get(data..).unwrap_or_default();
    let Some(dashes) = text.windows(3).position(|three| three == b"\n--") else {
        return jpeg;
    };
    let line_end = match text.get(..dashes) {
        Some([.., b'\r']) => dashes - 1,
        _ => dashes,
    };
    jpeg.get(..data + line_end).unwrap_or(jpeg)
}

impl<R: BufRead + Send> FrameSource for MjpegSource<R> {
    fn read(&mut self, frame: &mut FrameBuffer) -> Result<ReadOutcome, SourceError> {
        loop {
            let piece = self.splitter.next(&mut self.jpeg);
            match piece.map_err(|source| SourceError::Read {
                name: self.name.clone(),
                source,
            })? {
                Piece::Jpeg => match self.decoder.decode(&self.jpeg, frame) {
                    Ok(()) => break,
                    Err(reason) => {
                        self.skip(self.jpeg.len() as u64, &reason);
                        self.splitter.reject(&mut self.jpeg);
                    }
                },
                Piece::Unended { reason, in_rest } => {
                    let data = without_part_headers(&self.jpeg);
                    match self.decoder.decode(data, frame) {
                        Ok(()) => break,
                        Err(error) => {
                            if !in_rest {
                                self.skip(self.jpeg.len() as u64, &format!("{reason}: {error}"));
                            }
                            self.splitter.reject(&mut self.jpeg);
                        }
                    }
                }
                Piece::Broken { bytes, reason } => self.skip(bytes, reason),
                Piece::Between { .. } => {}
                Piece::End if self.next == 0 => return Err(self.no_frames()),
                Piece::End => return Ok(ReadOutcome::End),
            }
            // Nothing like a picture for so long: this is no Motion JPEG.
            if self.next == 0 && self.splitter.offset() >= MAX_FRAME_BYTES as u64 {
                return Err(self.no_frames());
            }
        }
        jpeg_range::apply(&self.jpeg, &mut frame.rgb);
        frame.seq = self.next;
        frame.name = None;
        frame.captured = self.opened.elapsed();
        frame.dropped_before = 0;
        self.next += 1;
        Ok(ReadOutcome::Frame)
    }

    fn describe(&self) -> String {
        format!("{}: Motion JPEG", self.name)
    }

    fn is_live(&self) -> bool {
        false
    }

    fn skipped(&self) -> u64 {
        self.skips.count()
    }
}

#[cfg(test)]
mod tests;
