//! What the decoder refuses, and that no picture depends on another. That its pixels are right is held
//! against Pillow in the golden tests.

use jpeg_encoder::{ColorType, Encoder, SamplingFactor};

use super::*;

fn sample(width: u16, height: u16, change: impl Fn(&mut Encoder<&mut Vec<u8>>)) -> Vec<u8> {
    let pixel = |i: usize| [(i * 7) as u8, (i * 3) as u8, (i / 5) as u8];
    let rgb: Vec<u8> = (0..usize::from(width) * usize::from(height))
        .flat_map(pixel)
        .collect();
    let mut jpeg = Vec::new();
    let mut encoder = Encoder::new(&mut jpeg, 80);
    change(&mut encoder);
    encoder.encode(&rgb, width, height, ColorType::Rgb).unwrap();
    jpeg
}

fn kinds() -> [Vec<u8>; 3] {
    [
        sample(40, 24, |_| {}),
        sample(40, 24, |e| e.set_progressive(true)),
        sample(40, 24, |e| {
            e.set_sampling_factor(SamplingFactor::F_2_2);
            e.set_restart_interval(2);
        }),
    ]
}

fn decode(jpeg: &[u8], end_marker: EndMarker) -> Result<Vec<u8>, JpegError> {
    let mut rgb = Vec::new();
    Decoder::new()
        .decode(jpeg, 1 << 20, end_marker, &mut rgb)
        .map(|_| rgb)
}

#[test]
fn a_cut_is_found_wherever_it_is() {
    for jpeg in kinds() {
        let whole = decode(&jpeg, EndMarker::Required).unwrap();
        for end in 0..jpeg.len() {
            let cut = &jpeg[..end];
            assert!(decode(cut, EndMarker::Required).is_err(), "{end}");
            match decode(cut, EndMarker::Optional) {
                // Only bits that fill up the last byte may be missing besides the marker.
                Ok(pixels) => assert!(end + 3 >= jpeg.len() && pixels == whole, "{end}"),
                Err(error) => assert!(
                    matches!(error, JpegError::Truncated | JpegError::Broken(_)),
                    "{error}"
                ),
            }
        }
        let complete = &jpeg[..jpeg.len() - 2];
        assert_eq!(decode(complete, EndMarker::Optional).unwrap(), whole);
        assert_eq!(
            decode(complete, EndMarker::Required),
            Err(JpegError::NoEndMarker)
        );
    }
}

#[test]
fn damage_is_an_error_or_pixels_of_the_right_number() {
    for jpeg in kinds() {
        let mut damaged = jpeg.clone();
        for bit in 0..jpeg.len() * 8 {
            damaged[bit / 8] ^= 1 << (bit % 8);
            let mut rgb = Vec::new();
            let size = Decoder::new().decode(&damaged, 1 << 14, EndMarker::Required, &mut rgb);
            if let Ok((width, height)) = size {
                assert_eq!(rgb.len(), (width * height * 3) as usize);
            }
            damaged[bit / 8] = jpeg[bit / 8];
        }
    }
}

#[test]
fn lost_data_is_an_error_and_bytes_too_many_are_none() {
    for jpeg in kinds() {
        let whole = decode(&jpeg, EndMarker::Required).unwrap();
        let (body, end) = jpeg.split_at(jpeg.len() - 2);
        for more in [[0u8; 9].as_slice(), &[0xff; 5], &[0x5a; 40]] {
            let padded = [body, more, end, b"tail"].concat();
            assert_eq!(decode(&padded, EndMarker::Required).unwrap(), whole);
        }
        let few = [&body[..body.len() - 40], end].concat();
        let error = decode(&few, EndMarker::Required).unwrap_err();
        assert!(matches!(error, JpegError::Broken(_)), "{error}");
    }
}

#[test]
fn a_restart_marker_that_is_not_due_is_an_error_and_bytes_before_the_due_one_are_none() {
    let [.., jpeg] = kinds();
    let whole = decode(&jpeg, EndMarker::Required).unwrap();
    let restart = jpeg.windows(2).position(|w| w == [0xff, 0xd0]).unwrap();
    let (before, after) = jpeg.split_at(restart);
    let stray = [before, &[0x12, 0x34, 0x56], after].concat();
    assert_eq!(decode(&stray, EndMarker::Required).unwrap(), whole);
    let mut wrong = jpeg.clone();
    wrong[restart + 1] = 0xd2;
    decode(&wrong, EndMarker::Required).unwrap_err();
}

#[test]
fn a_frame_shows_nothing_of_the_one_before() {
    let custom = sample(40, 24, |e| e.set_optimized_huffman_tables(true));
    let [plain, ..] = kinds();
    let is_table = |jpeg: &[u8], at: usize| matches!(jpeg[at + 1], 0xc4);
    let mut bare = plain[..2].to_vec();
    let mut at = 2;
    while plain[at + 1] != 0xda {
        let length = 2 + usize::from(u16::from_be_bytes([plain[at + 2], plain[at + 3]]));
        if !is_table(&plain, at) {
            bare.extend_from_slice(&plain[at..at + length]);
        }
        at += length;
    }
    bare.extend_from_slice(&plain[at..]);
    assert!(bare.len() + 300 < plain.len());
    let (mut decoder, mut rgb) = (Decoder::new(), Vec::new());
    let mut decode = |jpeg: &[u8]| {
        let size = decoder.decode(jpeg, 1 << 20, EndMarker::Required, &mut rgb);
        size.map(|_| rgb.clone())
    };
    let expected = decode(&plain).unwrap();
    decode(&custom).unwrap();
    assert_eq!(decode(&bare).unwrap(), expected);
    decode(&custom[..custom.len() / 2]).unwrap_err();
    assert_eq!(decode(&bare).unwrap(), expected);
}

#[test]
fn a_size_over_the_limit_is_refused_before_anything_is_allocated() {
    let [mut jpeg, ..] = kinds();
    let mut rgb = Vec::new();
    let mut refused = |jpeg: &[u8], max: u32| {
        let error = Decoder::new().decode(jpeg, max, EndMarker::Required, &mut rgb);
        assert_eq!(rgb.capacity(), 0);
        error.unwrap_err()
    };
    let error = refused(&jpeg, 40 * 24 - 1);
    assert!(error.to_string().contains("40x24"), "{error}");
    let sof = jpeg.windows(2).position(|w| w == [0xff, 0xc0]).unwrap();
    jpeg[sof + 5..sof + 9].fill(0xff);
    refused(&jpeg, 1 << 25);
    assert!(size(&jpeg).is_err());
    // Two components.
    let [mut jpeg, ..] = kinds();
    jpeg[sof + 3] = 14;
    jpeg[sof + 9] = 2;
    refused(&jpeg, 1 << 25);
}

#[test]
fn scans_without_end_are_refused() {
    let jpeg = sample(40, 24, |e| e.set_progressive(true));
    let scan = jpeg.windows(2).rposition(|w| w == [0xff, 0xda]).unwrap();
    let last = &jpeg[scan..jpeg.len() - 2];
    let mut bomb = jpeg[..scan].to_vec();
    for _ in 0..5000 {
        bomb.extend_from_slice(last);
    }
    bomb.extend_from_slice(&[0xff, 0xd9]);
    let error = decode(&bomb, EndMarker::Required).unwrap_err();
    assert!(matches!(error, JpegError::Broken(_)), "{error}");
}
