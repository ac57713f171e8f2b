//! Where frames come from: the trait every source implements, and `open`, which picks one from a spec.

mod directory;
mod error;
mod foreign;
mod jpeg;
mod jpeg_range;
mod jpeg_split;
mod mjpeg;
mod open;
mod pattern;
mod skip;
#[cfg(target_pointer_width = "64")]
mod v4l2;
mod y4m;
mod yuv;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub use directory::DirectorySource;
pub use error::SourceError;
pub use mjpeg::MjpegSource;
pub use open::open;
pub use pattern::PatternSource;
#[cfg(target_pointer_width = "64")]
pub use v4l2::V4l2Source;
pub use y4m::Y4mSource;

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
    /// producer is silent; a camera gives up after [`SourceOptions::timeout`].
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

/// Something in the stream that was no picture and was passed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// The file, or the place in the stream.
    pub name: String,
    /// What was wrong with it.
    pub reason: String,
}

/// Called for everything that is skipped, on the thread that reads.
pub type SkipCallback = Arc<dyn Fn(&Skipped) + Send + Sync>;

/// How to open a source. `SourceOptions::default()` suits every kind.
#[derive(Clone)]
pub struct SourceOptions {
    /// The size to ask a camera for, and the size of a pattern that names none.
    /// A camera may choose another near it.
    pub size: (u32, u32),
    /// The largest frame of a stream or a camera, in pixels (width x height). It bounds memory: no
    /// source holds more than a few bytes a pixel, whatever its input claims. Picture files have the
    /// limits of [`igpt_runtime::image_io`], and the app holds one large one at a time.
    pub max_pixels: u32,
    /// How long a camera may deliver nothing before that is an error.
    pub timeout: Duration,
    /// Told of every broken picture that is passed over.
    pub on_skipped: Option<SkipCallback>,
}

impl Default for SourceOptions {
    fn default() -> Self {
        Self {
            size: (640, 480),
            max_pixels: 1 << 25,
            timeout: Duration::from_secs(5),
            on_skipped: None,
        }
    }
}

impl fmt::Debug for SourceOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SourceOptions")
            .field("size", &self.size)
            .field("max_pixels", &self.max_pixels)
            .field("timeout", &self.timeout)
            .field("on_skipped", &self.on_skipped.is_some())
            .finish()
    }
}
