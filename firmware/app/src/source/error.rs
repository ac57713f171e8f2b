//! What can go wrong with a source, said so that the reader knows which file and what to do.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::options::Skipped;

/// Why a source could not be opened or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// The spec names no kind of source.
    #[error(
        "source {spec:?}: expected a directory, a .y4m, .mjpeg or picture file, - for standard input, \
         a camera such as /dev/video0, or pattern[:WIDTHxHEIGHT]"
    )]
    UnknownSpec {
        /// What was given.
        spec: String,
    },
    /// A pattern of no possible size.
    #[error("source {spec:?}: {reason}; expected pattern:WIDTHxHEIGHT, such as pattern:640x480")]
    Pattern {
        /// What was given.
        spec: String,
        /// What is wrong with its size.
        reason: String,
    },
    /// A file or directory could not be opened.
    #[error("{}: cannot open: {source}", path.display())]
    Open {
        /// Which.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A directory holds no picture, however deep.
    #[error(
        "{}: no picture in this directory or below ({others} other files; expected .png, .jpg, .bmp, .gif, .pnm, .tif \
         or .webp files{})", path.display(), last_of(passed_over)
    )]
    EmptyDirectory {
        /// Which.
        path: PathBuf,
        /// Files that are no pictures by their names.
        others: usize,
        /// Something that could not be looked at.
        passed_over: Option<Skipped>,
    },
    /// Reading failed half way.
    #[error("{name}: read failed: {source}")]
    Read {
        /// The file or stream.
        name: String,
        /// The system's reason.
        source: io::Error,
    },
    /// The input is not what its format demands.
    #[error("{name}: {reason}")]
    Format {
        /// The file or stream.
        name: String,
        /// What was found and what was expected.
        reason: String,
    },
    /// Video that other programs fetch or decode.
    #[error("{name}: {what}; {advice}")]
    Foreign {
        /// The file, stream or address.
        name: String,
        /// What it is, and what this app does not do with it.
        what: String,
        /// The command that does, or what else to do.
        advice: String,
    },
    /// The input ended inside a frame.
    #[error("{name}: frame {frame} ends after {found} of {expected} bytes")]
    Truncated {
        /// The file or stream.
        name: String,
        /// Which frame, from 0.
        frame: u64,
        /// Bytes the frame has.
        expected: u64,
        /// Bytes that were there.
        found: u64,
    },
    /// A picture larger than [`SourceOptions::max_pixels`](super::SourceOptions::max_pixels).
    #[error(
        "{name}: {width}x{height} is not a size this app accepts (1x1 up to {max_pixels} pixels)"
    )]
    Size {
        /// The file or stream.
        name: String,
        /// The width found.
        width: u64,
        /// The height found.
        height: u64,
        /// The limit.
        max_pixels: u32,
    },
    /// The stream ended and not one frame in it could be used.
    #[error(
        "{name}: not one usable frame ({skipped} skipped as broken{})",
        last_of(last)
    )]
    NoFrames {
        /// The file or stream.
        name: String,
        /// How many pictures were broken.
        skipped: u64,
        /// The last of them.
        last: Option<Skipped>,
    },
    /// A picture that would be passed over, where none may be.
    #[error("{name}: {reason} (--strict)")]
    Strict {
        /// The file, or the place in the stream.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// There is no such camera.
    #[error(
        "{}: no such camera; `ls /dev/video*` lists those there are (a Pi's ribbon camera comes through \
         `rpicam-vid --codec mjpeg -o - | igpt-cam --source -`)", path.display()
    )]
    NoCamera {
        /// The device asked for.
        path: PathBuf,
    },
    /// The camera is there and may not be opened.
    #[error(
        "{}: permission denied; cameras belong to the group video: \
         `sudo usermod -aG video $USER`, then log in again", path.display()
    )]
    CameraPermission {
        /// The device.
        path: PathBuf,
    },
    /// The device is no camera that can be used.
    #[error("{}: not a camera: {reason}", path.display())]
    NotACamera {
        /// The device.
        path: PathBuf,
        /// What it is instead.
        reason: String,
    },
    /// A call to the camera's driver failed.
    #[error("{}: {call} failed: {source}", path.display())]
    Camera {
        /// The device.
        path: PathBuf,
        /// The call, as in linux/videodev2.h.
        call: &'static str,
        /// The system's reason.
        source: io::Error,
    },
    /// The camera stopped delivering.
    #[error("{}: no frame for {after:?}; is another program using the camera?", path.display())]
    Timeout {
        /// The device.
        path: PathBuf,
        /// How long it was waited for.
        after: Duration,
    },
    /// The camera was unplugged.
    #[error("{}: the camera is gone (unplugged?)", path.display())]
    Disconnected {
        /// The device.
        path: PathBuf,
    },
    /// Code that opens or decodes the source panicked: a mistake in this program or a library.
    #[error("{name}: internal error while reading (please report it): {message}")]
    Panicked {
        /// What was being read, as given.
        name: String,
        /// The panic's message.
        message: String,
    },
}

impl SourceError {
    /// Whether opening the same spec again, after a pause, may work: a camera that fell silent,
    /// was unplugged, is held by another program or is not there yet. Not after a panic: a file
    /// would lead to it again, and a fresh process is a better start than what is left of this one.
    pub fn is_retryable(&self) -> bool {
        matches!(
            self,
            Self::Timeout { .. }
                | Self::Disconnected { .. }
                | Self::NoCamera { .. }
                | Self::Camera { .. }
        )
    }

    /// Whether it is the spec that is wrong: nothing that may be plugged in or copied to its place will make a
    /// source of it. A file, folder or camera that is not there may come.
    pub fn is_of_the_spec(&self) -> bool {
        match self {
            Self::UnknownSpec { .. } | Self::Pattern { .. } | Self::Foreign { .. } => true,
            Self::Open { source, .. } => never_opens(source),
            _ => false,
        }
    }
}

fn never_opens(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidFilename, InvalidInput};
    matches!(error.kind(), InvalidFilename | InvalidInput)
}

fn last_of(skipped: &Option<Skipped>) -> String {
    match skipped {
        Some(Skipped { name, reason }) => format!("; {name}: {reason}"),
        None => String::new(),
    }
}
