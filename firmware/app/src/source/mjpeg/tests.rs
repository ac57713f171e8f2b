//! Streams of JPEGs, whole and damaged.

use super::super::jpeg::tests::sample;
use super::*;
use std::sync::{Arc, Mutex};

type Reports = Arc<Mutex<Vec<String>>>;

fn open(stream: &[u8]) -> (MjpegSource<&[u8]>, Reports) {
    let reports = Reports::default();
    let sink = Arc::clone(&reports);
    let options = SourceOptions {
        on_skipped: Some(Arc::new(move |s| {
            sink.lock()
                .unwrap()
                .push(format!("{}: {}", s.name, s.reason));
        })),
        ..SourceOptions::default()
    };
    (MjpegSource::new(stream, "test.mjpeg", &options), reports)
}

#[test]
fn pictures_come_in_order_and_sizes_may_change() {
    let stream = [sample(32, 24, 1), sample(48, 16, 2), sample(32, 24, 1)].concat();
    let (mut source, reports) = open(&stream);
    let mut frames = Vec::new();
    let mut frame = FrameBuffer::default();
    while source.read(&mut frame).unwrap() == ReadOutcome::Frame {
        frames.push(frame.clone());
    }
    let shape: Vec<_> = frames.iter().map(|f| (f.seq, f.width, f.height)).collect();
    assert_eq!(shape, [(0, 32, 24), (1, 48, 16), (2, 32, 24)]);
    assert_eq!(frames[0].rgb, frames[2].rgb);
    assert_eq!((source.skipped(), reports.lock().unwrap().len()), (0, 0));
}

#[test]
fn broken_pictures_are_named_and_passed_over() {
    let mut corrupt = sample(32, 24, 3);
    // A frame header that claims no components.
    let sof = corrupt.windows(2).position(|w| w == [0xff, 0xc0]).unwrap();
    corrupt[sof + 9] = 0;
    let half = &sample(32, 24, 4)[..300];
    let good = sample(32, 24, 5);
    let stream = [b"noise", corrupt.as_slice(), &good, half].concat();
    let (mut source, reports) = open(&stream);
    let mut frame = FrameBuffer::default();
    assert_eq!(source.read(&mut frame).unwrap(), ReadOutcome::Frame);
    assert_eq!(frame.seq, 0);
    assert_eq!(source.read(&mut frame).unwrap(), ReadOutcome::End);
    let reports = reports.lock().unwrap();
    assert_eq!((reports.len(), source.skipped()), (2, 2), "{reports:?}");
    assert!(
        reports[0].contains("bytes from offset 5: broken JPEG"),
        "{}",
        reports[0]
    );
    assert!(
        reports[1].contains("300 bytes") && reports[1].contains("ends inside"),
        "{}",
        reports[1]
    );
}

#[test]
fn a_stream_without_a_picture_is_an_error() {
    let zeros = vec![0u8; MAX_FRAME_BYTES + 5];
    for (stream, words) in [
        (b"".as_slice(), "in its 0 bytes"),
        (b"hello", "begins with \"hello\""),
        (&zeros, "no JPEG within 16 MiB"),
        (b"\xff\xd8\xff\xd9", "1 skipped"),
    ] {
        let (mut source, _) = open(stream);
        let error = source.read(&mut FrameBuffer::default()).unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
    }
}

/// Reads to the end: the frames' pixels, and the reports.
fn drain(stream: &[u8]) -> (Vec<Vec<u8>>, Vec<String>) {
    let (mut source, reports) = open(stream);
    let (mut frames, mut frame) = (Vec::new(), FrameBuffer::default());
    while let Ok(ReadOutcome::Frame) = source.read(&mut frame) {
        frames.push(frame.rgb.clone());
    }
    let reports = reports.lock().unwrap().clone();
    assert_eq!(source.skipped(), reports.len() as u64);
    (frames, reports)
}

#[test]
fn what_lies_between_pictures_is_no_loss() {
    let pictures = [sample(32, 24, 1), sample(48, 16, 2), sample(32, 24, 3)];
    let plain = drain(&pictures.concat()).0;
    assert_eq!(plain.len(), 3);
    let noise: Vec<u8> = (0..5000u32).map(|i| ((i * i) >> 3) as u8 & 0x7f).collect();
    for between in [
        b"\r\n".as_slice(),
        b"\r\n--frame\r\nContent-Type: image/jpeg\r\nContent-Length: 1000\r\n\r\n",
        b"--frame\nContent-type: image/jpeg\n\n",
        &[0; 4096],
        &[0xff; 77],
        &[0xff, 0xd9, 0xff, 0xd9],
        &[0xff, 0xd8, 0x00],
        &noise,
    ] {
        for ends in [0, 2] {
            // With `ends` at 2 the pictures lack their end markers, which text or zeros do not hide.
            if ends == 2
                && (between.starts_with(b"--") || between == noise || between.contains(&0xd8))
            {
                continue;
            }
            let stream: Vec<u8> = pictures
                .iter()
                .flat_map(|jpeg| [between, &jpeg[..jpeg.len() - ends]].concat())
                .chain(between.iter().copied())
                .collect();
            let (frames, reports) = drain(&stream);
            assert!(frames == plain, "{} frames, {reports:?}", frames.len());
            // A stream that begins with an end marker was joined in a picture's last byte.
            let joined = usize::from(between.contains(&0xd9));
            assert_eq!(reports.len(), joined, "{reports:?}");
        }
    }
}

#[test]
fn a_stream_may_be_joined_anywhere() {
    let pictures = [sample(32, 24, 1), sample(48, 16, 2)];
    let stream = pictures.concat();
    let plain = drain(&stream).0;
    for from in 1..pictures[0].len() {
        let (frames, reports) = drain(&stream[from..]);
        assert!(frames == plain[1..], "from {from}: {} frames", frames.len());
        assert!(reports.len() <= 1, "{reports:?}");
    }
}

/// A picture with a smaller one in an EXIF segment.
fn with_thumbnail(seed: u8) -> Vec<u8> {
    let thumbnail = sample(16, 16, seed);
    let content = [b"Exif\0\0II*\0\x08\0\0\0", thumbnail.as_slice(), &[0; 3]].concat();
    let [high, low] = (content.len() as u16 + 2).to_be_bytes();
    let app = [&[0xff, 0xe1, high, low], content.as_slice()].concat();
    let mut jpeg = sample(64, 48, seed);
    jpeg.splice(2..2, app);
    jpeg
}

#[test]
fn a_picture_cut_anywhere_costs_no_other() {
    for thumbnails in [false, true] {
        let frame = |seed| match thumbnails {
            true => with_thumbnail(seed),
            false => sample(64, 48, seed),
        };
        let good = [1, 2, 3, 4].map(frame);
        let bad = frame(9);
        let plain = drain(&good.concat()).0;
        let thumbnail = drain(&sample(16, 16, 9)).0.remove(0);
        let end = 20 + sample(16, 16, 9).len();
        for cut in 4..bad.len() - 2 {
            let stream = [&good[0], &bad[..cut], &good[1], &good[2], &good[3]].concat();
            let (mut frames, reports) = drain(&stream);
            // Between the thumbnail's end and the next segment it looks like a frame of its own. Without the
            // last byte of its end marker it is complete all the same.
            if thumbnails && (end - 2..end + 6).contains(&cut) {
                frames.retain(|pixels| *pixels != thumbnail);
            }
            assert!(frames == plain, "cut at {cut}: {} frames", frames.len());
            assert_eq!(reports.len(), 1, "cut at {cut}: {reports:?}");
        }
    }
}

#[test]
fn a_stream_joined_in_an_exif_segment_does_not_begin_with_the_thumbnail() {
    let (first, second) = (with_thumbnail(1), with_thumbnail(2));
    let plain = drain(&second).0;
    let thumbnail = 20;
    for from in (1..first.len()).filter(|&from| from != thumbnail) {
        let (frames, reports) = drain(&[&first[from..], &second].concat());
        assert!(frames == plain, "from {from}: {} frames", frames.len());
        assert!(reports.len() <= 1, "from {from}: {reports:?}");
    }
    let (_, reports) = drain(&[&first[10..], &second].concat());
    assert!(
        reports[0].contains("from offset 10: the thumbnail of a picture"),
        "{reports:?}"
    );
}

#[test]
fn pictures_without_end_markers_are_decoded_if_complete_and_refused_if_cut() {
    let pictures = [sample(64, 48, 1), sample(64, 48, 2), sample(64, 48, 3)];
    let plain = drain(&pictures.concat()).0;
    let bare = pictures.each_ref().map(|jpeg| &jpeg[..jpeg.len() - 2]);
    let (frames, reports) = drain(&bare.concat());
    assert!(frames == plain && reports.is_empty(), "{reports:?}");
    // One byte, and then more, of the picture's data is missing.
    for cut in [4, 20, 400] {
        let middle = &bare[1][..bare[1].len() - cut];
        let (frames, reports) = drain(&[bare[0], middle, bare[2]].concat());
        assert!(
            frames == [plain[0].clone(), plain[2].clone()],
            "cut by {cut}: {} frames",
            frames.len()
        );
        assert!(
            reports.len() == 1 && reports[0].contains("a JPEG without an end: "),
            "{reports:?}"
        );
    }
}
