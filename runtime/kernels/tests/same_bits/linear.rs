//! Linear layers, int8 and f32, and the other f32 kernels.

use igpt_kernels::{
    Activation, AttentionF32, Linear, LinearF32, LinearScratch, PackedF32, PackedRows, Prepare,
    RowsF32,
};

use crate::{ACTIVATIONS, Random, all, cosine, same_bits};

#[test]
fn int8_linear_layers_are_close_and_the_same() {
    for (rows, k, n) in [
        (1, 1, 1),
        (1, 64, 33),
        (3, 24, 72),
        (13, 130, 65),
        (25, 128, 384),
        (8, 2048, 32),
    ] {
        let mut random = Random(rows as u64 * 7 + k as u64);
        let (x, gain, bias) = (random.rows(rows * k), random.rows(k), random.rows(n));
        let shift = random.rows(k);
        let w: Vec<i8> = (0..k * n).map(|_| (random.next() * 127.0) as i8).collect();
        let w_scale: Vec<f32> = random
            .rows(n)
            .iter()
            .map(|s| s.abs() * 0.01 + 1e-3)
            .collect();
        for how in [
            Prepare::Plain,
            Prepare::Norm {
                gain: &gain,
                eps: 1e-5,
            },
            Prepare::LayerNorm {
                gain: &gain,
                bias: &shift,
                eps: 1e-5,
            },
            Prepare::Activate(Activation::QuickGelu),
        ] {
            let got = same_bits(&format!("linear {rows}x{k}x{n} {how:?}"), |kernels| {
                let (mut a, w) = (PackedRows::default(), kernels.pack(&w, k, n));
                kernels
                    .prepare(RowsF32::dense(&x, rows, k), how, &mut a)
                    .expect("finite rows");
                let mut out = vec![0.5; rows * n];
                let panels = 0..w.panels();
                kernels.linear(Linear {
                    a: &a,
                    w: &w,
                    w_scale: &w_scale,
                    bias: &bias,
                    out: &mut out,
                    ldo: n,
                    add: true,
                    panels,
                    scratch: &mut LinearScratch::default(),
                });
                out
            });
            let mut want = vec![0.0; rows * n];
            for i in 0..rows {
                let x: Vec<f64> = x[i * k..][..k].iter().map(|x| f64::from(*x)).collect();
                let mean_square = x.iter().map(|x| x * x).sum::<f64>() / k as f64;
                let mean = x.iter().sum::<f64>() / k as f64;
                let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / k as f64;
                for j in 0..n {
                    let dot: f64 = (0..k)
                        .map(|c| {
                            let a = match how {
                                Prepare::Plain => x[c],
                                Prepare::Norm { .. } => {
                                    x[c] / (mean_square + 1e-5).sqrt() * f64::from(gain[c])
                                }
                                Prepare::LayerNorm { .. } => {
                                    (x[c] - mean) / (variance + 1e-5).sqrt() * f64::from(gain[c])
                                        + f64::from(shift[c])
                                }
                                Prepare::Activate(_) => x[c] / (1.0 + (-1.702 * x[c]).exp()),
                            };
                            a * f64::from(w[c * n + j])
                        })
                        .sum();
                    want[i * n + j] = 0.5 + dot * f64::from(w_scale[j]) + f64::from(bias[j]);
                }
            }
            let cosine = cosine(&got, &want);
            assert!(cosine > 0.9995, "{rows}x{k}x{n} {how:?}: cosine {cosine}");
        }
    }
}

#[test]
fn f32_kernels_are_close_and_the_same() {
    let (rows, k, n) = (7, 100, 45);
    let mut random = Random(11);
    let (x, w, bias) = (random.rows(rows * k), random.rows(k * n), random.rows(n));
    let packed = PackedF32::new(&w, k, n);
    let got = same_bits("f32 linear", |kernels| {
        let mut out = vec![0.0; rows * n];
        let panels = 0..packed.panels();
        kernels.linear_f32(LinearF32 {
            a: &x,
            lda: k,
            rows,
            w: &packed,
            bias: &bias,
            out: &mut out,
            ldo: n,
            add: false,
            panels,
        });
        out
    });
    for (i, got) in got.iter().enumerate() {
        let (row, j) = (i / n, i % n);
        let dot: f64 = (0..k)
            .map(|c| f64::from(x[row * k + c]) * f64::from(w[c * n + j]))
            .sum();
        assert!((f64::from(*got) - dot - f64::from(bias[j])).abs() < 1e-4);
    }
    let (dim, tokens) = (24, 100);
    let (q, kv) = (random.rows(dim), random.rows(tokens * 2 * dim));
    same_bits("f32 attention", |kernels| {
        let mut out = vec![0.0; dim];
        let (keys, values, stride) = (&kv[..], &kv[dim..], 2 * dim);
        kernels
            .attend_f32(AttentionF32 {
                q: &q,
                keys,
                values,
                stride,
                tokens,
                scale: 0.2,
                out: &mut out,
            })
            .expect("finite");
        out
    });
    for kind in ACTIVATIONS {
        same_bits("activation", |kernels| {
            let mut row: Vec<f32> = x.iter().map(|x| x * 20.0).collect();
            kernels.activate(kind, &mut row);
            row
        });
    }
    same_bits("norm and sums", |kernels| {
        let mut out = vec![0.0; rows * k];
        kernels.norm(&x, &w[..k], 1e-5, &mut out);
        let mut sums = vec![0.0; k];
        kernels.add_rows(&out, &mut sums);
        out.extend(&sums);
        out.push(kernels.dot_f32(&x, &w));
        out
    });
}

/// Rows and columns that fill tiles, for which ARM has loops of their own: for many k, for few, and for rows
/// that are only stored.
#[test]
fn whole_tiles_of_linear_layers_are_the_same_stored_or_added() {
    for (rows, k, n) in [
        (16, 512, 24),
        (8, 192, 16),
        (24, 64, 8),
        (8, 256, 40),
        (12, 512, 64),
        (24, 128, 96),
    ] {
        let mut random = Random((rows * k + n) as u64);
        let (x, bias) = (random.rows(rows * k), random.rows(n));
        let w: Vec<i8> = (0..k * n).map(|_| (random.next() * 127.0) as i8).collect();
        let w_scale: Vec<f32> = random.rows(n).iter().map(|s| s.abs() + 1e-3).collect();
        for how in [Prepare::Plain, Prepare::Activate(Activation::QuickGelu)] {
            let layer = |add: bool| {
                same_bits(&format!("linear {rows}x{k}x{n} {how:?} {add}"), |kernels| {
                    let (mut a, w) = (PackedRows::default(), kernels.pack(&w, k, n));
                    kernels
                        .prepare(RowsF32::dense(&x, rows, k), how, &mut a)
                        .expect("finite rows");
                    let mut out = vec![0.5; rows * n];
                    kernels.linear(Linear {
                        a: &a,
                        w: &w,
                        w_scale: &w_scale,
                        bias: &bias,
                        out: &mut out,
                        ldo: n,
                        add,
                        panels: 0..w.panels(),
                        scratch: &mut LinearScratch::default(),
                    });
                    out
                })
            };
            let stored = layer(false);
            for (added, stored) in layer(true).into_iter().zip(stored) {
                assert_eq!(added, 0.5 + stored);
            }
        }
    }
}

#[test]
fn no_rows_are_no_work() {
    let w = vec![1; 64 * 64];
    for kernels in all() {
        let (mut a, w) = (PackedRows::default(), kernels.pack(&w, 64, 64));
        kernels
            .prepare(RowsF32::dense(&[], 0, 64), Prepare::Plain, &mut a)
            .expect("no rows");
        kernels.linear(Linear {
            a: &a,
            w: &w,
            w_scale: &[1.0; 64],
            bias: &[1.0; 64],
            out: &mut [0.0; 64],
            ldo: 64,
            add: true,
            panels: 0..w.panels(),
            scratch: &mut LinearScratch::default(),
        });
    }
}
