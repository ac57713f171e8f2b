//! Windows of a map: the rows that a plain gather gives, and the bytes of those.

use igpt_kernels::{Kernels, Linear, LinearScratch, Map, PackedRows, Prepare, RowsF32, Windows};

use crate::{Random, all, same_bits};

const CHANNELS: [usize; 7] = [1, 3, 18, 20, 33, 147, 160];

/// kernel, stride, padding
const SHAPES: [[usize; 3]; 8] = [
    [7, 4, 3],
    [3, 2, 1],
    [2, 2, 0],
    [8, 8, 0],
    [3, 1, 1],
    [5, 3, 2],
    [5, 1, 0],
    [1, 1, 0],
];

fn gathered(windows: &Windows<'_>) -> Vec<f32> {
    let Windows {
        map,
        kernel,
        stride,
        padding,
    } = *windows;
    let (down, across) = windows.grid();
    let mut rows = Vec::new();
    for window in 0..down * across {
        for tap in 0..kernel * kernel {
            let y = (window / across * stride + tap / kernel).wrapping_sub(padding);
            let x = (window % across * stride + tap % kernel).wrapping_sub(padding);
            let inside = y < map.height && x < map.width;
            let at = (y.wrapping_mul(map.width).wrapping_add(x)).wrapping_mul(map.channels);
            rows.extend((0..map.channels).map(|c| match inside {
                true => map.values[at + c],
                false => 0.0,
            }));
        }
    }
    rows
}

/// What the rows times a few columns of numbers are: that tells bytes and scales apart.
fn product(kernels: Kernels, a: &PackedRows) -> Vec<f32> {
    let (k, n) = (a.k(), 5);
    let mut random = Random(3);
    let w: Vec<i8> = (0..k * n).map(|_| (random.next() * 127.0) as i8).collect();
    let w = kernels.pack(&w, k, n);
    let mut out = vec![0.0; a.rows() * n];
    kernels.linear(Linear {
        a,
        w: &w,
        w_scale: &[0.01, 0.02, 0.03, 0.04, 0.05],
        bias: &[0.0; 5],
        out: &mut out,
        ldo: n,
        add: false,
        panels: 0..w.panels(),
        scratch: &mut LinearScratch::default(),
    });
    out
}

#[test]
fn a_grid_has_the_windows_that_fit() {
    let grid = |height, width, [kernel, stride, padding]: [usize; 3]| {
        let map = Map {
            values: &[],
            height,
            width,
            channels: 3,
        };
        let windows = Windows {
            map,
            kernel,
            stride,
            padding,
        };
        windows.grid()
    };
    assert_eq!(grid(224, 224, [7, 4, 3]), (56, 56));
    assert_eq!(grid(56, 57, [3, 2, 1]), (28, 29));
    assert_eq!(grid(15, 17, [8, 8, 0]), (1, 2));
    assert_eq!(grid(1, 7, [8, 8, 0]), (0, 0));
    assert_eq!(grid(1, 1, [7, 4, 3]), (1, 1));
}

#[test]
fn windows_are_gathered_and_quantised_as_the_contract_says() {
    for (height, width) in [(1, 1), (1, 7), (7, 5), (9, 17)] {
        for channels in CHANNELS {
            let mut values = Random(channels as u64).rows(height * width * channels);
            // Pixels of their own size, and one of zeros.
            for (i, pixel) in values.chunks_exact_mut(channels).enumerate() {
                let size = [1.0, 0.01, 30.0, 0.0][i % 4];
                pixel.iter_mut().for_each(|x| *x *= size);
            }
            let map = Map {
                values: &values,
                height,
                width,
                channels,
            };
            for [kernel, stride, padding] in SHAPES {
                let windows = Windows {
                    map,
                    kernel,
                    stride,
                    padding,
                };
                let what = format!("{height}x{width}x{channels}, {kernel}/{stride}");
                let want = gathered(&windows);
                let (k, count) = (windows.width(), want.len() / windows.width());
                // All of them, and some from the middle on.
                for rows in [0..count, count / 3..count, count / 3..count / 2] {
                    let want = &want[rows.start * k..rows.end * k];
                    let got = same_bits(&what, |kernels| {
                        let mut out = vec![f32::NAN; want.len()];
                        kernels.gather(windows, rows.clone(), &mut out);
                        out
                    });
                    assert!(got == want, "{what}");
                    let got = same_bits(&what, |kernels| {
                        let mut a = PackedRows::default();
                        kernels
                            .prepare_windows(windows, rows.clone(), &mut a)
                            .expect("finite pixels");
                        assert_eq!((a.rows(), a.k()), (rows.len(), k), "{what}");
                        product(kernels, &a)
                    });
                    let kernels = Kernels::best();
                    let mut a = PackedRows::default();
                    kernels
                        .prepare(RowsF32::dense(want, rows.len(), k), Prepare::Plain, &mut a)
                        .expect("finite rows");
                    assert!(got == product(kernels, &a), "{what}");
                }
            }
        }
    }
}

#[test]
fn windows_that_are_not_finite_are_refused_by_number() {
    for channels in [3, 64] {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut values = vec![1.0; 9 * 9 * channels];
            // Row 5, column 4.
            values[(5 * 9 + 4) * channels + channels - 1] = bad;
            let map = Map {
                values: &values,
                height: 9,
                width: 9,
                channels,
            };
            for kernels in all() {
                let refused = |[kernel, stride, padding]: [usize; 3], rows| {
                    let windows = Windows {
                        map,
                        kernel,
                        stride,
                        padding,
                    };
                    let refused =
                        kernels.prepare_windows(windows, rows, &mut PackedRows::default());
                    refused.map_err(|e| (e.row, e.found.is_finite()))
                };
                // Of 5 by 5 windows those of row 2 are the first that reach it, the second of them.
                assert_eq!(refused([3, 2, 1], 0..25), Err((12, false)));
                assert_eq!(refused([3, 2, 1], 11..25), Err((1, false)));
                assert_eq!(refused([3, 2, 1], 0..12), Ok(()));
                assert_eq!(refused([3, 2, 1], 18..25), Ok(()));
                // Of 2 by 2 windows of 4 pixels the last; of 1 of 5 none, which leaves the right and the bottom out.
                assert_eq!(refused([4, 4, 0], 0..4), Err((3, false)));
                assert_eq!(refused([5, 5, 0], 0..1), Ok(()));
            }
        }
    }
}
