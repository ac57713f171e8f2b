//! From a spec on the command line to a source, or to the command that makes one of it.

use std::fs::{self, File, FileType};
use std::io::{self, BufReader, Cursor, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use igpt_runtime::tools::image_names::is_image;
use igpt_runtime::tools::lfs;
use igpt_runtime::tools::{HEAD_BYTES, Video};

use super::directory::DirectorySource;
use super::error::SourceError;
use super::foreign;
use super::frame::{FrameBuffer, FrameSource, ReadOutcome};
use super::mjpeg::MjpegSource;
use super::options::SourceOptions;
use super::pattern::PatternSource;
use super::y4m::Y4mSource;

/// Bytes read at once from files and pipes.
const BUFFER: usize = 1 << 16;

const JPEG_START: &[u8] = b"\xff\xd8\xff";
const Y4M_START: &[u8] = b"YUV4MPEG2";

/// Opens the source that `spec` names:
///
/// | spec | source |
/// |---|---|
/// | a directory | its pictures, in the natural order of their names |
/// | a `.png`, `.jpg` or other picture file | that picture |
/// | another file, or a named pipe | Y4M or Motion JPEG, told apart by the content |
/// | `-` | the same from standard input |
/// | a character device, such as `/dev/video0` | a V4L2 camera |
/// | `pattern`, `pattern:WIDTHxHEIGHT` | a synthetic moving picture |
///
/// A pipe is live (see [`FrameSource::is_live`]); standard input that is a file is not.
///
/// # Errors
/// [`SourceError::UnknownSpec`] for a spec that is none of these, [`SourceError::Foreign`] for an address
/// or a film, and whatever opening finds.
pub fn open(spec: &str, options: &SourceOptions) -> Result<Box<dyn FrameSource>, SourceError> {
    if spec == "pattern" || spec.starts_with("pattern:") {
        return Ok(Box::new(PatternSource::from_spec(spec, options)?));
    }
    if spec == "-" {
        return open_stdin(options);
    }
    let path = Path::new(spec);
    let path_kind = match fs::metadata(path) {
        Ok(metadata) => metadata.file_type(),
        Err(_) if foreign::is_address(spec) => {
            return Err(SourceError::Foreign {
                name: spec.to_owned(),
                what: "igpt-cam fetches nothing itself".to_owned(),
                advice: foreign::fetching(spec),
            });
        }
        Err(_) if spec.is_empty() || spec.contains("://") => {
            return Err(SourceError::UnknownSpec {
                spec: spec.to_owned(),
            });
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound && spec.starts_with("/dev/") => {
            return Err(SourceError::NoCamera {
                path: path.to_owned(),
            });
        }
        Err(source) => {
            return Err(SourceError::Open {
                path: path.to_owned(),
                source,
            });
        }
    };
    if path_kind.is_char_device() {
        return open_camera(path, options);
    }
    if path_kind.is_dir() {
        return Ok(Box::new(DirectorySource::new(path, options)?));
    }
    let file = File::open(path).map_err(|source| SourceError::Open {
        path: path.to_owned(),
        source,
    })?;
    if is_image(path) {
        return Ok(Box::new(DirectorySource::single(path, options)));
    }
    let (head, file) = peek(file, spec)?;
    if path_kind.is_file() && picture(&head).is_some() {
        return Ok(Box::new(DirectorySource::single(path, options)));
    }
    if let Some(kind) = Video::of(&head) {
        return Err(film(spec, kind, foreign::decoding_file(spec)));
    }
    match foreign::by_name(path) {
        // Its content is not known, and a film's cover picture would be found in it.
        Some(kind) if path_kind.is_file() && is_in_doubt(&head) => {
            Err(film(spec, kind, foreign::decoding_file(spec)))
        }
        _ => stream(head, file, spec, is_live(path_kind), options),
    }
}

fn open_stdin(options: &SourceOptions) -> Result<Box<dyn FrameSource>, SourceError> {
    const NAME: &str = "standard input";
    // A descriptor of our own, so that no lock is held and the source can move to its thread.
    let file = io::stdin().as_fd().try_clone_to_owned().map(File::from);
    let opened = file.and_then(|file| Ok((file.metadata()?.file_type(), file)));
    let (kind, file) = opened.map_err(|source| SourceError::Open {
        path: NAME.into(),
        source,
    })?;
    let (head, file) = peek(file, NAME)?;
    if let Some(name) = picture(&head) {
        return Err(SourceError::Foreign {
            name: NAME.to_owned(),
            what: format!("{name}, where a stream was expected"),
            advice:
                "give the file's name instead of -; a program that writes many should write Y4M or \
                     Motion JPEG (ffmpeg: -f yuv4mpegpipe or -f mjpeg)"
                    .to_owned(),
        });
    }
    if let Some(kind) = Video::of(&head) {
        let command = match kind.streams() {
            true => foreign::decoding_stdin(),
            false => foreign::decoding_file("FILE"),
        };
        let mut error = film(NAME, kind, command);
        if let (SourceError::Foreign { advice, .. }, true) = (&mut error, kind == Video::H264) {
            // What rpicam-vid writes if it is not told otherwise.
            advice.push_str(
                "; a Pi's camera spares you that: `rpicam-vid --codec mjpeg -t 0 -o - | igpt-cam --source -`",
            );
        }
        return Err(error);
    }
    stream(head, file, NAME, is_live(kind), options)
}

#[cfg(target_pointer_width = "64")]
fn open_camera(path: &Path, options: &SourceOptions) -> Result<Box<dyn FrameSource>, SourceError> {
    Ok(Box::new(super::v4l2::V4l2Source::open(path, options)?))
}

/// The kernel's structures differ on 32-bit systems; pipes work there.
#[cfg(not(target_pointer_width = "64"))]
fn open_camera(path: &Path, _options: &SourceOptions) -> Result<Box<dyn FrameSource>, SourceError> {
    Err(SourceError::NotACamera {
        path: path.to_owned(),
        reason: "V4L2 needs a 64-bit system; use rpicam-vid or ffmpeg and a pipe".to_owned(),
    })
}

fn is_live(kind: FileType) -> bool {
    kind.is_fifo() || kind.is_socket() || kind.is_char_device()
}

/// Reads as much as tells what the content is, and gives it back with the rest.
fn peek(mut file: File, name: &str) -> Result<(Vec<u8>, File), SourceError> {
    let mut head = Vec::new();
    while head.len() < HEAD_BYTES && !is_stream(&head) {
        let mut bytes = [0; HEAD_BYTES];
        let room = bytes.get_mut(head.len()..).unwrap_or_default();
        match file.read(room) {
            Ok(0) => break,
            Ok(count) => head.extend(room.iter().take(count)),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(source) => {
                return Err(SourceError::Read {
                    name: name.to_owned(),
                    source,
                });
            }
        }
    }
    Ok((head, file))
}

/// A picture's format, where it is not JPEG: a file of those is a stream of one.
fn picture(head: &[u8]) -> Option<&'static str> {
    Some(match *head {
        [0x89, b'P', b'N', b'G', b'\r', b'\n', ..] => "a PNG picture",
        [b'G', b'I', b'F', b'8', ..] => "a GIF picture",
        [
            b'R',
            b'I',
            b'F',
            b'F',
            _,
            _,
            _,
            _,
            b'W',
            b'E',
            b'B',
            b'P',
            ..,
        ] => "a WebP picture",
        [b'I', b'I', b'*', 0, ..] | [b'M', b'M', 0, b'*', ..] => "a TIFF picture",
        [b'B', b'M', _, _, _, _, 0, 0, 0, 0, ..] => "a BMP picture",
        [b'P', b'1'..=b'7', b' ' | b'\t' | b'\r' | b'\n', ..] => "a PNM picture",
        _ => return None,
    })
}

/// Whether `head` begins a stream that this app reads, beyond doubt.
fn is_stream(head: &[u8]) -> bool {
    head.starts_with(JPEG_START) || head.starts_with(Y4M_START)
}

/// Whether `head` could be the beginning of a damaged film.
fn is_in_doubt(head: &[u8]) -> bool {
    !head.is_empty() && !is_stream(head) && !lfs::is_pointer(head)
}

fn film(name: &str, kind: Video, command: String) -> SourceError {
    SourceError::Foreign {
        name: name.to_owned(),
        what: format!("{}, which igpt-cam does not decode", kind.name()),
        advice: format!("this does: `{command}`"),
    }
}

/// A Y4M stream, by its first word, or Motion JPEG, which may begin with anything.
fn stream(
    head: Vec<u8>,
    file: File,
    name: &str,
    live: bool,
    options: &SourceOptions,
) -> Result<Box<dyn FrameSource>, SourceError> {
    let nothing = match head.is_empty() {
        true => Some("is empty"),
        false => lfs::is_pointer(&head).then_some(lfs::MESSAGE),
    };
    if let Some(found) = nothing {
        return Err(SourceError::Format {
            name: name.to_owned(),
            reason: format!("expected Y4M or Motion JPEG, but it {found}"),
        });
    }
    let is_y4m = head.starts_with(Y4M_START);
    let reader = BufReader::with_capacity(BUFFER, Cursor::new(head).chain(file));
    let source: Box<dyn FrameSource> = match is_y4m {
        true => Box::new(Y4mSource::new(reader, name, options)?),
        false => Box::new(MjpegSource::new(reader, name, options)),
    };
    Ok(if live { Box::new(Live(source)) } else { source })
}

/// A stream whose producer does not wait.
struct Live(Box<dyn FrameSource>);

impl FrameSource for Live {
    fn read(&mut self, frame: &mut FrameBuffer) -> Result<ReadOutcome, SourceError> {
        self.0.read(frame)
    }

    fn describe(&self) -> String {
        format!("{} (live)", self.0.describe())
    }

    fn is_live(&self) -> bool {
        true
    }

    fn skipped(&self) -> u64 {
        self.0.skipped()
    }
}

#[cfg(test)]
mod tests;
