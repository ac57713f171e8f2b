//! Y4M: what is read, and what hostile or damaged streams come to.

use super::super::yuv::Matrix;
use super::*;

fn open(bytes: &[u8]) -> Result<Y4mSource<&[u8]>, SourceError> {
    Y4mSource::new(bytes, "test.y4m", &SourceOptions::default())
}

/// Reads to the end: the frames, and the error if that is how it ended.
fn drain(bytes: &[u8]) -> (Vec<FrameBuffer>, Option<SourceError>) {
    let mut frames = Vec::new();
    let mut source = match open(bytes) {
        Ok(source) => source,
        Err(error) => return (frames, Some(error)),
    };
    let mut frame = FrameBuffer::default();
    loop {
        match source.read(&mut frame) {
            Ok(ReadOutcome::Frame) => frames.push(frame.clone()),
            Ok(ReadOutcome::End) => return (frames, None),
            Err(error) => {
                assert_eq!(source.read(&mut frame).unwrap(), ReadOutcome::End);
                return (frames, Some(error));
            }
        }
    }
}

/// A stream of `count` frames whose planes hold `fill(frame, byte)`.
fn stream(header: &str, plane_bytes: usize, count: u8) -> Vec<u8> {
    let mut bytes = format!("YUV4MPEG2 {header}\n").into_bytes();
    for n in 0..count {
        bytes.extend_from_slice(if n == 1 {
            b"FRAME Ip XNOTE=1\n"
        } else {
            b"FRAME\n"
        });
        bytes.extend((0..plane_bytes).map(|i| (i * 37 + usize::from(n) * 11 + 16) as u8));
    }
    bytes
}

/// A pixel of BT.601 in limited range.
fn one(y: u8, cb: u8, cr: u8) -> [u8; 3] {
    let mut out = [0; 3];
    Matrix::BT601_LIMITED.row(&mut out, &[y], std::iter::once((cb, cr)), 1);
    out
}

#[test]
fn every_layout_puts_every_sample_on_its_pixel() {
    // 5x3: odd both ways, so that the last chroma column and row serve one pixel.
    for (tag, across, down) in [
        ("", 2, 2),
        (" C420", 2, 2),
        (" C420jpeg", 2, 2),
        (" C420mpeg2", 2, 2),
        (" C420paldv", 2, 2),
        (" C411", 4, 1),
        (" C422", 2, 1),
        (" C444", 1, 1),
        (" XYSCSS=420JPEG", 2, 2),
        (" XYSCSS=420MPEG2", 2, 2),
        (" XYSCSS=420PALDV", 2, 2),
        (" XYSCSS=411", 4, 1),
        (" XYSCSS=422", 2, 1),
        (" XYSCSS=444", 1, 1),
        // The C parameter wins, wherever it stands.
        (" XYSCSS=444 C420jpeg", 2, 2),
        (" C422 XYSCSS=420P10", 2, 1),
    ] {
        let (cw, ch) = (5usize.div_ceil(across), 3usize.div_ceil(down));
        let size = 15 + 2 * cw * ch;
        let bytes = stream(&format!("W5 H3 F25:1 Ip A1:1{tag}"), size, 3);
        let (frames, error) = drain(&bytes);
        assert!(error.is_none(), "{tag}: {error:?}");
        assert_eq!(frames.len(), 3);
        for (n, frame) in frames.iter().enumerate() {
            assert_eq!((frame.width, frame.height, frame.seq), (5, 3, n as u64));
            let sample = |i: usize| (i * 37 + n * 11 + 16) as u8;
            for (i, pixel) in frame.rgb.chunks_exact(3).enumerate() {
                let c = i / 5 / down * cw + i % 5 / across;
                let want = one(sample(i), sample(15 + c), sample(15 + cw * ch + c));
                assert_eq!(pixel, want, "{tag} frame {n} pixel {i}");
            }
        }
    }
}

#[test]
fn grey_and_full_range_are_honoured() {
    let (frames, error) = drain(b"YUV4MPEG2 W2 H1 Cmono XCOLORRANGE=FULL\nFRAME\n\x07\xf0");
    assert!(error.is_none());
    assert_eq!(frames[0].rgb, [7, 7, 7, 240, 240, 240]);
    let (frames, _) = drain(b"YUV4MPEG2 W2 H1 Cmono\nFRAME\n\x10\xeb");
    assert_eq!(frames[0].rgb, [16, 16, 16, 235, 235, 235]);
    let (_, error) = drain(b"YUV4MPEG2 W2 H1 Cmono XCOLORRANGE=WIDE\nFRAME\n\x10\xeb");
    assert!(error.unwrap().to_string().contains("XCOLORRANGE=WIDE"));
    let (frames, _) = drain(b"YUV4MPEG2 W2 H1 Cmono XCOLORRANGE=LIMITED\nFRAME\n\x10\xeb");
    assert_eq!(frames[0].rgb, [0, 0, 0, 255, 255, 255]);
}

#[test]
fn other_colour_spaces_are_refused_by_name() {
    let deep = ["420", "422", "444"]
        .into_iter()
        .flat_map(|layout| [9, 10, 12, 14, 16].map(|bits| (layout, bits)));
    let deep: Vec<_> = deep
        .flat_map(|(layout, bits)| {
            [
                format!("C{layout}p{bits}"),
                format!("XYSCSS={layout}P{bits}"),
            ]
        })
        .collect();
    let others = [
        "C410",
        "C440",
        "C444alpha",
        "Cmono9",
        "Cmono16",
        "C",
        "XYSCSS=",
        "XYSCSS=410",
    ];
    for tag in deep.iter().map(String::as_str).chain(others) {
        let (_, error) = drain(&stream(&format!("W2 H2 {tag}"), 12, 1));
        let message = error.unwrap().to_string();
        assert!(
            message.contains(&format!("\"{tag}\"")) && message.contains("C420jpeg"),
            "{message}"
        );
    }
}

#[test]
fn hostile_headers_are_errors_and_claim_no_memory() {
    for header in [
        "YUV4MPEG2\n",
        "YUV4MPEG2 \n",
        "YUV4MPEG2 W4\n",
        "YUV4MPEG2 H4\n",
        "YUV4MPEG2 W H4\n",
        "YUV4MPEG2 W-4 H4\n",
        "YUV4MPEG2 W+4 H4\n",
        "YUV4MPEG2 W4.0 H4\n",
        "YUV4MPEG2 W0x10 H4\n",
        "YUV4MPEG2 W0 H4\n",
        "YUV4MPEG2 W4 H0\n",
        "YUV4MPEG2 W65536 H65536\n",
        "YUV4MPEG2 W4294967296 H4294967297\n",
        "YUV4MPEG2 W18446744073709551615 H1\n",
        "YUV4MPEG2 W99999999999999999999999 H1\n",
        "YUV4MPEG3 W4 H4\n",
        "yuv4mpeg2 W4 H4\n",
        "YUV4MPEG2W4 H4\n",
        "\n",
        "",
    ] {
        let error = open(header.as_bytes())
            .err()
            .unwrap_or_else(|| panic!("{header:?} was accepted"));
        assert!(error.to_string().starts_with("test.y4m: "), "{error}");
    }
    let endless = [b"YUV4MPEG2 W4 H4 X".as_slice(), &vec![b'a'; 1 << 20]].concat();
    let mut rest = endless.as_slice();
    assert!(Y4mSource::new(&mut rest, "test.y4m", &SourceOptions::default()).is_err());
    assert!(endless.len() - rest.len() <= MAX_LINE);

    // The largest size allowed, and no data: nothing may be reserved for it.
    let mut source = open(b"YUV4MPEG2 W8192 H4096\nFRAME\nabc").unwrap();
    let error = source.read(&mut FrameBuffer::default()).unwrap_err();
    assert!(
        matches!(
            error,
            SourceError::Truncated {
                found: 3,
                frame: 0,
                ..
            }
        ),
        "{error}"
    );
    assert!(source.planes.capacity() < 1 << 16);
}

#[test]
fn a_stream_cut_anywhere_ends_or_says_so() {
    let whole = stream("W4 H2 C422 XCOLORRANGE=FULL", 16, 3);
    let header = whole.iter().position(|&b| b == b'\n').unwrap() + 1;
    let ends = [(6 + 16), (6 + 16) + (17 + 16), (6 + 16) * 2 + 17 + 16].map(|n| header + n);
    let (complete, _) = drain(&whole);
    for cut in 0..=whole.len() {
        let (frames, error) = drain(&whole[..cut]);
        let count = ends.iter().filter(|&&end| end <= cut).count();
        assert_eq!(frames.len(), count, "cut at {cut}");
        for (frame, want) in frames.iter().zip(&complete) {
            assert_eq!(frame.rgb, want.rgb);
        }
        assert_eq!(
            error.is_none(),
            ends.contains(&cut),
            "cut at {cut}: {error:?}"
        );
    }
}

#[test]
fn flipped_bits_never_panic_and_never_grow_the_picture_past_the_limit() {
    let whole = stream("W6 H4 F30:1 C420jpeg", 36, 2);
    for bit in 0..whole.len() * 8 {
        let mut damaged = whole.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        for frame in drain(&damaged).0 {
            assert_eq!(frame.rgb.len(), (frame.width * frame.height * 3) as usize);
        }
    }
}

/// The scene at one pixel, as (Y, Cb, Cr) where chroma is shared by blocks of this size.
fn scene(x: usize, y: usize, across: usize, down: usize) -> [u8; 3] {
    let (cx, cy) = (x / across, y / down);
    [
        (20 + 5 * x + 7 * y) as u8,
        (70 + 9 * cx + cy) as u8,
        (200usize.wrapping_sub(8 * cx + 3 * cy)) as u8,
    ]
}

/// A frame's planes with rows of these strides and these many of them, 0xee where nothing is.
fn padded_frame(
    size: (usize, usize),
    share: (usize, usize),
    luma: (usize, usize),
    chroma: (usize, usize),
) -> Vec<u8> {
    let ((width, height), (across, down)) = (size, share);
    let mut bytes = Vec::new();
    for plane in 0..3 {
        let (stride, rows) = if plane == 0 { luma } else { chroma };
        let (sx, sy) = if plane == 0 { (1, 1) } else { (across, down) };
        for y in 0..rows {
            for x in 0..stride {
                let inside = x * sx < width && y * sy < height;
                let sample = scene(x * sx, y * sy, across, down)[plane];
                bytes.push(if inside { sample } else { 0xee });
            }
        }
    }
    bytes
}

#[test]
fn gstreamers_padded_rows_are_found_out() {
    // Sizes of frames as gst-launch-1.0 1.22 wrote them; the strides are its video_info's.
    for (tag, size, share, luma, chroma, bytes) in [
        ("C420", (30, 22), (2, 2), (32, 22), (16, 11), 1056),
        ("C420", (31, 23), (2, 2), (32, 24), (16, 12), 1152),
        ("C420", (29, 21), (2, 2), (32, 22), (16, 11), 1056),
        ("C420", (33, 25), (2, 2), (36, 26), (20, 13), 1456),
        ("C420", (36, 24), (2, 2), (36, 24), (20, 12), 1344),
        ("Ib C420", (30, 21), (2, 2), (32, 22), (16, 12), 1088),
        ("Ib C420", (32, 22), (2, 2), (32, 22), (16, 12), 1088),
        ("C422", (30, 22), (2, 1), (32, 22), (16, 22), 1408),
        ("C422", (33, 25), (2, 1), (36, 25), (20, 25), 1900),
        ("C422", (36, 24), (2, 1), (36, 24), (20, 24), 1824),
        ("C411", (31, 23), (4, 1), (32, 23), (8, 23), 1104),
        ("C411", (33, 25), (4, 1), (36, 25), (12, 25), 1500),
        ("C444", (29, 21), (1, 1), (32, 21), (32, 21), 2016),
        ("C444", (33, 25), (1, 1), (36, 25), (36, 25), 2700),
        // One byte of padding a row, less than the word FRAME in all.
        ("C444", (3, 1), (1, 1), (4, 1), (4, 1), 12),
    ] {
        let padded = padded_frame(size, share, luma, chroma);
        assert_eq!(padded.len(), bytes, "{tag} {size:?}");
        let (cw, ch) = (size.0.div_ceil(share.0), size.1.div_ceil(share.1));
        let tight = padded_frame(size, share, size, (cw, ch));
        let header = format!("YUV4MPEG2 W{} H{} {tag}\n", size.0, size.1).into_bytes();
        for frame in [tight, padded] {
            for count in [1, 3] {
                let one_frame = [b"FRAME\n", frame.as_slice()].concat();
                let (frames, error) =
                    drain(&[header.as_slice(), &one_frame.repeat(count)].concat());
                assert!(error.is_none(), "{tag} {size:?}: {error:?}");
                assert_eq!(frames.len(), count);
                for (i, pixel) in frames[count - 1].rgb.chunks_exact(3).enumerate() {
                    let [y, cb, cr] = scene(i % size.0, i / size.0, share.0, share.1);
                    assert_eq!(pixel, one(y, cb, cr), "{tag} {size:?} pixel {i}");
                }
            }
        }
        // Neither the one nor the other: no frame is guessed.
        let odd = vec![7; bytes - 1];
        let one_frame = [b"FRAME\n", odd.as_slice()].concat();
        let (frames, error) = drain(&[header.as_slice(), &one_frame.repeat(2)].concat());
        let message = error.unwrap().to_string();
        assert!(
            frames.is_empty() && message.contains(&bytes.to_string()),
            "{tag} {size:?}: {} frames, {message}",
            frames.len()
        );
    }
}
