//! What can go wrong with a sink.

use std::io;
use std::path::PathBuf;

/// Why a picture could not be shown or kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SinkError {
    /// The spec names no kind of sink.
    #[error(
        "sink {spec:?}: expected a framebuffer such as /dev/fb0, a directory for PNG files, or none"
    )]
    UnknownSpec {
        /// What was given.
        spec: String,
    },
    /// The caller's picture is not what it says.
    #[error(
        "a picture of {width}x{height} came with {bytes} bytes; expected width x height x 3, not empty"
    )]
    Picture {
        /// Width given.
        width: u32,
        /// Height given.
        height: u32,
        /// Bytes given.
        bytes: usize,
    },
    /// A device or directory could not be opened.
    #[error("{}: cannot open: {source}", path.display())]
    Open {
        /// Which.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The device is no framebuffer, or one whose pixels are not supported.
    #[error("{}: {reason}", path.display())]
    Framebuffer {
        /// The device.
        path: PathBuf,
        /// What was found and what was expected.
        reason: String,
    },
    /// Writing failed.
    #[error("{}: write failed: {source}", path.display())]
    Write {
        /// The file or device.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The disk is full (or the quota used up).
    #[error("{}: no space left", path.display())]
    Full {
        /// The file that did not fit.
        path: PathBuf,
    },
}
