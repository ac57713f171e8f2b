//! From a spec on the command line to a source.

use std::fs::{self, File, FileType};
use std::io::{self, BufRead, BufReader, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use igpt_runtime::image_names::is_image;
use igpt_runtime::lfs;

use super::{
    DirectorySource, FrameBuffer, FrameSource, MjpegSource, PatternSource, ReadOutcome,
    SourceError, SourceOptions, Y4mSource,
};

/// Bytes read at once from files and pipes.
const BUFFER: usize = 1 << 16;

/// Opens the source that `spec` names:
///
/// | spec | source |
/// |---|---|
/// | a directory | its pictures, in the natural order of their names |
/// | a `.png`, `.jpg` or other picture file | that picture |
/// | another file, or a named pipe | Y4M or Motion JPEG, told apart by the first byte |
/// | `-` | the same from standard input |
/// | a character device, such as `/dev/video0` | a V4L2 camera |
/// | `pattern`, `pattern:WIDTHxHEIGHT` | a synthetic moving picture |
///
/// A pipe is live (see [`FrameSource::is_live`]); standard input that is a file is not.
///
/// # Errors
/// [`SourceError::UnknownSpec`] for a spec that is none of these, and whatever opening finds.
pub fn open(spec: &str, options: &SourceOptions) -> Result<Box<dyn FrameSource>, SourceError> {
    if spec == "pattern" || spec.starts_with("pattern:") {
        return Ok(Box::new(PatternSource::from_spec(spec, options)?));
    }
    if spec == "-" {
        return open_stdin(options);
    }
    let path = Path::new(spec);
    let kind = match fs::metadata(path) {
        Ok(metadata) => metadata.file_type(),
        Err(_) if spec.is_empty() => {
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
    if kind.is_char_device() {
        return open_camera(path, options);
    }
    if kind.is_dir() {
        return Ok(Box::new(DirectorySource::new(path, options)?));
    }
    let file = File::open(path).map_err(|source| SourceError::Open {
        path: path.to_owned(),
        source,
    })?;
    if is_image(path) {
        return Ok(Box::new(DirectorySource::single(path, options)));
    }
    sniff(
        BufReader::with_capacity(BUFFER, file),
        spec,
        is_live(kind),
        options,
    )
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
    sniff(
        BufReader::with_capacity(BUFFER, file),
        NAME,
        is_live(kind),
        options,
    )
}

#[cfg(target_pointer_width = "64")]
fn open_camera(path: &Path, options: &SourceOptions) -> Result<Box<dyn FrameSource>, SourceError> {
    Ok(Box::new(super::V4l2Source::open(path, options)?))
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

/// Chooses the format by the first byte: nothing else starts like either.
fn sniff<R: Read + Send + 'static>(
    mut reader: BufReader<R>,
    name: &str,
    live: bool,
    options: &SourceOptions,
) -> Result<Box<dyn FrameSource>, SourceError> {
    while let Err(source) = reader.fill_buf() {
        if source.kind() != io::ErrorKind::Interrupted {
            return Err(SourceError::Read {
                name: name.to_owned(),
                source,
            });
        }
    }
    // Filled now, or at its end.
    let head = reader.buffer();
    let source: Box<dyn FrameSource> = match *head {
        [b'Y', ..] => Box::new(Y4mSource::new(reader, name, options)?),
        [0xff, ..] => Box::new(MjpegSource::new(reader, name, options)),
        _ => {
            let found = match *head {
                [] => "it is empty".to_owned(),
                _ if lfs::is_pointer(head) => format!("it {}", lfs::MESSAGE),
                [0, 0, 0, 1, ..] | [0, 0, 1, ..] => {
                    "it looks like H.264 (`rpicam-vid --codec mjpeg` writes Motion JPEG)".to_owned()
                }
                _ => format!(
                    "it begins with \"{}\"",
                    head.get(..16).unwrap_or(head).escape_ascii()
                ),
            };
            return Err(SourceError::Format {
                name: name.to_owned(),
                reason: format!("expected Y4M or Motion JPEG, but {found}"),
            });
        }
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
mod tests {
    use super::super::jpeg::tests::sample;
    use super::*;

    fn first(spec: &str) -> (FrameBuffer, Box<dyn FrameSource>) {
        let mut source = open(spec, &SourceOptions::default()).unwrap();
        let mut frame = FrameBuffer::default();
        assert_eq!(source.read(&mut frame).unwrap(), ReadOutcome::Frame);
        (frame, source)
    }

    fn refused(spec: &str) -> SourceError {
        open(spec, &SourceOptions::default())
            .err()
            .unwrap_or_else(|| panic!("{spec} was opened"))
    }

    #[test]
    fn the_content_decides_between_y4m_and_mjpeg() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
        fs::write(at("a.mjpeg"), b"YUV4MPEG2 W1 H1 Cmono\nFRAME\n\x80").unwrap();
        fs::write(at("b"), sample(8, 6, 1)).unwrap();
        let (frame, source) = first(&at("a.mjpeg"));
        assert_eq!((frame.width, source.is_live()), (1, false));
        assert!(source.describe().contains("Y4M 1x1"));
        assert_eq!(first(&at("b")).0.width, 8);
        // A picture by its name keeps it.
        fs::write(at("c.jpg"), sample(8, 6, 1)).unwrap();
        assert_eq!(first(&at("c.jpg")).0.name.as_deref(), Some("c.jpg"));
        assert_eq!(
            first(dir.path().to_str().unwrap()).0.name.as_deref(),
            Some("c.jpg")
        );
    }

    #[test]
    fn a_named_pipe_is_live() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("camera");
        let made = std::process::Command::new("mkfifo")
            .arg(&path)
            .status()
            .unwrap();
        assert!(made.success());
        let target = path.clone();
        let writer = std::thread::spawn(move || fs::write(target, sample(8, 6, 1)).unwrap());
        let (frame, source) = first(path.to_str().unwrap());
        assert_eq!((frame.width, frame.height), (8, 6));
        assert!(source.is_live() && source.describe().ends_with("(live)"));
        writer.join().unwrap();
    }

    #[test]
    fn what_cannot_be_a_source_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
        assert!(matches!(refused(""), SourceError::UnknownSpec { .. }));
        assert!(matches!(
            refused(&at("missing.y4m")),
            SourceError::Open { .. }
        ));
        assert!(matches!(
            refused(dir.path().to_str().unwrap()),
            SourceError::EmptyDirectory { .. }
        ));
        let camera = refused("/dev/video987");
        assert!(matches!(camera, SourceError::NoCamera { .. }) && camera.is_retryable());
        assert!(camera.to_string().contains("/dev/video987"));
        for (content, hint) in [
            (b"".as_slice(), "empty"),
            (b"\0\0\0\x01\x67", "--codec mjpeg"),
            (b"RIFF\0\0", "RIFF\\x00"),
        ] {
            fs::write(at("x.mjpeg"), content).unwrap();
            let message = refused(&at("x.mjpeg")).to_string();
            assert!(
                message.contains("x.mjpeg") && message.contains(hint),
                "{message}"
            );
        }
    }
}
