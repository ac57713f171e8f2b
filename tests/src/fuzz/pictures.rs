//! Image files of every kind, and JPEGs by themselves.

use igpt_runtime::image_io::decode_bytes;
use igpt_runtime::jpeg::{self, Decoder, EndMarker};

/// Most pixels of a stream's frame.
const MAX_PIXELS: u32 = 1 << 16;

fn decode(data: &[u8]) -> bool {
    let Ok(image) = decode_bytes(data) else {
        return false;
    };
    assert_eq!(image.rgb().len(), 3 * image.width() * image.height());
    true
}

/// Any image file.
pub fn pictures(data: &[u8]) -> bool {
    decode(data)
}

/// What begins as a JPEG does.
pub fn jpeg(data: &[u8]) -> bool {
    let mut bytes = vec![0xff, 0xd8];
    bytes.extend_from_slice(data);
    let taken = decode(&bytes);
    let mut rgb = Vec::new();
    let whole = Decoder::new().decode(&bytes, MAX_PIXELS, EndMarker::Required, &mut rgb);
    let lenient = Decoder::new().decode(&bytes, MAX_PIXELS, EndMarker::Optional, &mut rgb);
    if let Ok((width, height)) = lenient {
        assert_eq!(jpeg::size(&bytes).expect("it was decoded"), (width, height));
        assert_eq!(rgb.len(), (3 * width * height) as usize);
    }
    if let Ok(size) = whole {
        assert_eq!(lenient.expect("it was decoded, and strictly"), size);
    }
    taken
}
