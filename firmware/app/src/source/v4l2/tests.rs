//! What can be tested of a camera without one.

use super::*;

#[test]
fn gaps_count_what_is_missing() {
    let mut gaps = Gaps::default();
    let numbers = [7, 8, 11, 11, 12, 3, 4, u32::MAX, 0, 2];
    let got: Vec<_> = numbers.into_iter().map(|n| gaps.before(n)).collect();
    assert_eq!(got, [0, 0, 2, 0, 0, 0, 0, 0, 0, 1]);
}

#[test]
fn the_preferred_format_on_offer_is_chosen() {
    let code = |name: &[u8; 4]| u32::from_le_bytes(*name);
    assert_eq!(
        choose(&[code(b"MJPG"), code(b"YUYV")]),
        Some(PixelFormat::Yuyv)
    );
    assert_eq!(
        choose(&[code(b"H264"), code(b"MJPG")]),
        Some(PixelFormat::Mjpg)
    );
    assert_eq!(choose(&[code(b"H264"), code(b"pRAA")]), None);
    assert_eq!(list([code(b"H264"), code(b"pRAA")]), "H264, pRAA");
}

#[test]
fn a_device_that_is_no_camera_is_left_alone_and_named() {
    let error = V4l2Source::open(Path::new("/dev/null"), &SourceOptions::default())
        .err()
        .unwrap();
    assert!(matches!(error, SourceError::NotACamera { .. }), "{error}");
    let message = error.to_string();
    assert!(
        message.starts_with("/dev/null: not a camera") && message.contains("1:3"),
        "{message}"
    );
    assert!(!error.is_retryable());
}

#[test]
fn a_missing_camera_says_where_to_look() {
    let error = V4l2Source::open(Path::new("/dev/video987"), &SourceOptions::default())
        .err()
        .unwrap();
    let message = error.to_string();
    assert!(
        message.contains("/dev/video987") && message.contains("ls /dev/video*"),
        "{message}"
    );
    assert!(error.is_retryable());
}

#[test]
fn an_unplugged_camera_is_told_from_one_that_fails() {
    let path = Path::new("/dev/video0");
    let gone = camera_error(path, "VIDIOC_DQBUF", Errno::NODEV);
    assert!(matches!(gone, SourceError::Disconnected { .. }) && gone.is_retryable());
    let busy = camera_error(path, "VIDIOC_S_FMT", Errno::BUSY);
    assert!(matches!(busy, SourceError::Camera { .. }) && busy.is_retryable());
    assert!(busy.to_string().contains("VIDIOC_S_FMT"), "{busy}");
}

#[test]
fn kernel_strings_end_at_their_nul() {
    assert_eq!(text(b"vivid\0\0rest"), "vivid");
    assert_eq!(text(b"full"), "full");
    assert_eq!(text(b"\xff\0"), "\u{fffd}");
}
