//! Where frames come from: the trait every source implements, and `open`, which picks one from a spec.

mod directory;
mod error;
mod foreign;
mod frame;
mod jpeg;
mod jpeg_range;
mod mjpeg;
mod open;
mod options;
mod pattern;
mod skip;
#[cfg(target_pointer_width = "64")]
mod v4l2;
mod y4m;
mod yuv;

pub use directory::DirectorySource;
pub use error::SourceError;
pub use frame::{FrameBuffer, FrameSource, ReadOutcome};
pub use mjpeg::MjpegSource;
pub use open::open;
pub use options::{SkipCallback, Skipped, SourceOptions};
pub use pattern::PatternSource;
#[cfg(target_pointer_width = "64")]
pub use v4l2::V4l2Source;
pub use y4m::Y4mSource;
