//! Foreign video: known by name, by address; and the command's words.

use super::*;

#[test]
fn names_and_addresses_are_known() {
    for (name, kind) in [
        ("a.mp4", Video::Mp4),
        ("dir.png/B.MOV", Video::Mp4),
        ("x.webm", Video::Matroska),
        ("x.h264", Video::H264),
        ("x.TS", Video::MpegTs),
    ] {
        assert_eq!(by_name(Path::new(name)), Some(kind));
    }
    for name in ["a.y4m", "a.mjpeg", "mp4", "a.mp4/b"] {
        assert_eq!(by_name(Path::new(name)), None);
    }
    assert!(is_address("rtsp://camera/1") && is_address("HTTP://camera:8080/?action=stream"));
    assert!(!is_address("camera:8080") && !is_address("C://x") && !is_address("pattern:4x4"));
}

#[test]
fn commands_survive_a_shell() {
    assert!(decoding_file("a b'c.mp4").contains(r"-i 'a b'\''c.mp4' -vf"));
    assert!(decoding_file("-x.mp4").contains("-i ./-x.mp4 "));
    assert!(
        fetching("http://camera/?action=stream&x=1")
            .contains("curl -sSNf 'http://camera/?action=stream&x=1' | igpt-cam --source -")
    );
    assert!(fetching("rtsp://camera/1").contains("-rtsp_transport tcp -i rtsp://camera/1 -vf"));
    assert!(decoding_stdin().starts_with("... | ffmpeg -loglevel error -i - -vf"));
}
