//! The images and palettes of tests/golden/processor.py, made by the same counter-based generator, so that
//! none of them has to be stored.

/// The SplitMix64 sequence that starts at `seed`.
pub fn mix(seed: u64) -> impl Iterator<Item = u64> {
    (1u64..).map(move |i| {
        let mut z = seed.wrapping_add(i.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    })
}

/// RGB8 pixels. `noise`: independent bytes; `scene`: slopes with a little noise, like a photograph.
pub fn make_image(kind: &str, seed: u64, width: usize, height: usize) -> Vec<u8> {
    let noise = mix(seed)
        .map(|z| (z >> 56) as usize)
        .take(3 * width * height);
    let slopes = kind == "scene";
    let pixels = noise.enumerate().map(|(i, noise)| {
        let (c, x, y) = (i % 3, i / 3 % width, i / 3 / width);
        let slope = x * 200 * (c + 1) / (width * 2) + y * (150 - 40 * c) / height;
        (if slopes { slope + noise / 8 } else { noise }) as u8
    });
    pixels.collect()
}

/// `random`: anywhere in [-1, 1]. `grid`: on 8-bit levels' half steps, for ties. `grey`: evenly spaced.
pub fn make_palette(kind: &str, seed: u64, n: usize) -> Vec<[f64; 3]> {
    let mut bits = mix(seed);
    let mut next = |i: usize| match kind {
        "random" => (bits.next().unwrap_or(0) >> 11) as f64 * 2f64.powi(-52) - 1.0,
        "grid" => (bits.next().unwrap_or(0) % 511) as f64 / 255.0 - 1.0,
        _ => i as f64 * 2.0 / (n.max(2) - 1) as f64 - 1.0,
    };
    (0..n).map(|i| [next(i), next(i), next(i)]).collect()
}
