//! Decodes one JPEG, from a stream or a camera, into a frame.

use std::time::Instant;

use igpt_runtime::jpeg::{self, EndMarker};

use super::frame::FrameBuffer;

/// Decodes JPEGs of a bounded size.
#[derive(Debug)]
pub(super) struct Decoder {
    max_pixels: u32,
    decoder: jpeg::Decoder,
}

impl Decoder {
    pub(super) fn new(max_pixels: u32) -> Self {
        Self {
            max_pixels,
            decoder: jpeg::Decoder::new(),
        }
    }

    /// Decodes `jpeg` into `frame`'s picture, says how long that took, and leaves its other fields alone. A frame that only lacks its end
    /// marker, as some cameras send them, is decoded; one that is cut or damaged is not. EXIF orientation is
    /// ignored: a stream's frames are upright as they are.
    ///
    /// # Errors
    /// What is wrong with the JPEG, in words; `frame`'s picture is then unspecified.
    pub(super) fn decode(&mut self, jpeg: &[u8], frame: &mut FrameBuffer) -> Result<(), String> {
        let begun = Instant::now();
        (frame.width, frame.height) = self
            .decoder
            .decode(jpeg, self.max_pixels, EndMarker::Optional, &mut frame.rgb)
            .map_err(|error| error.to_string())?;
        frame.decode = begun.elapsed();
        Ok(())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A JPEG of a soft gradient whose colours depend on `seed`.
    pub(in crate::source) fn sample(width: u16, height: u16, seed: u8) -> Vec<u8> {
        let rgb: Vec<u8> = (0..height)
            .flat_map(|y| (0..width).map(move |x| (x, y)))
            .flat_map(|(x, y)| [(x * 3) as u8, (y * 5) as u8, seed.wrapping_mul(23)])
            .collect();
        let mut jpeg = Vec::new();
        jpeg_encoder::Encoder::new(&mut jpeg, 90)
            .encode(&rgb, width, height, jpeg_encoder::ColorType::Rgb)
            .unwrap();
        jpeg
    }

    fn decode(jpeg: &[u8]) -> Result<FrameBuffer, String> {
        let mut frame = FrameBuffer::default();
        Decoder::new(1 << 20)
            .decode(jpeg, &mut frame)
            .map(|()| frame)
    }

    #[test]
    fn a_decoded_picture_is_the_encoded_one() {
        let frame = decode(&sample(50, 38, 4)).unwrap();
        assert_eq!((frame.width, frame.height), (50, 38));
        for (i, pixel) in frame.rgb.chunks_exact(3).enumerate() {
            let want = [(i % 50 * 3) as u8, (i / 50 * 5) as u8, 92];
            for (got, want) in pixel.iter().zip(want) {
                assert!(got.abs_diff(want) < 16, "pixel {i}: {pixel:?}");
            }
        }
    }

    #[test]
    fn frames_without_huffman_tables_decode_with_the_standard_ones() {
        let whole = sample(64, 48, 2);
        // Take out the DHT segments.
        let mut bare = whole[..2].to_vec();
        let mut at = 2;
        while whole[at + 1] != 0xda {
            let length = usize::from(u16::from_be_bytes([whole[at + 2], whole[at + 3]]));
            if whole[at + 1] != 0xc4 {
                bare.extend_from_slice(&whole[at..at + 2 + length]);
            }
            at += 2 + length;
        }
        bare.extend_from_slice(&whole[at..]);
        assert!(bare.len() + 300 < whole.len());
        assert_eq!(decode(&bare).unwrap().rgb, decode(&whole).unwrap().rgb);
    }

    #[test]
    fn a_size_over_the_limit_is_refused_before_it_is_decoded() {
        let mut jpeg = sample(64, 48, 1);
        let mut frame = FrameBuffer::default();
        let error = Decoder::new(64 * 48 - 1)
            .decode(&jpeg, &mut frame)
            .unwrap_err();
        assert!(error.contains("64x48"), "{error}");
        assert_eq!(frame.rgb.capacity(), 0);
        // 65535 x 65535 in the frame header.
        let sof = jpeg.windows(2).position(|w| w == [0xff, 0xc0]).unwrap();
        jpeg[sof + 5..sof + 9].fill(0xff);
        assert!(Decoder::new(1 << 25).decode(&jpeg, &mut frame).is_err());
        assert_eq!(frame.rgb.capacity(), 0);
    }

    #[test]
    fn a_frame_without_an_end_marker_is_decoded_and_a_cut_one_is_not() {
        let whole = sample(40, 24, 7);
        let complete = &whole[..whole.len() - 2];
        assert_eq!(decode(complete).unwrap().rgb, decode(&whole).unwrap().rgb);
        let error = decode(&whole[..whole.len() - 20]).unwrap_err();
        assert!(error.starts_with("truncated JPEG"), "{error}");
    }
}
