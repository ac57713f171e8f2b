//! Pictures that swallow others when they are cut, and thumbnails that are no frames.

use super::*;

/// A picture with a thumbnail in its EXIF segment, and where that begins and ends.
fn with_thumbnail(id: u8, behind: &[u8]) -> (Vec<u8>, std::ops::Range<usize>) {
    let exif = b"Exif\0\0II*\0\x08\0\0\0".as_slice();
    let app = segment(0xe1, &[exif, &picture(id ^ 0x80), behind].concat());
    let begin = 2 + 4 + exif.len();
    (
        [&[0xff, SOI], app.as_slice(), &picture(id)[2..]].concat(),
        begin..begin + picture(id).len(),
    )
}

/// What is counted as a loss.
fn losses(split: &Split) -> usize {
    split.broken.len() + split.unended.len() - split.in_rest
}

#[test]
fn a_cut_picture_costs_itself_wherever_it_is_cut() {
    for behind in [b"".as_slice(), &[0; 5], b"x\xff\xfe\0\x09yz"] {
        for mixed in [false, true] {
            let frame = |id| match mixed && id % 2 == 0 {
                true => picture(id),
                false => with_thumbnail(id, behind).0,
            };
            let good = [frame(0), frame(1), frame(2), frame(3)];
            let (bad, thumbnail) = with_thumbnail(9, behind);
            // A start alone could be anything.
            for cut in 4..bad.len() {
                let stream = [&good[0], &good[1], &bad[..cut], &good[2], &good[3]].concat();
                let decodes = |jpeg: &[u8]| {
                    let frames = good.iter().chain([&bad]);
                    let thumbnails = [0x80, 0x81, 0x82, 0x83, 0x89].map(picture);
                    frames.chain(&thumbnails).any(|frame| frame == jpeg)
                };
                let split = split_with(&stream, 1 << 16, decodes);
                assert_eq!(split_with(&stream, 1, decodes), split);
                let mut want = good.to_vec();
                // Cut between its thumbnail and the length of the next segment it looks like a frame cut in
                // its first segment, and another one behind it.
                let segment_end = thumbnail.end + behind.len();
                if (thumbnail.end..=segment_end + 2).contains(&cut) {
                    want.insert(2, bad[thumbnail.clone()].to_vec());
                }
                assert!(split.jpegs == want, "cut at {cut}: {split:?}");
                assert_eq!(losses(&split), 1, "cut at {cut}: {split:?}");
            }
        }
    }
}

#[test]
fn a_length_that_claims_more_swallows_nothing() {
    let (bad, _) = with_thumbnail(9, &[]);
    let good = picture(1).repeat(3);
    let plain = [picture(1), picture(1), picture(1)];
    // An application's segment of 65,535 bytes: at the end of the stream, and with more behind it.
    let mut long = picture(9);
    long.splice(2..2, [0xff, 0xe5, 0xff, 0xff]);
    let far = picture(2).repeat(1000);
    for bytes in [
        [long.as_slice(), &good].concat(),
        [&long, good.as_slice(), &far].concat(),
        [&bad[..5], &good].concat(),
        [&[0xff, SOI, 0xff, SOS], good.as_slice()].concat(),
        [&[0xff, SOI, 0xff, SOS, 0, 12, 3], good.as_slice()].concat(),
    ] {
        let split = split_by(&bytes, 4096);
        // The long picture's own rest is whole but for its first segment, and no picture of its own.
        assert_eq!(split.jpegs[..3], plain);
        assert_eq!(split.jpegs.len() > 3, bytes.len() > far.len());
        assert!(split.jpegs.len() == 3 || split.jpegs.len() == 1003);
        assert_eq!(losses(&split), 1, "{:?}", split.broken);
    }
}

#[test]
fn a_broken_pictures_thumbnail_is_no_frame() {
    for behind in [b"".as_slice(), &[0; 5]] {
        let (whole, thumbnail) = with_thumbnail(9, behind);
        let table = thumbnail.end + behind.len();
        // A length of tables that cannot be, and one of the segment that ends before the thumbnail.
        for (at, byte) in [(table + 2, 0x7f), (5, 7)] {
            let mut bad = whole.clone();
            bad[at] = byte;
            let split = split(&[&picture(0), bad.as_slice(), &picture(1), &picture(2)].concat());
            assert_eq!(split.jpegs, [picture(0), picture(1), picture(2)], "{at}");
            assert_eq!(losses(&split), 1, "{:?}", split.broken);
        }
    }
}

#[test]
fn a_stream_joined_in_a_header_does_not_begin_with_the_thumbnail() {
    for behind in [b"".as_slice(), &[0; 5], b"x\xff\xfe\0\x09yz"] {
        let (first, thumbnail) = with_thumbnail(1, behind);
        let next = [with_thumbnail(2, behind).0, picture(3)];
        for from in 1..first.len() {
            // A stream that begins with the thumbnail's start looks whole.
            if from == thumbnail.start {
                continue;
            }
            for end in [&[][..], &[0; 9]] {
                let split = split(&[&first[from..], &next.concat(), end].concat());
                assert!(split.jpegs == next, "from {from}: {split:?}");
                assert!(losses(&split) <= 1, "from {from}: {split:?}");
                // What lies before the thumbnail alone is too little to be known for a loss.
                assert_eq!(losses(&split) == 0, split.broken.is_empty());
                assert!(from > thumbnail.start || losses(&split) == 1);
            }
        }
    }
}

/// Hands out what there is, and fails the test if more is asked for.
struct Live<'a>(&'a [u8]);

impl Read for Live<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        assert!(!self.0.is_empty(), "the picture is complete");
        let count = out.len().min(self.0.len());
        out[..count].copy_from_slice(&self.0[..count]);
        self.0 = &self.0[count..];
        Ok(count)
    }
}

#[test]
fn live_pictures_do_not_wait_for_what_follows_them() {
    let headers = b"HTTP/1.0 200 OK\r\n\r\n--frame\r\nContent-Type: image/jpeg\r\n\r\n";
    let scan = picture(1).len() - 12;
    for head in [b"".as_slice(), headers, &picture(1)[scan..]] {
        let stream = [head, &with_thumbnail(1, &[]).0, &picture(2)].concat();
        let mut splitter = JpegSplitter::new(BufReader::with_capacity(1, Live(&stream)));
        let (mut frame, mut count) = (Vec::new(), 0);
        while count < 2 {
            count += usize::from(splitter.next(&mut frame).unwrap() == Piece::Jpeg);
        }
    }
    // Joined in a header: the second picture comes as soon as the third begins, the third at once.
    let (first, thumbnail) = with_thumbnail(1, &[]);
    let stream = [&first[thumbnail.start - 5..], &picture(2), &picture(3)].concat();
    let mut splitter = JpegSplitter::new(BufReader::with_capacity(1, Live(&stream)));
    let (mut frame, mut pictures) = (Vec::new(), Vec::new());
    while pictures.len() < 2 {
        if splitter.next(&mut frame).unwrap() == Piece::Jpeg {
            pictures.push(frame.clone());
        }
    }
    assert_eq!(pictures, [picture(2), picture(3)]);
}

#[test]
fn tables_may_hold_what_looks_like_a_start() {
    let mut table = [7; 65];
    table[20..24].copy_from_slice(&[0xff, 0xd8, 0xff, 0xff]);
    table[62..].copy_from_slice(&[0xff, 0xd8, 0xff]);
    let odd = [
        &[0xff, SOI],
        segment(0xdb, &table).as_slice(),
        &picture(4)[2..],
    ]
    .concat();
    let stream = [odd.clone(), picture(5), odd.clone()];
    assert_eq!(pictures_of(&stream.concat()), stream);
}

#[test]
fn bytes_are_read_again_a_bounded_number_of_times() {
    let mut input = Input::new(Cursor::new(vec![1; 100]));
    let mut kept = Vec::new();
    for _ in 0..8 {
        while kept.len() < 100 {
            input.keep(&mut kept).unwrap();
        }
        assert!(input.rewind(&kept));
        assert_eq!(input.offset(), 0);
        kept.clear();
    }
    while input.keep(&mut kept).unwrap().is_some() {}
    assert!(kept == [1; 100] && !input.rewind(&kept));
    // Pictures that swallow pictures: every byte stays in one piece.
    let nested = [0xff, SOI, 0xff, 0xe0, 0xff, 0xff].repeat(100_000);
    assert!(split_by(&nested, 4096).jpegs.is_empty());
}
