//! Each pixel format's way to RGB.

use super::super::super::yuv::Encoding;
use super::super::abi;
use super::super::colour::matrix;
use super::*;

const WIDTH: usize = 6;
const HEIGHT: usize = 4;

fn pix(bytesperline: usize) -> PixFormat {
    PixFormat {
        width: WIDTH as u32,
        height: HEIGHT as u32,
        bytesperline: bytesperline as u32,
        private: abi::PIX_FMT_PRIV_MAGIC,
        ..PixFormat::default()
    }
}

/// A picture whose chroma is the same in every 2x2 block, as (Y, Cb, Cr).
fn scene(x: usize, y: usize) -> (u8, u8, u8) {
    (
        (20 + 13 * x + 40 * y) as u8,
        (60 + 50 * (x / 2)) as u8,
        (220 - 70 * (y / 2)) as u8,
    )
}

fn convert_by_fields(
    format: PixelFormat,
    pix: &PixFormat,
    bytes: &[u8],
    rgb: &mut [u8],
) -> Result<(), String> {
    convert(format, pix, matrix(format.samples(), pix)?, bytes, rgb)
}

fn want(matrix: Matrix) -> Vec<u8> {
    let mut rgb = vec![0; WIDTH * HEIGHT * 3];
    for (i, pixel) in rgb.chunks_exact_mut(3).enumerate() {
        let (y, cb, cr) = scene(i % WIDTH, i / WIDTH);
        matrix.row(pixel, &[y], std::iter::once((cb, cr)), 1);
    }
    rgb
}

fn plane(
    width: usize,
    height: usize,
    stride: usize,
    sample: impl Fn(usize, usize) -> u8,
) -> Vec<u8> {
    let mut bytes = vec![0xee; stride * height];
    for y in 0..height {
        for x in 0..width {
            bytes[y * stride + x] = sample(x, y);
        }
    }
    bytes
}

/// The scene in `format`, with `pad` bytes behind each row.
fn encode(format: PixelFormat, pad: usize) -> (PixFormat, Vec<u8>) {
    let luma = |x, y| scene(x, y).0;
    let stride = format.row_bytes(WIDTH) + pad;
    let rgb = want(Matrix::BT601_LIMITED);
    let bytes = match format {
        PixelFormat::Yuyv | PixelFormat::Uyvy => {
            let flip = usize::from(format == PixelFormat::Uyvy);
            plane(WIDTH * 2, HEIGHT, stride, |i, y| {
                match ((i ^ flip) % 2, i / 2 % 2) {
                    (0, _) => luma(i / 2, y),
                    (_, 0) => scene(i / 2, y).1,
                    _ => scene(i / 2, y).2,
                }
            })
        }
        PixelFormat::Rgb3 => plane(WIDTH * 3, HEIGHT, stride, |i, y| rgb[y * WIDTH * 3 + i]),
        PixelFormat::Bgr3 => plane(WIDTH * 3, HEIGHT, stride, |i, y| {
            rgb[(y * WIDTH + i / 3) * 3 + 2 - i % 3]
        }),
        PixelFormat::Grey => plane(WIDTH, HEIGHT, stride, luma),
        PixelFormat::Nv12 => [
            plane(WIDTH, HEIGHT, stride, luma),
            plane(WIDTH, HEIGHT / 2, stride, |i, y| match i % 2 {
                0 => scene(i, 2 * y).1,
                _ => scene(i, 2 * y).2,
            }),
        ]
        .concat(),
        PixelFormat::Yu12 => [
            plane(WIDTH, HEIGHT, stride, luma),
            plane(WIDTH / 2, HEIGHT / 2, stride / 2, |x, y| {
                scene(2 * x, 2 * y).1
            }),
            plane(WIDTH / 2, HEIGHT / 2, stride / 2, |x, y| {
                scene(2 * x, 2 * y).2
            }),
        ]
        .concat(),
        PixelFormat::Mjpg => Vec::new(),
    };
    (pix(stride), bytes)
}

#[test]
fn every_format_gives_the_same_picture_with_and_without_padding() {
    for format in PixelFormat::ALL
        .into_iter()
        .filter(|&f| f != PixelFormat::Mjpg)
    {
        for pad in [0, 2, 10] {
            let (pix, bytes) = encode(format, pad);
            let mut rgb = vec![0; WIDTH * HEIGHT * 3];
            convert_by_fields(format, &pix, &bytes, &mut rgb).unwrap();
            if format == PixelFormat::Grey {
                let grey = |i: usize| scene(i % WIDTH, i / WIDTH).0;
                assert!(rgb.chunks_exact(3).all(|p| p[0] == p[1] && p[1] == p[2]));
                assert_eq!(rgb[0], grey(0));
            } else {
                assert_eq!(
                    rgb,
                    want(Matrix::BT601_LIMITED),
                    "{format:?} padded by {pad}"
                );
            }
        }
    }
}

#[test]
fn the_cameras_word_on_its_colours_is_heeded() {
    let (mut pix, bytes) = encode(PixelFormat::Yuyv, 0);
    for (colorspace, ycbcr_enc, quantization, encoding, full) in [
        (0, 0, 0, Encoding::Bt601, false),
        (0, 1, 2, Encoding::Bt601, false),
        (8, 0, 1, Encoding::Bt601, true),
        (8, 2, 0, Encoding::Bt709, false),
        (8, 2, 1, Encoding::Bt709, true),
        (3, 0, 0, Encoding::Bt709, false),
        (7, 0, 0, Encoding::Bt601, true),
        (10, 0, 0, Encoding::Bt2020, false),
    ] {
        pix.colorspace = colorspace;
        (pix.ycbcr_enc, pix.quantization) = (ycbcr_enc, quantization);
        let mut rgb = vec![0; WIDTH * HEIGHT * 3];
        convert_by_fields(PixelFormat::Yuyv, &pix, &bytes, &mut rgb).unwrap();
        assert_eq!(rgb, want(Matrix::of(encoding, full)));
    }
    // RGB of limited range, as an HDMI grabber may deliver it, is stretched.
    for format in [PixelFormat::Rgb3, PixelFormat::Bgr3] {
        let (mut pix, _) = encode(format, 0);
        let bytes: Vec<u8> = [16, 125, 235].repeat(WIDTH * HEIGHT);
        pix.quantization = abi::QUANTIZATION_LIM_RANGE;
        let mut rgb = vec![0; WIDTH * HEIGHT * 3];
        convert_by_fields(format, &pix, &bytes, &mut rgb).unwrap();
        let mut want = [0, 127, 255];
        if format == PixelFormat::Bgr3 {
            want.reverse();
        }
        assert_eq!(rgb[..3], want, "{format:?}");
    }
}

#[test]
fn short_frames_and_short_rows_are_refused() {
    for format in PixelFormat::ALL
        .into_iter()
        .filter(|&f| f != PixelFormat::Mjpg)
    {
        let (pix, bytes) = encode(format, 2);
        let (expected, _) = layout(format, &pix).unwrap();
        let mut rgb = vec![0; WIDTH * HEIGHT * 3];
        assert!(expected <= bytes.len());
        for length in 0..bytes.len() {
            let result = convert_by_fields(format, &pix, &bytes[..length], &mut rgb);
            assert_eq!(result.is_ok(), length >= expected, "{format:?} {length}");
        }
        let narrow = PixFormat {
            bytesperline: format.row_bytes(WIDTH) as u32 - 1,
            ..pix
        };
        assert!(
            convert_by_fields(format, &narrow, &bytes, &mut rgb)
                .unwrap_err()
                .contains("rows")
        );
    }
}

#[test]
fn codes_are_the_kernels() {
    assert_eq!(PixelFormat::Yuyv.fourcc(), 0x5659_5559);
    assert_eq!(PixelFormat::Mjpg.fourcc(), 0x4750_4a4d);
    assert_eq!(fourcc_name(0x3231_5659), "YV12");
    assert_eq!(fourcc_name(0x8000_0000 | 0x3231_5659), "YV1\\xb2");
}
