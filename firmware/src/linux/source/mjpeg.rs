//! Motion JPEG from a file or a pipe: pictures cut off the stream and decoded one by one. A broken one
//! is passed over and reported; the stream goes on.

use std::io::BufRead;
use std::time::Instant;

use super::jpeg::Decoder;
use super::jpeg_split::{JpegSplitter, MAX_FRAME_BYTES, Piece};
use super::skip::Skips;
use super::{FrameBuffer, FrameSource, ReadOutcome, SourceError, SourceOptions};

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
                    Err(reason) => self.skip(self.jpeg.len() as u64, &reason),
                },
                Piece::Garbage { bytes, reason } => {
                    self.skip(bytes, reason);
                    // Nothing like a picture for so long: this is no Motion JPEG.
                    if self.next == 0 && self.splitter.offset() >= MAX_FRAME_BYTES as u64 {
                        return Err(self.skips.no_frames(&self.name));
                    }
                }
                Piece::End if self.next == 0 => return Err(self.skips.no_frames(&self.name)),
                Piece::End => return Ok(ReadOutcome::End),
            }
        }
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
mod tests {
    use super::super::jpeg::tests::sample;
    use super::*;
    use std::sync::{Arc, Mutex};

    type Reports = Arc<Mutex<Vec<String>>>;

    fn open(stream: &[u8]) -> (MjpegSource<&[u8]>, Reports) {
        let reports = Reports::default();
        let sink = Arc::clone(&reports);
        let options = SourceOptions {
            on_skipped: Some(Arc::new(move |s| {
                sink.lock()
                    .unwrap()
                    .push(format!("{}: {}", s.name, s.reason));
            })),
            ..SourceOptions::default()
        };
        (MjpegSource::new(stream, "test.mjpeg", &options), reports)
    }

    #[test]
    fn pictures_come_in_order_and_sizes_may_change() {
        let stream = [sample(32, 24, 1), sample(48, 16, 2), sample(32, 24, 1)].concat();
        let (mut source, reports) = open(&stream);
        let mut frames = Vec::new();
        let mut frame = FrameBuffer::default();
        while source.read(&mut frame).unwrap() == ReadOutcome::Frame {
            frames.push(frame.clone());
        }
        let shape: Vec<_> = frames.iter().map(|f| (f.seq, f.width, f.height)).collect();
        assert_eq!(shape, [(0, 32, 24), (1, 48, 16), (2, 32, 24)]);
        assert_eq!(frames[0].rgb, frames[2].rgb);
        assert_eq!((source.skipped(), reports.lock().unwrap().len()), (0, 0));
    }

    #[test]
    fn broken_pictures_are_named_and_passed_over() {
        let mut corrupt = sample(32, 24, 3);
        // A frame header that claims no components.
        let sof = corrupt.windows(2).position(|w| w == [0xff, 0xc0]).unwrap();
        corrupt[sof + 9] = 0;
        let half = &sample(32, 24, 4)[..300];
        let good = sample(32, 24, 5);
        let stream = [b"noise", corrupt.as_slice(), &good, half].concat();
        let (mut source, reports) = open(&stream);
        let mut frame = FrameBuffer::default();
        assert_eq!(source.read(&mut frame).unwrap(), ReadOutcome::Frame);
        assert_eq!(frame.seq, 0);
        assert_eq!(source.read(&mut frame).unwrap(), ReadOutcome::End);
        let reports = reports.lock().unwrap();
        assert_eq!((reports.len(), source.skipped()), (3, 3), "{reports:?}");
        assert!(
            reports[0].starts_with("test.mjpeg, 5 bytes from offset 0: "),
            "{}",
            reports[0]
        );
        assert!(
            reports[1].contains("from offset 5: broken JPEG"),
            "{}",
            reports[1]
        );
        assert!(
            reports[2].contains("300 bytes") && reports[2].contains("ends inside"),
            "{}",
            reports[2]
        );
    }

    #[test]
    fn a_stream_without_a_picture_is_an_error() {
        let zeros = vec![0u8; MAX_FRAME_BYTES + 5];
        for (stream, skipped) in [(b"".as_slice(), 0), (b"hello", 1), (&zeros, 1)] {
            let (mut source, _) = open(stream);
            let error = source.read(&mut FrameBuffer::default()).unwrap_err();
            assert!(
                matches!(error, SourceError::NoFrames { skipped: s, .. } if s == skipped),
                "{error}"
            );
        }
    }
}
