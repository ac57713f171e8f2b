//! How a source is opened, and what it tells on the way.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

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
