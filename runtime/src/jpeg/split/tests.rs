//! The splitter: where pictures are cut, what is garbage, and what hostile streams cost.

use super::marker::{EOI, SOI, SOS};
use super::*;
use std::io::{BufReader, Cursor, Read};

/// Hands out `step` bytes at a time, so that every marker gets cut by a buffer's end.
struct Dribble<'a>(&'a [u8], usize);

impl Read for Dribble<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.1.min(out.len()).min(self.0.len());
        out[..count].copy_from_slice(&self.0[..count]);
        self.0 = &self.0[count..];
        Ok(count)
    }
}

/// What a stream came apart into.
#[derive(Debug, Default, PartialEq)]
struct Split {
    jpegs: Vec<Vec<u8>>,
    unended: Vec<Vec<u8>>,
    /// How many of those are part of what was broken before.
    in_rest: usize,
    broken: Vec<(u64, &'static str)>,
    between: u64,
}

fn split_by(bytes: &[u8], step: usize) -> Split {
    split_with(bytes, step, |_| true)
}

/// Splits, and rejects the pictures that do not decode.
fn split_with(bytes: &[u8], step: usize, decodes: impl Fn(&[u8]) -> bool) -> Split {
    let mut splitter = JpegSplitter::new(BufReader::with_capacity(step, Dribble(bytes, step)));
    let (mut split, mut frame) = (Split::default(), Vec::new());
    let mut total = 0;
    loop {
        total += match splitter.next(&mut frame).unwrap() {
            Piece::Jpeg if !decodes(&frame) => {
                splitter.reject(&mut frame);
                split.broken.push((frame.len() as u64, "rejected"));
                frame.len() as u64
            }
            Piece::Jpeg => {
                split.jpegs.push(frame.clone());
                frame.len() as u64
            }
            Piece::Unended { in_rest, .. } => {
                split.in_rest += usize::from(in_rest);
                split.unended.push(frame.clone());
                splitter.reject(&mut frame);
                frame.len() as u64
            }
            Piece::Broken { bytes, reason } => {
                split.broken.push((bytes, reason));
                bytes
            }
            Piece::Between { bytes } => {
                split.between += bytes;
                bytes
            }
            Piece::End => break,
        };
        assert_eq!(splitter.offset(), total);
    }
    assert_eq!(total, bytes.len() as u64, "every byte is in one piece");
    split
}

/// Splits with several buffer sizes, which must not matter.
fn split(bytes: &[u8]) -> Split {
    let whole = split_by(bytes, 1 << 16);
    for step in [1, 2, 3, 7] {
        assert_eq!(split_by(bytes, step), whole, "step {step}");
    }
    whole
}

/// Splits a stream of whole pictures.
fn pictures_of(bytes: &[u8]) -> Vec<Vec<u8>> {
    let split = split(bytes);
    assert!(
        split.unended.is_empty() && split.broken.is_empty(),
        "{split:?}"
    );
    split.jpegs
}

fn segment(code: u8, content: &[u8]) -> Vec<u8> {
    let length = (content.len() as u16 + 2).to_be_bytes();
    [&[0xff, code, length[0], length[1]], content].concat()
}

/// A picture in structure: segments, a scan with stuffed 0xff and restart markers, the end.
fn picture(id: u8) -> Vec<u8> {
    let scan: &[u8] = &[
        id, 0xff, 0x00, 0x11, 0xff, 0xd0, 0x22, 0xff, 0xd7, 0xff, 0x00, id,
    ];
    [
        &[0xff, SOI],
        segment(0xdb, &[id; 65]).as_slice(),
        &segment(SOS, &[1, 1, 0, 0, 63, 0]),
        scan,
        &[0xff, EOI],
    ]
    .concat()
}

#[test]
fn pictures_in_a_row_come_apart() {
    let pictures: Vec<_> = (0..5).map(picture).collect();
    assert_eq!(pictures_of(&pictures.concat()), pictures);
    assert_eq!(split(&[]), Split::default());
}

#[test]
fn thumbnails_comments_and_progressive_scans_do_not_cut() {
    let thumbnail = picture(9);
    let progressive = [
        &[0xff, SOI],
        segment(0xe1, &[b"Exif\0\0".as_slice(), &thumbnail].concat()).as_slice(),
        &segment(0xfe, &[0xff, EOI, 0xff, SOI, 0xff, 0xd8]),
        // Fill bytes before a marker.
        &[0xff, 0xff, 0xff],
        &segment(0xc4, &[1, 2, 3]),
        &segment(SOS, &[1]),
        &[5, 6, 0xff, 0x00, 7, 0xff],
        &segment(0xc4, &[0xff, EOI]),
        &segment(SOS, &[2]),
        &[8, 0xff, EOI],
    ]
    .concat();
    let stream = [progressive.clone(), picture(1), progressive.clone()].concat();
    assert_eq!(
        pictures_of(&stream),
        [progressive.clone(), picture(1), progressive]
    );
}

#[test]
fn what_lies_between_pictures_is_neither_lost_nor_broken() {
    let noise: &[u8] = b"HTTP/1.1 200 OK\r\n\xff\xff\x00\xff\xd8\x00\xff\xd8";
    let stream = [
        noise,
        &picture(1),
        b"\xff\xd9\xff",
        &picture(2),
        b"\r\n--frame\r\n\xff",
    ]
    .concat();
    let split = split(&stream);
    assert_eq!(split.jpegs, [picture(1), picture(2)]);
    assert!(split.broken.is_empty(), "{split:?}");
    assert_eq!(split.between, noise.len() as u64 + 3 + 12);
}

#[test]
fn a_picture_without_its_beginning_is_counted_once() {
    let headless = &picture(7)[5..];
    let split = split(
        &[
            headless,
            &picture(1),
            headless,
            &picture(2),
            &[0; 40],
            headless,
        ]
        .concat(),
    );
    assert_eq!(split.jpegs, [picture(1), picture(2)]);
    let reasons: Vec<_> = split.broken.iter().map(|(_, reason)| *reason).collect();
    assert_eq!(reasons.len(), 3, "{reasons:?}");
    assert!(reasons[0].contains("joined") && reasons[1].contains("without its beginning"));
}

#[test]
fn a_picture_that_is_given_up_is_counted_once() {
    let mut damaged = picture(3);
    // The length of its first segment: of more tables than there can be.
    damaged[4] = 0x7f;
    let split = split(&[&picture(0), damaged.as_slice(), &picture(1)].concat());
    assert_eq!(split.jpegs, [picture(0), picture(1)]);
    assert_eq!(split.broken, [(6, "a segment of an impossible length")]);
    assert_eq!(split.between, damaged.len() as u64 - 6);
}

#[test]
fn a_picture_cut_short_by_the_next_one_costs_only_itself() {
    let whole = picture(1);
    let scan = whole.len() - 14;
    let rest: Vec<_> = (0..40).map(picture).collect();
    for cut in 3..whole.len() {
        let split = split(&[&picture(0), &whole[..cut], &rest.concat()].concat());
        assert_eq!(split.jpegs[0], picture(0));
        assert!(split.jpegs[1..] == rest, "cut at {cut}: {split:?}");
        if cut >= scan {
            assert_eq!(split.unended, [whole[..cut].to_vec()]);
        } else {
            assert!(split.unended.is_empty());
        }
    }
}

#[test]
fn stray_bytes_and_false_markers_in_a_scan_end_no_picture() {
    let (start, end) = (&picture(1)[..85], &picture(1)[85..]);
    for stray in [
        b"\x01\x02\x03\xff\xd4".as_slice(),
        b"\xff\xc0\xff\xfe",
        b"\xff\xe5\xff\xff",
        b"\xff\x02\xff\xd8\x07",
        b"\xff\xff\xff\x00",
    ] {
        let stream = [start, stray, end, &picture(2)].concat();
        let jpegs = pictures_of(&stream);
        assert_eq!(jpegs[0].len(), picture(1).len() + stray.len(), "{stray:x?}");
        assert_eq!(jpegs[1], picture(2));
    }
}

#[test]
fn a_stream_cut_anywhere_keeps_its_whole_pictures() {
    let stream = [picture(0), picture(1)].concat();
    let scan = picture(0).len() - 14;
    for cut in 0..=stream.len() {
        let split = split(&stream[..cut]);
        assert_eq!(split.jpegs.len(), cut / picture(0).len());
        let into = cut % picture(0).len();
        // So little could be anything.
        assert_eq!(split.between > 0, matches!(into, 1 | 2), "cut at {cut}");
        assert_eq!(
            !split.broken.is_empty(),
            (3..scan).contains(&into),
            "cut at {cut}"
        );
        assert_eq!(!split.unended.is_empty(), into >= scan, "cut at {cut}");
    }
}

#[test]
fn flipped_bits_never_panic_and_the_bytes_add_up() {
    let stream = [picture(0), picture(1), picture(2)].concat();
    for bit in 0..stream.len() * 8 {
        let mut damaged = stream.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        split_by(&damaged, 5);
    }
}

#[test]
fn endless_pictures_and_endless_garbage_are_bounded() {
    let prefix = [&[0xff, SOI], segment(SOS, &[1]).as_slice()].concat();
    for (start, filler) in [
        (prefix.as_slice(), [0x55u8, 0x55]),
        (prefix.as_slice(), [0xff, 0x00]),
        (prefix.as_slice(), [0xff, 0xd0]),
        (&[0xff, SOI], [0xff, 0xff]),
        (&[0xff, SOI], [0xff, 0x01]),
        (&[], [0x55, 0x55]),
        (&[], [0xff, 0xff]),
    ] {
        let endless = std::iter::repeat_n(filler, MAX_FRAME_BYTES)
            .flatten()
            .collect::<Vec<_>>();
        let mut splitter = JpegSplitter::new(Cursor::new(start).chain(Cursor::new(endless)));
        let mut frame = Vec::new();
        let piece = splitter.next(&mut frame).unwrap();
        assert!(
            matches!(piece, Piece::Broken { bytes, .. } if bytes <= MAX_FRAME_BYTES as u64 + (1 << 16)),
            "{piece:?}"
        );
        assert!(frame.capacity() <= 2 * MAX_FRAME_BYTES);
        assert!(splitter.offset() <= MAX_FRAME_BYTES as u64 + (1 << 16));
    }
}

#[test]
fn a_read_error_is_passed_on_and_interruptions_are_not() {
    struct Faulty(Vec<Result<&'static [u8], io::ErrorKind>>);
    impl Read for Faulty {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            match self.0.remove(0) {
                Ok(bytes) => {
                    out[..bytes.len()].copy_from_slice(bytes);
                    Ok(bytes.len())
                }
                Err(kind) => Err(kind.into()),
            }
        }
    }
    use io::ErrorKind::{BrokenPipe, Interrupted};
    let script = vec![
        Err(Interrupted),
        Ok(b"\xff\xd8\xff".as_slice()),
        Err(Interrupted),
        Ok(b"\xda\x00\x03\x01\x05\xff\xd9"),
        Err(BrokenPipe),
    ];
    let mut splitter = JpegSplitter::new(BufReader::new(Faulty(script)));
    let mut frame = Vec::new();
    assert_eq!(splitter.next(&mut frame).unwrap(), Piece::Jpeg);
    assert_eq!(frame, b"\xff\xd8\xff\xda\x00\x03\x01\x05\xff\xd9");
    assert_eq!(splitter.next(&mut frame).unwrap_err().kind(), BrokenPipe);
}

mod swallow;
