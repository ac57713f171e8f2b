//! Properties of the resampler; that it is Pillow's is for the golden tests.

use super::*;
use proptest::prelude::*;

fn resize(filter: Resample, rgb: &[u8], from: (usize, usize), to: (usize, usize)) -> Vec<u8> {
    let mut out = Vec::new();
    Resizer::new(filter, from, to).resize_into(rgb, &mut out);
    out
}

/// The definition: whole passes with the whole intermediate image, sums in i64.
fn two_pass(filter: Resample, rgb: &[u8], from: (usize, usize), to: (usize, usize)) -> Vec<u8> {
    // Lines of `length` pixels, `step` bytes from pixel to pixel, at these offsets.
    let pass = |input: &[u8], length, size: (usize, usize), vertical: bool| {
        let mut out = vec![0u8; 3 * size.0 * size.1];
        let windows = windows(filter, length, if vertical { size.1 } else { size.0 }, 1);
        for (i, out) in out.iter_mut().enumerate() {
            let (c, x, y) = (i % 3, i / 3 % size.0, i / 3 / size.0);
            let w = &windows[if vertical { y } else { x }];
            let sum: i64 = (w.first..)
                .zip(&w.coefficients)
                .map(|(s, &k)| {
                    let at = if vertical {
                        s * size.0 + x
                    } else {
                        y * length + s
                    };
                    i64::from(input[3 * at + c]) * i64::from(k)
                })
                .sum();
            *out = ((sum + i64::from(HALF)) >> PRECISION_BITS).clamp(0, 255) as u8;
        }
        out
    };
    if vertical_first(from, to) {
        pass(&pass(rgb, from.1, (from.0, to.1), true), from.0, to, false)
    } else {
        pass(&pass(rgb, from.0, (to.0, from.1), false), from.1, to, true)
    }
}

proptest! {
    #[test]
    fn streamed_rows_equal_two_passes(
        from in (1usize..70, 1usize..70),
        to in (1usize..40, 1usize..40),
        seed: u64,
        cubic: bool,
    ) {
        let filter = if cubic { Resample::Bicubic } else { Resample::Bilinear };
        // Only extremes, so that sums reach as far as they can.
        let rgb: Vec<u8> = (0..3 * from.0 * from.1)
            .map(|i| if (seed >> (i % 61)) & 1 == 0 { 0 } else { 255 })
            .collect();
        prop_assert_eq!(resize(filter, &rgb, from, to), two_pass(filter, &rgb, from, to));
    }

    #[test]
    fn a_flat_image_stays_flat(
        from in (1usize..300, 1usize..50),
        to in (1usize..40, 1usize..40),
        color: [u8; 3],
    ) {
        let rgb = color.repeat(from.0 * from.1);
        for filter in [Resample::Nearest, Resample::Bilinear, Resample::Bicubic] {
            prop_assert_eq!(resize(filter, &rgb, from, to), color.repeat(to.0 * to.1));
        }
    }
}

#[test]
fn the_first_pass_is_pillow_13s() {
    for (from, to, vertical) in [
        ((640, 480), (32, 32), false),
        ((720, 1280), (32, 32), false),
        ((100, 2000), (32, 32), true),
        // The height shrinks by exactly twice as much, and by one pixel more.
        ((40, 60), (30, 40), false),
        ((40, 61), (30, 40), true),
        // Wider and shorter; wider and taller.
        ((10, 11), (12, 10), true),
        ((10, 10), (90, 11), false),
    ] {
        assert_eq!(vertical_first(from, to), vertical, "{from:?} to {to:?}");
    }
}

#[test]
fn an_unchanged_axis_is_copied() {
    // Pillow skips such a pass; our kernel for it has to be the identity.
    for filter in [Resample::Bilinear, Resample::Bicubic] {
        for (x, w) in windows(filter, 17, 17, 1).iter().enumerate() {
            for (i, &k) in w.coefficients.iter().enumerate() {
                assert_eq!(
                    k,
                    if w.first + i == x {
                        1 << PRECISION_BITS
                    } else {
                        0
                    }
                );
            }
        }
    }
}

#[test]
fn windows_lie_inside_and_move_forward() {
    for (from, to) in [
        (1, 1),
        (1, 32),
        (2, 65),
        (65_535, 3),
        (3, 65_535),
        (640, 32),
        (33, 32),
    ] {
        for filter in [Resample::Bilinear, Resample::Bicubic] {
            let all = windows(filter, from, to, 1);
            for w in &all {
                assert!(!w.coefficients.is_empty());
                assert!(w.first + w.coefficients.len() <= from);
            }
            for pair in all.windows(2) {
                assert!(pair[0].first <= pair[1].first);
                let end = |w: &Window| w.first + w.coefficients.len();
                assert!(end(&pair[0]) <= end(&pair[1]));
            }
        }
    }
}
