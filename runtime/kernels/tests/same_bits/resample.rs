//! Resizing pictures: what plain sums in 64 bits give, on every instruction set.

use igpt_kernels::{ResampleAxis, RowRing};

use super::{Random, all};

/// Windows as a filter has them: of one to `most` pixels of `from`, that only move on, with coefficients of both signs.
fn windows(from: usize, to: usize, most: usize, random: &mut Random) -> Vec<(usize, Vec<i32>)> {
    (0..to)
        .map(|i| {
            let taps = 1 + (i * 7 + most) % most.min(from);
            let first = if to > 1 {
                i * (from - taps) / (to - 1)
            } else {
                0
            };
            let coefficients = (0..taps).map(|_| (random.next() * 3e6) as i32 / taps as i32);
            (first.min(from - taps), coefficients.collect())
        })
        .collect()
}

fn bytes(len: usize, random: &mut Random) -> Vec<u8> {
    // Mostly extremes.
    let byte = |x: f32| (x * 400.0 + 128.0).clamp(0.0, 255.0) as u8;
    (0..len).map(|_| byte(random.next())).collect()
}

fn pixel(sum: i64, bits: u32) -> u8 {
    ((sum + (1 << (bits - 1))) >> bits).clamp(0, 255) as u8
}

fn axis(bits: u32, windows: &[(usize, Vec<i32>)]) -> ResampleAxis {
    ResampleAxis::new(
        bits,
        windows.iter().map(|(first, w)| (*first, w.as_slice())),
    )
}

#[test]
fn rows_are_resampled_as_sums_say() {
    for (from, to) in [
        (1, 1),
        (1, 5),
        (2, 3),
        (5, 2),
        (7, 31),
        (16, 16),
        (64, 23),
        (640, 224),
        (321, 1),
    ] {
        for most in [1, 2, 3, 4, 5, 6, 9, 40] {
            let mut random = Random((from * 41 + to * 7 + most) as u64);
            let source = bytes(3 * from, &mut random);
            let mut windows = windows(from, to, most, &mut random);
            windows.sort_by_key(|(first, _)| *first);
            let axis = axis(22, &windows);
            assert_eq!((axis.len(), axis.is_empty()), (to, false));
            let mut want = Vec::new();
            for (first, window) in &windows {
                for c in 0..3 {
                    let of = |(t, k): (usize, &i32)| {
                        i64::from(source[3 * (first + t) + c]) * i64::from(*k)
                    };
                    want.push(pixel(window.iter().enumerate().map(of).sum(), 22));
                }
            }
            for kernels in all() {
                let mut out = vec![7; 3 * to];
                kernels.resample_row(&axis, &source, &mut out);
                assert_eq!(out, want, "{}: {from} to {to} by {most}", kernels.isa());
            }
        }
    }
}

#[test]
fn rows_are_blended_as_sums_say() {
    for width in [1, 3, 63, 64, 65, 200, 672] {
        let mut random = Random(width as u64);
        let (from, to) = (23, 9);
        let windows = windows(from, to, 6, &mut random);
        let axis = axis(16, &windows);
        let longest = windows.iter().map(|(_, w)| w.len()).max().unwrap();
        assert_eq!(axis.longest(), longest);
        let source = bytes(from * width, &mut random);
        for (target, (first, window)) in windows.iter().enumerate() {
            assert_eq!(axis.window(target), *first..first + window.len());
            let want: Vec<u8> = (0..width)
                .map(|x| {
                    let of = |(t, k): (usize, &i32)| {
                        i64::from(source[(first + t) * width + x]) * i64::from(*k)
                    };
                    pixel(window.iter().enumerate().map(of).sum(), 16)
                })
                .collect();
            // All rows there are, and a ring for one window.
            let mut ring = vec![0; longest * width];
            for row in *first..first + window.len() {
                let place = &mut ring[row % longest * width..][..width];
                place.copy_from_slice(&source[row * width..][..width]);
            }
            for (values, places) in [(&source, from), (&ring, longest)] {
                let rows = RowRing {
                    values,
                    width,
                    places,
                };
                for kernels in all() {
                    let mut out = vec![7; width];
                    kernels.blend_rows(&axis, target, rows, &mut out);
                    assert_eq!(out, want, "{}: {width}, row {target}", kernels.isa());
                }
            }
        }
    }
}
