//! Properties of the resampler; that it is Pillow's is for the golden tests.

use super::*;
use proptest::prelude::*;

type How = (Backend, Resample);

fn resize((backend, filter): How, rgb: &[u8], from: (usize, usize), to: (usize, usize)) -> Vec<u8> {
    let mut out = Vec::new();
    Resizer::new(backend, filter, from, to).resize_into(rgb, &mut out);
    out
}

fn any_way() -> impl Strategy<Value = How> {
    (0usize..2, 0u64..6).prop_map(|(backend, code)| {
        let filter = Resample::from_code(code).expect("Pillow has six filters");
        (Backend::ALL[backend], filter)
    })
}

/// The definition: whole passes with the whole intermediate image, sums in i64.
fn two_pass(
    (backend, filter): How,
    rgb: &[u8],
    from: (usize, usize),
    to: (usize, usize),
) -> Vec<u8> {
    // Lines of `length` pixels, `step` bytes from pixel to pixel, at these offsets.
    let pass = |input: &[u8], length, size: (usize, usize), vertical: bool| {
        let mut out = vec![0u8; 3 * size.0 * size.1];
        let axis = Axis::new(
            backend,
            filter,
            length,
            if vertical { size.1 } else { size.0 },
        );
        for (i, out) in out.iter_mut().enumerate() {
            let (c, x, y) = (i % 3, i / 3 % size.0, i / 3 / size.0);
            let w = &axis.windows[if vertical { y } else { x }];
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
            // In i64 until the end: that the product's sums fit 32 bits is part of what is tested.
            let sum = i32::try_from(sum + (1 << (axis.bits - 1))).expect("32 bits");
            *out = (sum >> axis.bits).clamp(0, 255) as u8;
        }
        out
    };
    if backend == Backend::Pil && vertical_first(from, to) {
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
        how in any_way().prop_filter("convolves", |how| how.1 != Resample::Nearest),
    ) {
        // Only extremes, so that sums reach as far as they can.
        let rgb: Vec<u8> = (0..3 * from.0 * from.1)
            .map(|i| if (seed >> (i % 61)) & 1 == 0 { 0 } else { 255 })
            .collect();
        prop_assert_eq!(resize(how, &rgb, from, to), two_pass(how, &rgb, from, to));
    }

    #[test]
    fn a_flat_image_stays_flat(
        from in (1usize..300, 1usize..50),
        to in (1usize..40, 1usize..40),
        color: [u8; 3],
        how in any_way(),
    ) {
        let rgb = color.repeat(from.0 * from.1);
        let flat = resize(how, &rgb, from, to);
        prop_assert_eq!(flat, color.repeat(to.0 * to.1));
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
