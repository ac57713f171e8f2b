//! Rows on their way to bytes: what the contract says of zeros, outliers, activations, and of numbers that are none.

use igpt_kernels::{Activation, Kernels, Linear, LinearScratch, PackedRows, Prepare, RowsF32};

use crate::{ACTIVATIONS, Random, all, same_bits};

#[test]
fn rows_that_are_not_finite_are_refused_by_number() {
    for kernels in all() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut x = vec![1.0; 5 * 40];
            x[3 * 40 + 39] = bad;
            let refused = kernels.prepare(
                RowsF32::dense(&x, 5, 40),
                Prepare::Plain,
                &mut PackedRows::default(),
            );
            assert_eq!(
                refused.expect_err("a row that is not finite").row,
                3,
                "{}",
                kernels.isa()
            );
        }
    }
}

#[test]
fn all_zero_tiny_and_outlier_rows_quantise_as_the_contract_says() {
    let (k, n) = (32, 8);
    let w = vec![1i8; k * n];
    for (row, want) in [
        (vec![0.0; k], 0.0),
        (vec![1e-40; k], 0.0),
        ([vec![1e30], vec![1.0; k - 1]].concat(), 1e30),
    ] {
        let got = same_bits("one row", |kernels| {
            let (mut a, w) = (PackedRows::default(), kernels.pack(&w, k, n));
            kernels
                .prepare(RowsF32::dense(&row, 1, k), Prepare::Plain, &mut a)
                .expect("a finite row");
            let mut out = vec![0.0; n];
            let (w_scale, bias) = (&[1.0; 8], &[0.0; 8]);
            kernels.linear(Linear {
                a: &a,
                w: &w,
                w_scale,
                bias,
                out: &mut out,
                ldo: n,
                add: false,
                panels: 0..w.panels(),
                scratch: &mut LinearScratch::default(),
            });
            out
        });
        assert!(
            (got[0] - want).abs() <= want * 1e-6,
            "{} instead of {want}",
            got[0]
        );
    }
}

/// The contract's skewed row quantisation and int8 linear layer, spelled out for one activated row.
pub(crate) fn skewed_linear(x: &[f32], w: &[i8], w_scale: &[f32], bias: &[f32]) -> Vec<f32> {
    let low = x.iter().copied().fold(0.0, f32::min);
    let high = x.iter().copied().fold(0.0, f32::max);
    let span = high - low;
    let (inverse, scale) = if span < 2f32.powi(-100) {
        (0.0, 0.0)
    } else {
        (255.0 / span, span / 255.0)
    };
    let zero = (-low * inverse).round_ties_even();
    let steps: Vec<i32> = x
        .iter()
        .map(|x| ((x * inverse).round_ties_even() + zero).clamp(0.0, 255.0) as i32 - zero as i32)
        .collect();
    let n = bias.len();
    (0..n)
        .map(|j| {
            let column = w[j..].iter().step_by(n);
            let sum: i32 = steps
                .iter()
                .zip(column)
                .map(|(q, w)| q * i32::from(*w))
                .sum();
            (sum as f32).mul_add(scale * w_scale[j], bias[j])
        })
        .collect()
}

#[test]
fn activated_rows_quantise_as_the_contract_says() {
    let (k, n) = (70, 35);
    let mut random = Random(17);
    let w: Vec<i8> = (0..k * n).map(|_| (random.next() * 127.0) as i8).collect();
    let w_scale: Vec<f32> = (0..n).map(|_| random.next().abs() + 0.1).collect();
    let bias = random.rows(n);
    let mut ordinary = |scale: f32| -> Vec<f32> {
        let row = random.rows(k);
        row.iter().map(|x| x * scale).collect()
    };
    let negative = ordinary(2.0).iter().map(|x| -x.abs()).collect();
    let mut outlier = ordinary(1.0);
    outlier[69] = 1e4;
    let mut widest = ordinary(1.0);
    (widest[0], widest[1]) = (f32::MAX / 2.0, -f32::MAX / 2.0);
    // Steps of one half: ties both where values and where the zero are rounded.
    let ties = (0..k).map(|c| c as f32 * 0.5 - 4.0).collect();
    let rows: Vec<f32> = [
        ordinary(4.0),
        negative, // all zeros after ReLU
        vec![0.0; k],
        vec![-0.0; k],
        outlier,
        widest,
        ordinary(1e30),
        ordinary(1e-20),
        ordinary(1e-35), // below 2^-100
        ties,
        vec![7.0; k],
    ]
    .concat();
    for kind in ACTIVATIONS {
        let got = same_bits(&format!("rows after {kind:?}"), |kernels| {
            let (mut a, w) = (PackedRows::default(), kernels.pack(&w, k, n));
            let (how, count) = (Prepare::Activate(kind), rows.len() / k);
            kernels
                .prepare(RowsF32::dense(&rows, count, k), how, &mut a)
                .expect("finite rows");
            let mut out = vec![0.0; count * n];
            kernels.linear(Linear {
                a: &a,
                w: &w,
                w_scale: &w_scale,
                bias: &bias,
                out: &mut out,
                ldo: n,
                add: false,
                panels: 0..w.panels(),
                scratch: &mut LinearScratch::default(),
            });
            out
        });
        for (i, (row, got)) in rows.chunks_exact(k).zip(got.chunks_exact(n)).enumerate() {
            let want = skewed_linear(&coarse(kind, row), &w, &w_scale, &bias);
            assert_eq!(got, want, "row {i} after {kind:?}");
        }
    }
}

/// An activation as closely as bytes want it.
pub(crate) fn coarse(kind: Activation, row: &[f32]) -> Vec<f32> {
    let mut row = row.to_vec();
    match kind {
        Activation::QuickGelu => row.iter_mut().for_each(|u| *u = coarse_quick_gelu(*u)),
        Activation::Gelu => row.iter_mut().for_each(|u| *u = coarse_gelu(*u)),
        kind => Kernels::best().activate(kind, &mut row),
    }
    row
}

/// gelu of what becomes a byte, as docs/numerics.md has it.
fn coarse_gelu(u: f32) -> f32 {
    let w = u.clamp(-4.0, 4.0);
    let p = [
        1.043_037_7e-7,
        -3.706_412e-6,
        7.615_302e-5,
        -0.001_020_818_5,
        0.009_580_693,
        -0.066_063_21,
        0.398_805_14,
    ]
    .into_iter()
    .fold(-1.275_596_2e-9f32, |p, c| (w * w).mul_add(p, c));
    u * w.mul_add(p, 0.5)
}

/// quick_gelu of what becomes a byte, as docs/numerics.md has it.
fn coarse_quick_gelu(u: f32) -> f32 {
    const ROUND: f32 = 12_582_912.0;
    let (near, k) = (u.clamp(-50.0, 50.0), -1.702 * std::f32::consts::LOG2_E);
    let z = near.mul_add(k, ROUND);
    let f = near.mul_add(k, ROUND - z);
    let p = [0.242_611_13, 0.693_260_97, 0.999_928_06]
        .into_iter()
        .fold(0.055_171_67f32, |p, c| f.mul_add(p, c));
    let power = p * (z - ROUND).exp2();
    u / (1.0 + power)
}

#[test]
fn activated_rows_that_are_not_finite_are_refused_by_number_and_value() {
    for (kernels, kind) in all().flat_map(|kernels| ACTIVATIONS.map(|kind| (kernels, kind))) {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            // One in a whole vector of the row, one in its tail.
            for at in [3 * 40 + 5, 3 * 40 + 39] {
                let mut x = vec![1.0; 5 * 40];
                x[at] = bad;
                let how = Prepare::Activate(kind);
                let found =
                    kernels.prepare(RowsF32::dense(&x, 5, 40), how, &mut PackedRows::default());
                let what = format!("{bad} before {kind:?} on {}", kernels.isa());
                if kind == Activation::Relu && bad == f32::NEG_INFINITY {
                    // Its positive part is 0.
                    found.expect(&what);
                    continue;
                }
                let refused = found.expect_err(&what);
                assert_eq!(refused.row, 3, "{what}");
                assert!(!refused.found.is_finite(), "{what}: {refused}");
            }
        }
    }
}
