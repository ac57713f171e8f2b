//! CMYK to RGB, as Pillow does it: for JPEG and TIFF.

/// Pillow's CMYK to RGB; 255 is full ink.
pub(crate) fn rgb_of_cmyk([c, m, y, k]: [u8; 4]) -> [u8; 3] {
    let paper = u32::from(255 - k);
    [c, m, y].map(|ink| {
        let product = u32::from(ink) * paper + 128;
        (paper - (((product >> 8) + product) >> 8).min(paper)) as u8
    })
}
