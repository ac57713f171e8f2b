//! A frame, and the trait of everything that frames come from.

use std::time::Duration;

use super::error::SourceError;

/// One RGB8 picture and where it came from. Sources refill it in place, so that a running
/// stream does not allocate.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FrameBuffer {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// `height * width * 3` bytes, rows from the top, no padding.
    pub rgb: Vec<u8>,
    /// Position in the stream, from 0: the frames delivered before this one plus those the
    /// source reported lost.
    pub seq: u64,
    /// The file's place in the directory, or a single picture's name.
    pub name: Option<String>,
    /// When the frame was captured, counted from the moment the source opened.
    pub captured: Duration,
    /// Time that it took to make the picture of what the source has: decoding, converting colours.
    pub decode: Duration,
    /// Frames lost between the previous frame and this one, as the source itself reports:
    /// gaps in the camera's numbering, and stale frames passed over because a newer one was ready.
    /// Broken frames are not in here, they are in [`FrameSource::skipped`].
    pub dropped_before: u64,
}

impl FrameBuffer {
    /// Sets the size and makes `rgb` exactly as long as it says. What `rgb` then holds is
    /// unspecified: the caller overwrites all of it.
    pub(crate) fn resize(&mut self, width: u32, height: u32) {
        self.width = width;
        self.height = height;
        self.rgb.resize(width as usize * height as usize * 3, 0);
    }
}

/// What a read came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadOutcome {
    /// The buffer holds the next frame.
    Frame,
    /// The stream is over; the buffer's content is unspecified.
    End,
}

/// A stream of pictures.
pub trait FrameSource: Send {
    /// Waits for the next frame and puts it into `frame`. A pipe blocks for as long as its
    /// producer is silent; a camera gives up after [`SourceOptions::timeout`](super::SourceOptions::timeout).
    ///
    /// # Errors
    /// See [`SourceError`]; [`SourceError::is_retryable`] tells what opening again may cure.
    fn read(&mut self, frame: &mut FrameBuffer) -> Result<ReadOutcome, SourceError>;

    /// One line for the log: what this is, its size and format where known.
    fn describe(&self) -> String;

    /// Whether frames arrive by themselves (a camera, a pipe), so that who reads too slowly
    /// must drop some. Otherwise the source waits for as long as one likes.
    fn is_live(&self) -> bool;

    /// Broken pictures and stretches of garbage passed over so far; each was also reported
    /// to [`SourceOptions::on_skipped`].
    fn skipped(&self) -> u64 {
        0
    }
}
