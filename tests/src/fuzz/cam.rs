//! What the camera app reads: streams of pictures and its settings.

use std::io::Cursor;
use std::sync::OnceLock;

use clap::Parser as _;
use igpt_firmware::CommandLine;
use igpt_firmware::source::{
    FrameBuffer, FrameSource, MjpegSource, ReadOutcome, SourceOptions, Y4mSource,
};

use super::files::with_files;

/// Most frames of one input that are decoded.
const FRAMES: usize = 32;

fn options() -> SourceOptions {
    SourceOptions {
        max_pixels: 1 << 16,
        ..SourceOptions::default()
    }
}

/// Whether there was a frame.
fn play(mut source: impl FrameSource) -> bool {
    let mut frame = FrameBuffer::default();
    for frames in 0..FRAMES {
        match source.read(&mut frame) {
            Ok(ReadOutcome::Frame) => {
                assert_eq!(frame.rgb.len(), 3 * (frame.width * frame.height) as usize);
            }
            Ok(ReadOutcome::End) | Err(_) => return frames > 0,
        }
    }
    true
}

/// A Motion JPEG stream.
pub fn mjpeg(data: &[u8]) -> bool {
    play(MjpegSource::new(
        Cursor::new(data.to_vec()),
        "fuzz",
        &options(),
    ))
}

/// A YUV4MPEG2 stream.
pub fn y4m(data: &[u8]) -> bool {
    match Y4mSource::new(Cursor::new(data.to_vec()), "fuzz", &options()) {
        Ok(source) => play(source),
        Err(_) => false,
    }
}

/// `igpt-cam.toml`.
pub fn toml(data: &[u8]) -> bool {
    /// Read once: clap takes longer for it than the settings' parser for a file.
    static LINE: OnceLock<CommandLine> = OnceLock::new();
    with_files(&[("igpt-cam.toml", data)], |folder| {
        let line = LINE.get_or_init(|| {
            CommandLine::try_parse_from(["igpt-cam"]).expect("a good command line")
        });
        let line = CommandLine {
            config: Some(folder.join("igpt-cam.toml")),
            ..line.clone()
        };
        line.resolve().is_ok()
    })
}
