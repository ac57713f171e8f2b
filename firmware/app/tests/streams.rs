//! Streams as ffmpeg and GStreamer write them (`tests/golden/streams.sh`), and in every broken shape of
//! them that was met: what comes out is the pictures, and nothing that is none is counted.
#![cfg(target_os = "linux")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use igpt_firmware::source::{FrameBuffer, ReadOutcome, SourceOptions, open};

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/golden/streams")
        .join(name)
}

/// All frames of a file, and what was skipped.
fn read(path: &Path) -> (Vec<FrameBuffer>, Vec<String>) {
    let skipped = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&skipped);
    let options = SourceOptions {
        on_skipped: Some(Arc::new(move |s| {
            sink.lock()
                .unwrap()
                .push(format!("{}: {}", s.name, s.reason));
        })),
        ..SourceOptions::default()
    };
    let mut source = open(path.to_str().unwrap(), &options).unwrap();
    let (mut frames, mut frame) = (Vec::new(), FrameBuffer::default());
    while source.read(&mut frame).unwrap() == ReadOutcome::Frame {
        frames.push(frame.clone());
    }
    let skipped = skipped.lock().unwrap().clone();
    (frames, skipped)
}

fn pixels(frames: &[FrameBuffer]) -> Vec<&[u8]> {
    frames.iter().map(|frame| frame.rgb.as_slice()).collect()
}

#[test]
fn multipart_bodies_hold_the_pictures_of_the_plain_stream() {
    for (plain, multipart, count) in [
        ("ffmpeg.mjpeg", "ffmpeg-multipart.mjpeg", 3),
        ("gstreamer.mjpeg", "gstreamer-multipart.mjpeg", 2),
    ] {
        let (plain, _) = read(&golden(plain));
        let (frames, skipped) = read(&golden(multipart));
        assert_eq!(frames.len(), count);
        assert!(pixels(&frames) == pixels(&plain), "{multipart}");
        assert!(skipped.is_empty(), "{skipped:?}");
    }
}

#[test]
fn multipart_bodies_of_pictures_without_end_markers_too() {
    let dir = tempfile::tempdir().unwrap();
    let stream = fs::read(golden("ffmpeg-multipart.mjpeg")).unwrap();
    let mut bare = Vec::new();
    let mut rest = stream.as_slice();
    while let Some(end) = rest.windows(2).position(|two| two == b"\xff\xd9") {
        bare.extend_from_slice(&rest[..end]);
        rest = &rest[end + 2..];
    }
    bare.extend_from_slice(rest);
    assert_eq!(bare.len() + 6, stream.len());
    let path = dir.path().join("bare");
    fs::write(&path, bare).unwrap();
    let (frames, skipped) = read(&path);
    assert!(pixels(&frames) == pixels(&read(&golden("ffmpeg.mjpeg")).0));
    assert!(skipped.is_empty(), "{skipped:?}");
}

#[test]
fn limited_range_is_stretched_where_ffmpeg_says_so() {
    let (full, _) = read(&golden("ffmpeg.mjpeg"));
    let (limited, _) = read(&golden("ffmpeg-limited.mjpeg"));
    // The same pictures, encoded twice: near each other on the average, not 14 % apart.
    let bytes = full
        .iter()
        .zip(&limited)
        .flat_map(|(a, b)| a.rgb.iter().zip(&b.rgb));
    let (mut apart, mut sums, mut count) = (0f64, [0f64; 2], 0f64);
    for (&a, &b) in bytes {
        apart += f64::from(a.abs_diff(b));
        sums = [sums[0] + f64::from(a), sums[1] + f64::from(b)];
        count += 1.0;
    }
    assert!(apart / count < 6.0, "{} apart", apart / count);
    assert!((sums[0] - sums[1]).abs() / count < 1.5, "{sums:?}");
}

#[test]
fn gstreamers_bars_stand_upright() {
    for layout in ["I420", "Y42B", "Y41B", "Y444"] {
        let (frames, skipped) = read(&golden(&format!("gstreamer-{layout}.y4m")));
        assert_eq!((frames.len(), skipped.len()), (2, 0), "{layout}");
        for frame in &frames {
            assert_eq!((frame.width, frame.height), (30, 22));
            // The upper two thirds are seven bars: every row is the first one. Then white, yellow, ... blue.
            let rows: Vec<_> = frame.rgb.chunks_exact(90).collect();
            assert!(rows[1..14].iter().all(|row| *row == rows[0]), "{layout}");
            let [white, blue] = [0, 28].map(|x| &rows[0][3 * x..3 * x + 3]);
            assert!(white.iter().all(|c| *c > 250), "{layout}: {white:?}");
            assert!(
                blue[0] < 8 && blue[1] < 8 && blue[2] > 180,
                "{layout}: {blue:?}"
            );
        }
    }
}
