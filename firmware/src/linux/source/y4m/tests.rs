//! Y4M: what is read, and what hostile or damaged streams come to.

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

fn one(matrix: Matrix, y: u8, cb: u8, cr: u8) -> [u8; 3] {
    let mut out = [0; 3];
    matrix.row(&mut out, &[y], std::iter::once((cb, cr)), 1);
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
        (" C422", 2, 1),
        (" C444", 1, 1),
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
                let want = one(
                    Matrix::BT601_LIMITED,
                    sample(i),
                    sample(15 + c),
                    sample(15 + cw * ch + c),
                );
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
    let (frames, _) = drain(b"YUV4MPEG2 W2 H1 Cmono XCOLORRANGE=LIMITED\nFRAME\n\x10\xeb");
    assert_eq!(frames[0].rgb, [0, 0, 0, 255, 255, 255]);
}

#[test]
fn other_colour_spaces_are_refused_by_name() {
    for tag in [
        "C420p10",
        "C422p12",
        "C411",
        "C444alpha",
        "Cmono16",
        "C410",
        "C",
    ] {
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
