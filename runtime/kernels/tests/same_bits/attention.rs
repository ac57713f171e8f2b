//! Int8 attention: close to the plain formula, however its tokens arrive and wherever its tiles lie.

use igpt_kernels::{
    Attention, AttentionRow, AttentionScratch, Heads, KV_TILE, Kernels, KvInt8, PackedRows, Slab,
    Visible,
};

use crate::{Random, all, cosine, same_bits};

/// All heads of `qkv` in int8, in runs of the given lengths, as a session would compute them.
fn attend(kernels: Kernels, heads: Heads, qkv: &[f32], runs: &[usize], scale: f32) -> Vec<f32> {
    let tiles = (qkv.len() / (3 * heads.count * heads.dim)).div_ceil(KV_TILE);
    // A sequence that goes on token by token has its tiles in a slab.
    let mut slab = Slab::new(vec![0u8; kernels.kv_len(heads, tiles) + 64]);
    let mut room = kernels.kv_tiles(heads, tiles, &mut slab).expect("room");
    let kv = (0..tiles)
        .map(|i| match runs {
            [_] => kernels.kv_tile(heads),
            _ => kernels.kv_tile_in(heads, &mut room, i),
        })
        .collect();
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
            if let [(_, q)] = &queries[..]
                && *run == 1
            {
                let job = AttentionRow {
                    heads,
                    first: 0,
                    q,
                    kv: &kv,
                    position: *at,
                    scale,
                    out: &mut out[at * width..][..width],
                };
                kernels
                    .attend_row(job, &mut scratch)
                    .expect("finite scores");
                continue;
            }
            for (head, q) in q.iter().enumerate() {
                let out = &mut out[at * width + head * heads.dim..];
                let job = Attention {
                    heads,
                    head,
                    q,
                    kv: &kv,
                    visible: Visible::Causal { position: *at },
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
    // Of four heads, a query reads the keys of all before their values on some instruction sets.
    let heads = Heads { count: 4, dim: 40 };
    let (tokens, tiles) = (150, 3);
    let [first, second] = [6, 7].map(|seed| Random(seed).rows(tokens * 3 * 160));
    for kernels in all() {
        // Room for two sequences and no more, in memory that begins anywhere.
        let memory = vec![0u8; 2 * kernels.kv_len(heads, tiles) + 64];
        let mut slab = Slab::new(memory);
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
        let mut q = vec![PackedRows::default(); 4];
        let rows = &second[..KV_TILE * 3 * 160];
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
    for dim in [16, 32] {
        let heads = Heads { count: 1, dim };
        let (tokens, row) = (70, 3 * dim);
        let mut qkv = Random(5).rows(tokens * row);
        qkv[3 * row..4 * row].fill(0.0); // nothing at all
        qkv[9 * row + dim + 4] = 3e4; // one huge key channel
        qkv[12 * row + 2 * dim + 8] = -3e4; // one huge value
        qkv[20 * row..20 * row + dim].fill(1e-42); // a denormal query
        for runs in [vec![tokens], vec![1; tokens]] {
            let got = same_bits("extreme rows", |kernels| {
                attend(kernels, heads, &qkv, &runs, 0.25)
            });
            assert!(got.iter().all(|x| x.is_finite()));
            assert!(cosine(&got, &attention_f64(heads, &qkv, 0.25)) > 0.999);
        }
    }
}
