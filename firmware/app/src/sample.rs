//! The bundled sample stream: a few pictures from the model's test set, inside the program.

use std::time::{Duration, Instant};

use image::ImageFormat;

use super::embedded::SAMPLE;
use crate::source::{FrameBuffer, FrameSource, ReadOutcome, SourceError};

/// Plays the bundled pictures once.
#[derive(Debug, Default)]
pub(super) struct SampleSource {
    next: usize,
}

impl FrameSource for SampleSource {
    fn read(&mut self, frame: &mut FrameBuffer) -> Result<ReadOutcome, SourceError> {
        let Some((name, png)) = SAMPLE.get(self.next) else {
            return Ok(ReadOutcome::End);
        };
        let begun = Instant::now();
        let picture = image::load_from_memory_with_format(png, ImageFormat::Png)
            .map_err(|error| SourceError::Format {
                name: (*name).to_owned(),
                reason: error.to_string(),
            })?
            .into_rgb8();
        (frame.width, frame.height) = picture.dimensions();
        frame.rgb.clear();
        frame.rgb.extend_from_slice(picture.as_raw());
        frame.seq = self.next as u64;
        frame.name = Some((*name).to_owned());
        frame.captured = Duration::ZERO;
        frame.decode = begun.elapsed();
        frame.dropped_before = 0;
        self.next += 1;
        Ok(ReadOutcome::Frame)
    }

    fn describe(&self) -> String {
        format!("the bundled sample, {} pictures", SAMPLE.len())
    }

    fn is_live(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::{SAMPLE, SampleSource};
    use crate::source::{FrameBuffer, FrameSource, ReadOutcome};

    #[test]
    fn every_bundled_picture_decodes_and_then_the_stream_ends() {
        let (mut source, mut frame) = (SampleSource::default(), FrameBuffer::default());
        let mut frames = 0;
        while source.read(&mut frame).unwrap() == ReadOutcome::Frame {
            assert_eq!(frame.rgb.len(), (frame.width * frame.height * 3) as usize);
            assert_eq!(frame.seq, frames);
            frames += 1;
        }
        assert_eq!(frames as usize, SAMPLE.len());
        assert!(frames >= 10, "enough to look at");
        assert_eq!(
            source.read(&mut frame).unwrap(),
            ReadOutcome::End,
            "and stays ended"
        );
    }
}
