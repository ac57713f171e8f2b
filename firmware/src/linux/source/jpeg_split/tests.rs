//! The splitter: where pictures are cut, what is garbage, and what hostile streams cost.

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

fn split_by(bytes: &[u8], step: usize) -> (Vec<Vec<u8>>, Vec<(u64, &'static str)>) {
    let mut splitter = JpegSplitter::new(BufReader::with_capacity(step, Dribble(bytes, step)));
    let (mut jpegs, mut garbage, mut frame) = (Vec::new(), Vec::new(), Vec::new());
    loop {
        match splitter.next(&mut frame).unwrap() {
            Piece::Jpeg => jpegs.push(frame.clone()),
            Piece::Garbage { bytes, reason } => garbage.push((bytes, reason)),
            Piece::End => break,
        }
    }
    let total: u64 = jpegs.iter().map(|j| j.len() as u64).sum::<u64>()
        + garbage.iter().map(|g| g.0).sum::<u64>();
    assert_eq!(
        total,
        bytes.len() as u64,
        "every byte is a picture's or counted as garbage"
    );
    assert_eq!(splitter.offset(), total);
    (jpegs, garbage)
}

/// Splits with several buffer sizes, which must not matter.
fn split(bytes: &[u8]) -> (Vec<Vec<u8>>, Vec<(u64, &'static str)>) {
    let whole = split_by(bytes, 1 << 16);
    for step in [1, 2, 3, 7] {
        assert_eq!(split_by(bytes, step), whole, "step {step}");
    }
    whole
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
        &segment(SOS, &[3, 1, 0]),
        scan,
        &[0xff, EOI],
    ]
    .concat()
}

#[test]
fn pictures_in_a_row_come_apart() {
    let pictures: Vec<_> = (0..5).map(picture).collect();
    assert_eq!(split(&pictures.concat()), (pictures, vec![]));
    assert_eq!(split(&[]), (vec![], vec![]));
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
        split(&stream),
        (vec![progressive.clone(), picture(1), progressive], vec![])
    );
}

#[test]
fn garbage_is_counted_and_the_next_picture_found() {
    let noise: &[u8] = b"HTTP/1.1 200 OK\r\n\xff\xd9\xff\xff\x00";
    let stream = [
        noise,
        &picture(1),
        b"\xff",
        &picture(2),
        b"\r\n--frame\r\n\xff",
    ]
    .concat();
    let (jpegs, garbage) = split(&stream);
    assert_eq!(jpegs, [picture(1), picture(2)]);
    let counts: Vec<_> = garbage.iter().map(|g| g.0).collect();
    assert_eq!(counts, [noise.len() as u64, 1, 12]);
}

#[test]
fn a_picture_cut_short_by_the_next_one_costs_only_itself() {
    let whole = picture(1);
    let scan = whole.len() - 14;
    // More than the longest segment, which is what a cut inside a segment can swallow.
    let rest: Vec<_> = (0..800u16).map(|n| picture((n % 200) as u8)).collect();
    for cut in 2..whole.len() {
        let stream = [&picture(0), &whole[..cut], &rest.concat()].concat();
        let (jpegs, garbage) = split_by(&stream, 1 << 16);
        assert_eq!(jpegs.first(), Some(&picture(0)));
        assert_eq!(jpegs.last(), rest.last(), "cut at {cut}");
        if cut >= scan {
            assert!(jpegs[1..] == rest, "cut at {cut}: {} pictures", jpegs.len());
            assert_eq!(garbage.len(), 1);
            assert_eq!(garbage[0].0, cut as u64);
        }
    }
}

#[test]
fn a_stream_cut_anywhere_keeps_its_whole_pictures() {
    let stream = [picture(0), picture(1)].concat();
    for cut in 0..=stream.len() {
        let (jpegs, garbage) = split(&stream[..cut]);
        assert_eq!(jpegs.len(), cut / picture(0).len());
        assert_eq!(
            garbage.is_empty(),
            cut % picture(0).len() == 0,
            "cut at {cut}"
        );
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
            matches!(piece, Piece::Garbage { bytes, .. } if bytes <= MAX_FRAME_BYTES as u64 + 2),
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
        Ok(b"\xd9"),
        Err(BrokenPipe),
    ];
    let mut splitter = JpegSplitter::new(BufReader::new(Faulty(script)));
    let mut frame = Vec::new();
    assert_eq!(splitter.next(&mut frame).unwrap(), Piece::Jpeg);
    assert_eq!(frame, [0xff, SOI, 0xff, EOI]);
    assert_eq!(splitter.next(&mut frame).unwrap_err().kind(), BrokenPipe);
}
