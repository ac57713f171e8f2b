//! BMPs of 16 bits a pixel: the `image` crate rounds their levels to 8 bits, Pillow cuts them off.

/// Makes Pillow's levels of the `image` crate's, if `bytes` are such a file.
pub(super) fn correct(bytes: &[u8], rgb: &mut [u8]) {
    let number = |at: usize| {
        let bytes = bytes.get(at..at + 4)?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?))
    };
    if number(28).map(|bits| bits & 0xffff) != Some(16) {
        return;
    }
    // With masks (compression 3) green may have 6 bits, which the second mask says.
    let green = match (number(30), number(58)) {
        (Some(3), Some(mask)) if mask.count_ones() == 6 => 63,
        _ => 31,
    };
    let cut = |level: u8, top: u32| {
        let stored = (u32::from(level) * top + 127) / 255;
        (stored * 255 / top) as u8
    };
    for [red, middle, blue] in rgb.as_chunks_mut::<3>().0 {
        (*red, *middle, *blue) = (cut(*red, 31), cut(*middle, green), cut(*blue, 31));
    }
}
