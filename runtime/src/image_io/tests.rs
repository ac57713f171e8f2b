//! Damaged and hostile files. What good ones decode to is held against Pillow in the golden tests.

use std::io::Cursor;

use ::tiff::encoder::{TiffEncoder, colortype};
use image::{DynamicImage, ImageBuffer, ImageFormat, Luma, Rgb};

use super::colour::blend_over_white;
use super::{DecodedImage, ImageIoError, decode_bytes, decode_file};

fn encode(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    let (width, height) = (image.width(), image.height());
    let rgb = || image.to_rgb8().into_raw();
    let (w, h) = (width as u16, height as u16);
    match format {
        ImageFormat::Jpeg => jpeg_encoder::Encoder::new(&mut bytes, 90)
            .encode(&rgb(), w, h, jpeg_encoder::ColorType::Rgb)
            .unwrap(),
        ImageFormat::Gif => {
            let palette: Vec<u8> = (0..=255).flat_map(|i: u8| [i, i / 2, 255 - i]).collect();
            let indices = image.to_luma8().into_raw();
            let frame = ::gif::Frame::from_indexed_pixels(w, h, indices, None);
            let mut encoder = ::gif::Encoder::new(&mut bytes, w, h, &palette).unwrap();
            encoder.write_frame(&frame).unwrap();
        }
        ImageFormat::Tiff => TiffEncoder::new(&mut bytes)
            .unwrap()
            .write_image::<colortype::RGB8>(width, height, &rgb())
            .unwrap(),
        format => image.write_to(&mut bytes, format).unwrap(),
    }
    bytes.into_inner()
}

fn picture(width: u32, height: u32) -> DynamicImage {
    let pixel = |x: u32, y: u32| Rgb([(x * 37) as u8, (y * 53) as u8, (x * y) as u8]);
    ImageBuffer::from_fn(width, height, pixel).into()
}

#[test]
fn pixels_in_raster_order() {
    let image = decode_bytes(&encode(&picture(3, 2), ImageFormat::Png)).unwrap();
    assert_eq!((image.width(), image.height()), (3, 2));
    assert_eq!(image.rgb(), picture(3, 2).as_bytes());
}

#[test]
fn sixteen_bits_give_the_high_byte() {
    let levels = vec![0x00ff, 0x0100, 0x7fff, 0xffff];
    let image: ImageBuffer<Luma<u16>, _> = ImageBuffer::from_raw(4, 1, levels).unwrap();
    let image = decode_bytes(&encode(&image.into(), ImageFormat::Png)).unwrap();
    assert_eq!(
        image.rgb(),
        [0, 0, 0, 1, 1, 1, 0x7f, 0x7f, 0x7f, 255, 255, 255]
    );
}

#[test]
fn blending_keeps_its_ends() {
    for level in 0..=255 {
        assert_eq!(blend_over_white(level, 255), level);
        assert_eq!(blend_over_white(level, 0), 255);
        let exact = (f64::from(level) * 100.0 + 255.0 * 155.0) / 255.0;
        assert!((f64::from(blend_over_white(level, 100)) - exact).abs() <= 0.51);
    }
}

#[test]
fn every_truncation_is_an_error_and_no_bit_flip_panics() {
    let formats = [
        ImageFormat::Png,
        ImageFormat::Jpeg,
        ImageFormat::Gif,
        ImageFormat::WebP,
        ImageFormat::Tiff,
        ImageFormat::Bmp,
        ImageFormat::Pnm,
    ];
    for format in formats {
        let whole = encode(&picture(9, 7), format);
        decode_bytes(&whole).unwrap();
        for end in 0..whole.len() {
            let cut = decode_bytes(&whole[..end]);
            // PNG's pixels end before its last chunk, GIF's before its trailer, TIFF's before
            // its directory's last word; only a cut into the pixels is an error to everyone.
            if end < whole.len() * 2 / 3 {
                assert!(
                    cut.is_err(),
                    "{format:?} cut to {end} of {} bytes",
                    whole.len()
                );
            }
        }
        let mut flipped = whole.clone();
        for bit in 0..8 * whole.len() {
            flipped[bit / 8] ^= 1 << (bit % 8);
            let _ = decode_bytes(&flipped);
            flipped[bit / 8] = whole[bit / 8];
        }
    }
}

#[test]
fn a_small_file_cannot_claim_a_large_image() {
    // A binary PNM of 16,384 x 16,384 would need 805 MB, one of a million columns has a longer side than any format
    // names, and one of 80 megapixels must first bring them.
    for header in [
        "P6 16384 16384 255\n",
        "P6 1000000 1 255\n",
        "P5 1 1000000 65535\n",
        "P6 8000 10000 255\n",
    ] {
        let error = decode_bytes(header.as_bytes()).unwrap_err();
        assert!(
            matches!(error, ImageIoError::Size { .. } | ImageIoError::Pnm(_)),
            "{error}"
        );
    }
}

#[test]
fn floats_are_refused() {
    let mut bytes = Cursor::new(Vec::new());
    TiffEncoder::new(&mut bytes)
        .unwrap()
        .write_image::<colortype::RGB32Float>(2, 2, &[0.5; 12])
        .unwrap();
    let error = decode_bytes(bytes.get_ref()).unwrap_err().to_string();
    assert!(
        error.starts_with("is a TIFF of [32, 32, 32] bits a sample"),
        "{error}"
    );
}

#[test]
fn errors_name_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let missing = decode_file(dir.path().join("missing.png"))
        .unwrap_err()
        .to_string();
    assert!(missing.contains("missing.png: cannot be read"), "{missing}");
    let text = dir.path().join("text.png");
    std::fs::write(&text, "hello").unwrap();
    let error = decode_file(&text).unwrap_err().to_string();
    assert!(
        error.contains("text.png: is not a readable image"),
        "{error}"
    );
    let error = decode_file(dir.path()).unwrap_err().to_string();
    assert!(error.contains("cannot be read"), "{error}");
}

#[test]
fn an_image_has_pixels() {
    assert!(DecodedImage::new(0, 1, vec![]).is_err());
    assert!(DecodedImage::new(1, 1, vec![0; 4]).is_err());
    assert!(DecodedImage::new(usize::MAX, 2, vec![0; 6]).is_err());
    assert!(DecodedImage::new(1, 2, vec![0; 6]).is_ok());
}
