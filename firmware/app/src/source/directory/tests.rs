//! Directories: the order, what is passed over and what is refused.

use super::*;
use std::fs;
use std::sync::{Arc, Mutex};

fn save(path: &Path, width: u32, height: u32, colour: [u8; 3]) {
    image::RgbImage::from_pixel(width, height, image::Rgb(colour))
        .save(path)
        .unwrap();
}

fn drain(source: &mut DirectorySource) -> (Vec<FrameBuffer>, Option<SourceError>) {
    let (mut frames, mut frame) = (Vec::new(), FrameBuffer::default());
    loop {
        match source.read(&mut frame) {
            Ok(ReadOutcome::Frame) => frames.push(frame.clone()),
            Ok(ReadOutcome::End) => return (frames, None),
            Err(error) => return (frames, Some(error)),
        }
    }
}

#[test]
fn pictures_come_in_order_and_bad_files_are_named_and_passed_over() {
    let dir = tempfile::tempdir().unwrap();
    save(&dir.path().join("frame10.png"), 3, 2, [10, 0, 0]);
    save(&dir.path().join("frame9.PNG"), 4, 5, [9, 0, 0]);
    // A PNG that is called a JPEG is still a picture.
    fs::copy(
        dir.path().join("frame10.png"),
        dir.path().join("frame11.jpg"),
    )
    .unwrap();
    let whole = fs::read(dir.path().join("frame10.png")).unwrap();
    fs::write(dir.path().join("frame1.png"), &whole[..whole.len() / 2]).unwrap();
    fs::write(dir.path().join("frame2.jpg"), b"no picture at all").unwrap();
    fs::write(dir.path().join("frame3.png"), b"").unwrap();
    // A decoder that tolerates this would show half a picture.
    let jpeg = super::super::jpeg::tests::sample(20, 20, 3);
    fs::write(dir.path().join("frame3b.jpg"), &jpeg[..jpeg.len() - 40]).unwrap();
    // A header that claims 3.6 gigapixels.
    let mut huge = whole.clone();
    huge[16..24].copy_from_slice(&[0, 0, 0xea, 0x60, 0, 0, 0xea, 0x60]);
    let crc = crc32fast::hash(&huge[12..29]).to_be_bytes();
    huge[29..33].copy_from_slice(&crc);
    fs::write(dir.path().join("frame4.png"), &huge).unwrap();
    std::os::unix::fs::symlink("nowhere", dir.path().join("frame5.png")).unwrap();
    // No part of the stream.
    fs::write(dir.path().join("labels.txt"), b"x").unwrap();
    fs::write(dir.path().join(".frame0.png"), b"x").unwrap();
    // A directory, whatever it is called, and one that a link leads to.
    fs::create_dir(dir.path().join("frame0.png")).unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    save(&elsewhere.path().join("a.png"), 2, 2, [77, 0, 0]);
    std::os::unix::fs::symlink(elsewhere.path(), dir.path().join("frame12")).unwrap();
    std::os::unix::fs::symlink(dir.path(), dir.path().join("frame0.png/round")).unwrap();

    let reports = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&reports);
    let options = SourceOptions {
        on_skipped: Some(Arc::new(move |s| sink.lock().unwrap().push(s.clone()))),
        ..SourceOptions::default()
    };
    let mut source = DirectorySource::new(dir.path(), &options).unwrap();
    let (frames, error) = drain(&mut source);
    assert!(error.is_none());
    let seen: Vec<_> = frames
        .iter()
        .map(|f| (f.seq, f.name.as_deref(), f.width, f.height, f.rgb[0]))
        .collect();
    assert_eq!(
        seen,
        [
            (0, Some("frame9.PNG"), 4, 5, 9),
            (1, Some("frame10.png"), 3, 2, 10),
            (2, Some("frame11.jpg"), 3, 2, 10),
            (3, Some("frame12/a.png"), 2, 2, 77)
        ]
    );
    let reports = reports.lock().unwrap();
    let names: Vec<_> = reports
        .iter()
        .map(|s| s.name.rsplit('/').next().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "round",
            "frame1.png",
            "frame2.jpg",
            "frame3.png",
            "frame3b.jpg",
            "frame4.png",
            "frame5.png"
        ]
    );
    assert!(reports[0].reason.contains("link"), "{}", reports[0].reason);
    assert!(
        reports[5].reason.contains("size") || reports[5].reason.contains("60000"),
        "{}",
        reports[5].reason
    );
    assert_eq!(source.skipped(), 7);
    assert!(source.describe().contains("1 other file left out"));
}

#[test]
fn nothing_to_show_is_an_error_that_names_the_directory() {
    let dir = tempfile::tempdir().unwrap();
    let options = SourceOptions::default();
    fs::write(dir.path().join("labels.txt"), b"x").unwrap();
    let error = DirectorySource::new(dir.path(), &options).unwrap_err();
    assert!(
        matches!(error, SourceError::EmptyDirectory { others: 1, .. }),
        "{error}"
    );
    assert!(error.to_string().contains(dir.path().to_str().unwrap()));

    let missing = dir.path().join("missing");
    let error = DirectorySource::new(&missing, &options).unwrap_err();
    assert!(matches!(error, SourceError::Open { .. }), "{error}");

    // All broken: found out at the end, and the last one is named.
    fs::write(dir.path().join("a.png"), b"x").unwrap();
    let (frames, error) = drain(&mut DirectorySource::new(dir.path(), &options).unwrap());
    assert!(frames.is_empty());
    assert!(error.unwrap().to_string().contains("a.png"));
}

#[test]
fn a_picture_turned_by_its_camera_is_turned_back() {
    // Orientation 6: the camera was held so that the top of the scene is at the right.
    let exif = b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
    let jpeg = super::super::jpeg::tests::sample(20, 10, 3);
    let length = (exif.len() as u16 + 2).to_be_bytes();
    let turned = [&jpeg[..2], &[0xff, 0xe1], &length, exif, &jpeg[2..]].concat();
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a.jpg"), &turned).unwrap();
    let mut source = DirectorySource::single(&dir.path().join("a.jpg"), &SourceOptions::default());
    let (frames, error) = drain(&mut source);
    assert!(error.is_none());
    assert_eq!((frames[0].width, frames[0].height), (10, 20));
}
