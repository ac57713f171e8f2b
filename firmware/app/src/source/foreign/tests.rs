//! Foreign video: known by what it begins with, by name, by address; and the command's words.

use super::*;

#[test]
fn films_and_streams_are_known_by_their_first_bytes() {
    for (head, kind) in [
        (b"\0\0\0\x20ftypisom".as_slice(), MP4),
        (b"\0\0\0\x08wide\0\0\x12\x34", MP4),
        (b"\0\0\x10\0moov\0\0\0\x6c", MP4),
        (b"RIFF\x12\x34\0\0AVI ", AVI),
        (b"\x1a\x45\xdf\xa3\x01\0\0\0\0\0\0\x23", MATROSKA),
        (b"\0\0\0\x01\x67\x64\0\x1f\xac\xb2", H264),
        (b"\0\0\0\x01\x27\x64\0\x28", H264),
        (b"\0\0\x01\x09\xf0\0\0\0\x01", H264),
        (b"\0\0\0\x01\x40\x01\x0c\x01", HEVC),
        (b"\0\0\0\x01\x46\x01\x50", HEVC),
        (b"\0\0\x01\xb3\x14\0\xf0", MPEG),
        (b"\0\0\x01\xba\x44", MPEG),
        (&[b"G".as_slice(), &[0; 187], b"G"].concat(), MPEG_TS),
        (b"FLV\x01\x05", FLV),
        (b"OggS\0\x02", OGG),
        (b"DKIF\0\0 \0VP80", IVF),
    ] {
        assert_eq!(by_content(head), Some(kind), "{}", head.escape_ascii());
    }
    for head in [
        b"".as_slice(),
        b"\xff\xd8\xff\xe0\0\x10JFIF",
        b"YUV4MPEG2 W64",
        b"\0\0\0\0\0\0\0\0\0\0\0\0",
        b"\r\n--frame\r\nC",
        b"G\x40\x11\x10\0\x42",
        b"GET / HTTP/1",
        b"RIFF\x12\x34\0\0WEBP",
        b"\0\0\x01\0\x01\0\x10\x10",
    ] {
        assert_eq!(by_content(head), None, "{}", head.escape_ascii());
    }
}

#[test]
fn names_and_addresses_are_known() {
    for (name, kind) in [
        ("a.mp4", MP4),
        ("dir.png/B.MOV", MP4),
        ("x.webm", MATROSKA),
        ("x.h264", H264),
        ("x.TS", MPEG_TS),
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
