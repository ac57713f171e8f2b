//! JPEGs of limited range: ffmpeg says so in a comment, and decoders other than its own do not read it.
//! Their red, green and blue are brought to the range that was meant.

/// What ffmpeg writes as a comment into a JPEG whose luma is 16 to 235. It says the same of BT.709.
const LIMITED: &[u8] = b"CS=ITU601";

/// Fixed-point fraction bits of the coefficients.
const FRACTION: u32 = 16;

/// Stretches `rgb`, decoded from `jpeg` as if it had full range, if `jpeg` says that it has not.
pub(super) fn apply(jpeg: &[u8], rgb: &mut [u8]) {
    if !is_limited(jpeg) {
        return;
    }
    for pixel in rgb.as_chunks_mut::<3>().0 {
        *pixel = stretch(*pixel);
    }
}

/// Whether a comment before the first scan says so.
fn is_limited(jpeg: &[u8]) -> bool {
    let mut rest = jpeg.get(2..).unwrap_or_default();
    loop {
        match *rest {
            [0xff, 0xff, ..] => rest = rest.get(1..).unwrap_or_default(),
            [0xff, 0xda, ..] => return false,
            [0xff, code, high, low, ..] => {
                let length = usize::from(u16::from_be_bytes([high, low]));
                let content = rest.get(4..2 + length).unwrap_or_default();
                // Its closing NUL is part of the segment.
                if code == 0xfe && content.strip_suffix(b"\0").unwrap_or(content) == LIMITED {
                    return true;
                }
                rest = rest.get(2 + length.max(2)..).unwrap_or_default();
            }
            _ => return false,
        }
    }
}

/// One pixel. Luma is 219 steps of 255 and colour differences are 224 of them: with Y the luma of the pixel
/// as it was read, a channel C is 255/219 (Y - 16) + 255/224 (C - Y). Colours that exist lose nothing
/// by being read in full range first, for none of their channels leaves 0..=255.
fn stretch(pixel: [u8; 3]) -> [u8; 3] {
    const ONE: f64 = (1u32 << FRACTION) as f64;
    const LUMA: i32 = (255.0 / 219.0 * ONE + 0.5) as i32;
    const COLOUR: i32 = (255.0 / 224.0 * ONE + 0.5) as i32;
    let [r, g, b] = pixel.map(i32::from);
    // In 1/65536, then rounded to 1/256: so many bits fit.
    let luma = (19_595 * r + 38_470 * g + 7_471 * b + 128) >> 8;
    pixel.map(|c| {
        let grey = i64::from(LUMA) * i64::from(luma - (16 << 8));
        let colour = i64::from(COLOUR) * i64::from((i32::from(c) << 8) - luma);
        let level = (grey + colour + (1 << (FRACTION + 7))) >> (FRACTION + 8);
        level.clamp(0, 255) as u8
    })
}

#[cfg(test)]
mod tests {
    use super::super::yuv::Matrix;
    use super::*;

    fn of(matrix: Matrix, y: u8, cb: u8, cr: u8) -> [u8; 3] {
        let mut rgb = [0; 3];
        matrix.row(&mut rgb, &[y], std::iter::once((cb, cr)), 1);
        rgb
    }

    #[test]
    fn stretching_is_reading_in_limited_range() {
        for y in 16..=235u8 {
            for cb in (16..=240u8).step_by(7) {
                for cr in (16..=240u8).step_by(5) {
                    let want = of(Matrix::BT601_LIMITED, y, cb, cr);
                    if want.iter().any(|c| matches!(c, 0 | 255)) {
                        continue; // not sure to be a colour that exists
                    }
                    let got = stretch(of(Matrix::BT601_FULL, y, cb, cr));
                    for (got, want) in got.iter().zip(want) {
                        assert!(got.abs_diff(want) <= 1, "{y} {cb} {cr}: {got:?} {want:?}");
                    }
                }
            }
        }
        assert_eq!(stretch([16; 3]), [0; 3]);
        assert_eq!(stretch([235; 3]), [255; 3]);
    }

    #[test]
    fn only_the_comment_counts_and_only_before_the_scan() {
        let segment = |code, content: &[u8]| {
            let length = (content.len() + 2) as u8;
            [&[0xff, code, 0, length], content].concat()
        };
        let jpeg = |segments: &[Vec<u8>]| [b"\xff\xd8".as_slice(), &segments.concat()].concat();
        let scan = segment(0xda, &[1, 1, 0, 0, 63, 0]);
        for (segments, limited) in [
            (vec![segment(0xfe, b"CS=ITU601\0"), scan.clone()], true),
            (
                vec![
                    segment(0xe0, b"JFIF"),
                    segment(0xfe, b"Lavc"),
                    segment(0xfe, LIMITED),
                ],
                true,
            ),
            (vec![segment(0xfe, b"CS=ITU709\0"), scan.clone()], false),
            (vec![segment(0xe1, b"CS=ITU601\0"), scan.clone()], false),
            (vec![scan, segment(0xfe, b"CS=ITU601\0")], false),
            (vec![], false),
        ] {
            assert_eq!(is_limited(&jpeg(&segments)), limited, "{segments:x?}");
        }
        for cut in 0..16 {
            assert!(!is_limited(&jpeg(&[segment(0xfe, LIMITED)])[..cut.min(14)]));
        }
    }
}
