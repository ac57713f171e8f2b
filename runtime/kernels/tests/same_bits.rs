//! The numerics contract, kernel by kernel: close to a plain f64 formula, and the same bits on every instruction set.

use igpt_kernels::{
    Activation, Attention, AttentionF32, AttentionScratch, Heads, Isa, KV_TILE, Kernels, KvInt8,
    KvSlab, Linear, LinearF32, LinearScratch, PackedF32, PackedRows, Prepare,
};

/// Numbers in (-1, 1), the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> f32 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }

    fn rows(&mut self, len: usize) -> Vec<f32> {
        (0..len).map(|_| self.next()).collect()
    }
}

fn all() -> impl Iterator<Item = Kernels> {
    Isa::available()
        .map(|isa| Kernels::for_isa(isa).expect("an available instruction set has kernels"))
}

/// Fails unless every instruction set computes the same bits; gives them.
fn same_bits(what: &str, compute: impl Fn(Kernels) -> Vec<f32>) -> Vec<f32> {
    let scalar = compute(Kernels::for_isa(Isa::Scalar).expect("scalar is everywhere"));
    for kernels in all() {
        let got = compute(kernels);
        assert_eq!(got.len(), scalar.len());
        for (i, (got, want)) in got.iter().zip(&scalar).enumerate() {
            assert_eq!(
                got.to_bits(),
                want.to_bits(),
                "{what}: {} gives {got} at {i}, scalar {want}",
                kernels.isa()
            );
        }
    }
    scalar
}

fn cosine(a: &[f32], b: &[f64]) -> f64 {
    let dot: f64 = a.iter().zip(b).map(|(a, b)| f64::from(*a) * b).sum();
    let norm = |x: &mut dyn Iterator<Item = f64>| x.map(|x| x * x).sum::<f64>().sqrt();
    dot / norm(&mut a.iter().map(|x| f64::from(*x))) / norm(&mut b.iter().copied())
}

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
            Prepare::Activate(Activation::QuickGelu),
        ] {
            let got = same_bits(&format!("linear {rows}x{k}x{n} {how:?}"), |kernels| {
                let (mut a, w) = (PackedRows::default(), kernels.pack(&w, k, n));
                kernels
                    .prepare(&x, k, rows, k, how, &mut a)
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
                let mean = x.iter().map(|x| x * x).sum::<f64>() / k as f64;
                for j in 0..n {
                    let dot: f64 = (0..k)
                        .map(|c| {
                            let a = match how {
                                Prepare::Plain => x[c],
                                Prepare::Norm { .. } => {
                                    x[c] / (mean + 1e-5).sqrt() * f64::from(gain[c])
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

/// All heads of `qkv` in int8, in runs of the given lengths, as a session would compute them.
fn attend(kernels: Kernels, heads: Heads, qkv: &[f32], runs: &[usize], scale: f32) -> Vec<f32> {
    let tiles = (qkv.len() / (3 * heads.count * heads.dim)).div_ceil(KV_TILE);
    let kv = (0..tiles).map(|_| kernels.kv_tile(heads)).collect();
    attend_in(kernels, heads, qkv, runs, scale, kv)
}

/// [`attend`] with the tiles handed in.
fn attend_in(
    kernels: Kernels,
    heads: Heads,
    qkv: &[f32],
    runs: &[usize],
    scale: f32,
    mut kv: Vec<KvInt8>,
) -> Vec<f32> {
    let width = heads.count * heads.dim;
    let tokens = qkv.len() / (3 * width);
    let mut out = vec![0.0; tokens * width];
    let mut scratch = AttentionScratch::default();
    let mut position = 0;
    for run in runs {
        let mut queries = Vec::new();
        let mut at = position;
        while at < position + run {
            let rows = (KV_TILE - at % KV_TILE).min(position + run - at);
            let mut q = vec![PackedRows::default(); heads.count];
            let rows_of = &qkv[at * 3 * width..(at + rows) * 3 * width];
            kernels
                .split(heads, rows_of, at % KV_TILE, &mut q, &mut kv[at / KV_TILE])
                .expect("finite rows");
            queries.push((at, q));
            at += rows;
        }
        for (at, q) in &queries {
            for (head, q) in q.iter().enumerate() {
                let out = &mut out[at * width + head * heads.dim..];
                let job = Attention {
                    heads,
                    head,
                    q,
                    kv: &kv,
                    position: *at,
                    scale,
                    out,
                    ldo: width,
                };
                kernels.attend(job, &mut scratch).expect("finite scores");
            }
        }
        position += run;
    }
    out
}

fn attention_f64(heads: Heads, qkv: &[f32], scale: f32) -> Vec<f64> {
    let width = heads.count * heads.dim;
    let tokens = qkv.len() / (3 * width);
    let at = |t: usize, part: usize, c: usize| f64::from(qkv[t * 3 * width + part * width + c]);
    let mut out = vec![0.0; tokens * width];
    for t in 0..tokens {
        for head in 0..heads.count {
            let columns = head * heads.dim..(head + 1) * heads.dim;
            let scores: Vec<f64> = (0..=t)
                .map(|j| {
                    columns
                        .clone()
                        .map(|c| at(t, 0, c) * at(j, 1, c))
                        .sum::<f64>()
                        * f64::from(scale)
                })
                .collect();
            let top = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let sum: f64 = scores.iter().map(|s| (s - top).exp()).sum();
            for c in columns {
                out[t * width + c] = scores
                    .iter()
                    .enumerate()
                    .map(|(j, s)| (s - top).exp() / sum * at(j, 2, c))
                    .sum();
            }
        }
    }
    out
}

#[test]
fn int8_attention_is_close_the_same_and_causal() {
    for (count, dim, tokens) in [
        (1, 1, 1),
        (2, 64, 196),
        (3, 8, 65),
        (1, 96, 130),
        (2, 13, 64),
        (4, 32, 63),
        (1, 128, 129),
    ] {
        let heads = Heads { count, dim };
        let mut random = Random((count * 1000 + dim * 10 + tokens) as u64);
        let qkv: Vec<f32> = random
            .rows(tokens * 3 * count * dim)
            .iter()
            .map(|x| x * 2.0)
            .collect();
        let scale = 1.0 / (dim as f32).sqrt();
        let what = format!("attention {count}x{dim}, {tokens} tokens");
        let got = same_bits(&what, |kernels| {
            attend(kernels, heads, &qkv, &[tokens], scale)
        });
        let cosine = cosine(&got, &attention_f64(heads, &qkv, scale));
        assert!(cosine > 0.9995, "{what}: cosine {cosine}");
        // However the tokens arrive, and whatever follows them, each one's bits stay.
        let steps = vec![1; tokens];
        let (third, rest) = (tokens / 3, tokens - tokens / 3);
        for runs in [&steps[..], &[third, rest][..]] {
            let again = same_bits(&what, |kernels| attend(kernels, heads, &qkv, runs, scale));
            assert!(
                again
                    .iter()
                    .zip(&got)
                    .all(|(a, b)| a.to_bits() == b.to_bits()),
                "{what} in runs of {runs:?}"
            );
        }
    }
}

#[test]
fn tiles_that_share_a_slab_give_the_bits_of_tiles_of_their_own() {
    let heads = Heads { count: 3, dim: 40 };
    let (tokens, tiles) = (150, 3);
    let [first, second] = [6, 7].map(|seed| Random(seed).rows(tokens * 3 * 120));
    for kernels in all() {
        // Room for two sequences and no more, in memory that begins anywhere.
        let memory = vec![0u8; 2 * kernels.kv_len(heads, tiles) + 64];
        let mut slab = KvSlab::new(memory);
        let mut room = || kernels.kv_tiles(heads, tiles, &mut slab);
        let mut rooms = [room().expect("room"), room().expect("room")];
        assert!(room().is_none(), "the slab is full");
        drop(slab);
        let mut kv = [vec![], vec![]];
        for i in 0..tiles {
            for (kv, room) in kv.iter_mut().zip(&mut rooms) {
                kv.push(kernels.kv_tile_in(heads, room, i));
            }
        }
        // A place is given once: this one is memory of its own, and what is written there stays there.
        let mut other = kernels.kv_tile_in(heads, &mut rooms[0], 0);
        let mut q = vec![PackedRows::default(); 3];
        let rows = &second[..KV_TILE * 3 * 120];
        kernels
            .split(heads, rows, 0, &mut q, &mut other)
            .expect("finite rows");
        let copies = kv.clone();
        for (qkv, (kv, copies)) in [&first, &second]
            .into_iter()
            .zip(kv.into_iter().zip(copies))
        {
            let want = attend(kernels, heads, qkv, &[100, 50], 0.2);
            for kv in [kv, copies] {
                let got = attend_in(kernels, heads, qkv, &[100, 50], 0.2, kv);
                let same = got
                    .iter()
                    .zip(&want)
                    .all(|(a, b)| a.to_bits() == b.to_bits());
                assert!(same, "{}", kernels.isa());
            }
        }
    }
}

#[test]
fn attention_copes_with_extreme_rows() {
    let heads = Heads { count: 1, dim: 16 };
    let tokens = 70;
    let mut qkv = Random(5).rows(tokens * 48);
    qkv[3 * 48..4 * 48].fill(0.0); // nothing at all
    qkv[9 * 48 + 20] = 3e4; // one huge key channel
    qkv[12 * 48 + 40] = -3e4; // one huge value
    qkv[20 * 48..20 * 48 + 16].fill(1e-42); // a denormal query
    let got = same_bits("extreme rows", |kernels| {
        attend(kernels, heads, &qkv, &[tokens], 0.25)
    });
    assert!(got.iter().all(|x| x.is_finite()));
    assert!(cosine(&got, &attention_f64(heads, &qkv, 0.25)) > 0.999);
}

#[test]
fn rows_that_are_not_finite_are_refused_by_number() {
    for kernels in all() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut x = vec![1.0; 5 * 40];
            x[3 * 40 + 39] = bad;
            let refused =
                kernels.prepare(&x, 40, 5, 40, Prepare::Plain, &mut PackedRows::default());
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
                .prepare(&row, k, 1, k, Prepare::Plain, &mut a)
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

const ACTIVATIONS: [Activation; 5] = [
    Activation::QuickGelu,
    Activation::Gelu,
    Activation::GeluNew,
    Activation::Relu,
    Activation::Silu,
];

/// The contract's skewed row quantisation and int8 linear layer, spelled out for one activated row.
fn skewed_linear(x: &[f32], w: &[i8], w_scale: &[f32], bias: &[f32]) -> Vec<f32> {
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
                .prepare(&rows, k, count, k, how, &mut a)
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
            let mut row = row.to_vec();
            match kind {
                Activation::QuickGelu => row.iter_mut().for_each(|u| *u = coarse_quick_gelu(*u)),
                kind => Kernels::best().activate(kind, &mut row),
            }
            let want = skewed_linear(&row, &w, &w_scale, &bias);
            assert_eq!(got, want, "row {i} after {kind:?}");
        }
    }
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
                let found = kernels.prepare(&x, 40, 5, 40, how, &mut PackedRows::default());
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
    for (rows, k, n) in [(16, 512, 24), (8, 192, 16), (24, 64, 8), (8, 256, 40)] {
        let mut random = Random((rows * k + n) as u64);
        let (x, bias) = (random.rows(rows * k), random.rows(n));
        let w: Vec<i8> = (0..k * n).map(|_| (random.next() * 127.0) as i8).collect();
        let w_scale: Vec<f32> = random.rows(n).iter().map(|s| s.abs() + 1e-3).collect();
        for how in [Prepare::Plain, Prepare::Activate(Activation::QuickGelu)] {
            let layer = |add: bool| {
                same_bits(&format!("linear {rows}x{k}x{n} {how:?} {add}"), |kernels| {
                    let (mut a, w) = (PackedRows::default(), kernels.pack(&w, k, n));
                    kernels
                        .prepare(&x, k, rows, k, how, &mut a)
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
