//! Which source a spec opens.

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
        (b"\0\0\0\x01\x67\x64\0\x28", "an H.264 stream"),
        (b"\0\0\0\x20ftypisom\0\0", "an MP4"),
        (b"RIFF\0\0\0\0AVI LIST", "-i "),
    ] {
        fs::write(at("x.mjpeg"), content).unwrap();
        let message = refused(&at("x.mjpeg")).to_string();
        assert!(
            message.contains("x.mjpeg") && message.contains(hint),
            "{message}"
        );
    }
}

#[test]
fn a_picture_is_known_by_its_content_whatever_it_is_called() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("picture.bin");
    let pam =
        b"P7\nWIDTH 2\nHEIGHT 1\nDEPTH 3\nMAXVAL 255\nTUPLTYPE RGB\nENDHDR\n\x01\x02\x03\x04\x05\x06";
    for bytes in [pam.as_slice(), b"P6 2 1 255\n\x01\x02\x03\x04\x05\x06"] {
        std::fs::write(&path, bytes).unwrap();
        let (frame, source) = first(path.to_str().unwrap());
        assert_eq!((frame.width, frame.height), (2, 1));
        assert_eq!(frame.rgb, [1, 2, 3, 4, 5, 6]);
        assert!(!source.is_live());
    }
}
