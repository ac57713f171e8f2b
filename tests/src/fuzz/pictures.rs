//! Image files of every kind, and JPEGs by themselves.

use igpt_runtime::image_io::decode_bytes;

fn decode(data: &[u8]) {
    if let Ok(image) = decode_bytes(data) {
        assert_eq!(image.rgb().len(), 3 * image.width() * image.height());
    }
}

/// Any image file.
pub(super) fn pictures(data: &[u8]) {
    decode(data);
}

/// What begins as a JPEG does.
pub(super) fn jpeg(data: &[u8]) {
    let mut bytes = vec![0xff, 0xd8];
    bytes.extend_from_slice(data);
    decode(&bytes);
}
