//! Every combination of a camera's colour fields, held to what the kernel's macros make of it.

use super::*;

/// Lines of `colorspace ycbcr_enc quantization is_rgb_or_hsv: ycbcr_enc quantization`.
const TABLE: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../tests/golden/v4l2_colour.txt"
));

fn pix(colorspace: u32, ycbcr_enc: u32, quantization: u32) -> PixFormat {
    PixFormat {
        colorspace,
        ycbcr_enc,
        quantization,
        private: abi::PIX_FMT_PRIV_MAGIC,
        ..PixFormat::default()
    }
}

/// The luma weights that videodev2.h's names stand for; `None` where a matrix does not do.
fn encoding(ycbcr_enc: u32) -> Option<Encoding> {
    Some(match ycbcr_enc {
        1 | 3 | 5 => Encoding::Bt601,
        2 | 4 => Encoding::Bt709,
        6 => Encoding::Bt2020,
        8 => Encoding::Smpte240m,
        _ => return None,
    })
}

#[test]
fn every_combination_means_what_the_kernels_macros_say() {
    let mut lines = 0;
    for line in TABLE.lines().filter(|line| !line.starts_with('#')) {
        let numbers: Vec<u32> = line
            .split([' ', ':'])
            .filter_map(|word| word.parse().ok())
            .collect();
        let [colorspace, given, range, rgb, ycbcr_enc, quantization] = numbers[..] else {
            panic!("{line}");
        };
        lines += 1;
        let pix = pix(colorspace, given, range);
        let full = quantization == abi::QUANTIZATION_FULL_RANGE;
        let is_xv = matches!(ycbcr_enc, 3 | 4);
        if rgb == 1 {
            for samples in [Samples::Rgb, Samples::Grey] {
                let range = matrix(samples, &pix).unwrap();
                let ends = [range.level(16), range.level(235)];
                assert_eq!(ends, if full { [16, 235] } else { [0, 255] }, "{line}");
            }
            continue;
        }
        let want = encoding(ycbcr_enc).map(|encoding| Matrix::of(encoding, full && !is_xv));
        match (matrix(Samples::YCbCr, &pix), want) {
            (Ok(got), Some(want)) => assert_eq!(got, want, "{line}"),
            (Err(message), None) => assert!(message.contains("constant luminance"), "{message}"),
            (got, want) => panic!("{line}: {got:?}, expected {want:?}"),
        }
    }
    // 13 colour spaces, 9 encodings, 3 ranges, RGB or not.
    assert_eq!(lines, 13 * 9 * 3 * 2);
}

#[test]
fn values_from_a_later_header_are_refused_by_name() {
    for (pix, name) in [
        (pix(13, 0, 0), "colorspace 13"),
        (pix(8, 9, 0), "ycbcr_enc 9"),
        (pix(8, 0, 3), "quantization 3"),
    ] {
        let message = matrix(Samples::YCbCr, &pix).unwrap_err();
        assert!(message.contains(name), "{message}");
    }
}

#[test]
fn fields_that_an_old_kernel_did_not_fill_in_are_not_read() {
    let stale = PixFormat {
        private: 0,
        ..pix(abi::COLORSPACE_REC709, 77, 88)
    };
    assert_eq!(
        matrix(Samples::YCbCr, &stale).unwrap(),
        Matrix::of(Encoding::Bt709, false)
    );
}
