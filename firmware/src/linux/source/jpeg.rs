//! Decodes one JPEG, from a stream or a camera, into a frame.

use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;

use super::FrameBuffer;

/// An APP0 segment that marks a Motion JPEG frame. Such frames, and many USB cameras', leave out
/// the Huffman tables that all of them share; the mark tells the decoder to use those.
const AVI1: [u8; 18] = *b"\xff\xe0\x00\x10AVI1\0\0\0\0\0\0\0\0\0\0";

/// Decodes JPEGs of a bounded size.
#[derive(Debug)]
pub(super) struct Decoder {
    max_pixels: u32,
    /// A frame with [`AVI1`] put in.
    marked: Vec<u8>,
}

impl Decoder {
    pub(super) fn new(max_pixels: u32) -> Self {
        Self {
            max_pixels,
            marked: Vec::new(),
        }
    }

    /// Decodes `jpeg` into `frame`'s picture, and leaves its other fields alone. EXIF orientation is
    /// ignored: a stream's frames are upright as they are.
    ///
    /// # Errors
    /// What is wrong with the JPEG, in words; `frame`'s picture is then unspecified.
    pub(super) fn decode(&mut self, jpeg: &[u8], frame: &mut FrameBuffer) -> Result<(), String> {
        let max_pixels = self.max_pixels;
        let options = DecoderOptions::default()
            // Nothing promises that the decoder's vector paths round as its scalar one does, and a
            // verdict must not depend on the CPU. At 640x480 the scalar path is as fast (2.7 ms on
            // x86): entropy decoding takes the time.
            .set_use_unsafe(false)
            // Otherwise a damaged frame comes back half grey, and its verdict with it.
            .set_strict_mode(true)
            .set_max_width(max_pixels.min(u16::MAX.into()) as usize)
            .set_max_height(max_pixels.min(u16::MAX.into()) as usize)
            .jpeg_set_out_colorspace(ColorSpace::RGB);
        let jpeg = match has_huffman_tables(jpeg) {
            true => jpeg,
            false => self.mark(jpeg),
        };
        let mut decoder = JpegDecoder::new_with_options(ZCursor::new(jpeg), options);
        decoder
            .decode_headers()
            .map_err(|e| format!("broken JPEG: {e}"))?;
        let (width, height) = decoder.dimensions().ok_or("JPEG without a size")?;
        let pixels = (width as u64).saturating_mul(height as u64);
        if pixels == 0 || pixels > u64::from(max_pixels) {
            return Err(format!(
                "JPEG of {width}x{height}; expected 1x1 up to {max_pixels} pixels"
            ));
        }
        // Both fit in 16 bits: the format has no more.
        frame.resize(width as u32, height as u32);
        if decoder.output_buffer_size() != Some(frame.rgb.len()) {
            return Err("JPEG with an unsupported number of channels".to_owned());
        }
        decoder
            .decode_into(&mut frame.rgb)
            .map_err(|e| format!("broken JPEG: {e}"))
    }

    fn mark(&mut self, jpeg: &[u8]) -> &[u8] {
        let (soi, rest) = jpeg.split_at_checked(2).unwrap_or((jpeg, &[]));
        self.marked.clear();
        self.marked.extend_from_slice(soi);
        self.marked.extend_from_slice(&AVI1);
        self.marked.extend_from_slice(rest);
        &self.marked
    }
}

/// Whether a Huffman table is defined before the first scan. True too where the headers make no sense:
/// the decoder says that better.
fn has_huffman_tables(jpeg: &[u8]) -> bool {
    let mut rest = jpeg.get(2..).unwrap_or_default();
    loop {
        match *rest {
            [0xff, 0xff, ..] => rest = rest.get(1..).unwrap_or_default(),
            [0xff, 0xda, ..] => return false,
            [0xff, 0xc4, ..] => return true,
            [0xff, _, high, low, ..] => {
                let length = usize::from(u16::from_be_bytes([high, low]));
                match rest.get(2 + length.max(2)..) {
                    Some(after) => rest = after,
                    None => return true,
                }
            }
            _ => return true,
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use image::codecs::jpeg::JpegEncoder;

    /// A JPEG of a soft gradient whose colours depend on `seed`.
    pub(in crate::linux::source) fn sample(width: u16, height: u16, seed: u8) -> Vec<u8> {
        let rgb: Vec<u8> = (0..height)
            .flat_map(|y| (0..width).map(move |x| (x, y)))
            .flat_map(|(x, y)| [(x * 3) as u8, (y * 5) as u8, seed.wrapping_mul(23)])
            .collect();
        let mut jpeg = Vec::new();
        JpegEncoder::new_with_quality(&mut jpeg, 90)
            .encode(
                &rgb,
                width.into(),
                height.into(),
                image::ExtendedColorType::Rgb8,
            )
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
        assert!(bare.len() + 300 < whole.len() && !has_huffman_tables(&bare));
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
    fn damaged_frames_are_refused_or_decoded_and_never_panic() {
        let whole = sample(40, 24, 7);
        for cut in 0..whole.len() {
            let _ = decode(&whole[..cut]);
        }
        for bit in 0..whole.len() * 8 {
            let mut damaged = whole.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            if let Ok(frame) = decode(&damaged) {
                assert_eq!(frame.rgb.len(), (frame.width * frame.height * 3) as usize);
            }
        }
    }
}
