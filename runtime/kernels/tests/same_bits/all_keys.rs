//! Int8 attention over a fixed set of keys: close to the plain formula, however many keys there are and however they and the queries arrive.

use igpt_kernels::{
    Attention, AttentionScratch, Heads, KV_TILE, Kernels, KvInt8, NonFinite, PackedRows, Visible,
};

use crate::{Random, all, cosine, same_bits};

const SCALE: f32 = 0.3;

/// Tiles of the keys and values of `kv`, which come `chunk` rows at a time.
fn tiles(kernels: Kernels, heads: Heads, kv: &[f32], chunk: usize) -> Vec<KvInt8> {
    let width = 2 * heads.count * heads.dim;
    let mut tiles = Vec::new();
    for kv in kv.chunks(KV_TILE * width) {
        let mut tile = kernels.kv_tile(heads);
        store(kernels, heads, kv, chunk, &mut tile);
        tiles.push(tile);
    }
    tiles
}

fn store(kernels: Kernels, heads: Heads, kv: &[f32], chunk: usize, tile: &mut KvInt8) {
    let width = 2 * heads.count * heads.dim;
    for (i, kv) in kv.chunks(chunk * width).enumerate() {
        kernels
            .split_kv(heads, kv, i * chunk, tile)
            .expect("finite rows");
    }
}

/// All heads of the queries `q`, `rows` at a time, over `keys` keys.
fn attend(
    kernels: Kernels,
    heads: Heads,
    q: &[f32],
    rows: usize,
    (kv, keys): (&[KvInt8], usize),
) -> Vec<f32> {
    let width = heads.count * heads.dim;
    let mut out = vec![f32::NAN; q.len()];
    let mut scratch = AttentionScratch::default();
    let mut packed = vec![PackedRows::default(); heads.count];
    for (q, out) in q.chunks(rows * width).zip(out.chunks_mut(rows * width)) {
        kernels.split_q(heads, q, &mut packed).expect("finite rows");
        for (head, q) in packed.iter().enumerate() {
            let job = Attention {
                heads,
                head,
                q,
                kv,
                visible: Visible::All { keys },
                scale: SCALE,
                out: &mut out[head * heads.dim..],
                ldo: width,
            };
            kernels.attend(job, &mut scratch).expect("finite scores");
        }
    }
    out
}

fn attention_f64(heads: Heads, q: &[f32], kv: &[f32]) -> Vec<f64> {
    let width = heads.count * heads.dim;
    let mut out = vec![0.0; q.len()];
    for (q, out) in q.chunks_exact(width).zip(out.chunks_exact_mut(width)) {
        for head in 0..heads.count {
            let columns = head * heads.dim..(head + 1) * heads.dim;
            let (q, out) = (&q[columns.clone()], &mut out[columns.clone()]);
            let scores: Vec<f64> = kv
                .chunks_exact(2 * width)
                .map(|kv| {
                    let products = q.iter().zip(&kv[columns.clone()]);
                    let dot: f64 = products.map(|(q, k)| f64::from(*q) * f64::from(*k)).sum();
                    dot * f64::from(SCALE)
                })
                .collect();
            let top = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let sum: f64 = scores.iter().map(|s| (s - top).exp()).sum();
            for (score, kv) in scores.iter().zip(kv.chunks_exact(2 * width)) {
                let weight = (score - top).exp() / sum;
                for (out, v) in out.iter_mut().zip(&kv[width..][columns.clone()]) {
                    *out += weight * f64::from(*v);
                }
            }
        }
    }
    out
}

fn assert_same(got: &[f32], want: &[f32], what: &str) {
    let same = got
        .iter()
        .zip(want)
        .all(|(a, b)| a.to_bits() == b.to_bits());
    assert!(same && got.len() == want.len(), "{what}");
}

#[test]
fn attention_over_all_keys_is_close_and_the_same_however_rows_arrive() {
    let queries = 37;
    for (count, dim) in [(3, 1), (3, 6), (2, 20), (2, 32), (1, 64), (2, 96)] {
        for keys in [1, 16, 49, 63, 64, 65, 256, 384] {
            let heads = Heads { count, dim };
            let width = count * dim;
            let mut random = Random((dim * 1000 + keys) as u64);
            let (q, kv) = (random.rows(queries * width), random.rows(keys * 2 * width));
            let q: Vec<f32> = q.iter().map(|q| q * 3.0).collect();
            let what = format!("{keys} keys, {count}x{dim}");
            let got = same_bits(&what, |kernels| {
                let kv = tiles(kernels, heads, &kv, KV_TILE);
                attend(kernels, heads, &q, queries, (&kv, keys))
            });
            let cosine = cosine(&got, &attention_f64(heads, &q, &kv));
            assert!(cosine > 0.9995, "{what}: cosine {cosine}");
            for kernels in all() {
                for (rows, chunk) in [(1, 1), (13, 16), (24, 24)] {
                    let kv = tiles(kernels, heads, &kv, chunk);
                    let again = attend(kernels, heads, &q, rows, (&kv, keys));
                    assert_same(&again, &got, &format!("{what}, {}", kernels.isa()));
                }
            }
        }
    }
}

#[test]
fn keys_past_the_last_are_not_seen_whatever_their_slots_held() {
    let heads = Heads { count: 2, dim: 32 };
    let mut random = Random(99);
    let (q, kv, other) = (
        random.rows(24 * 64),
        random.rows(49 * 128),
        random.rows(64 * 128),
    );
    // Larger than any of the keys that are seen, in its scores and in what they would bring.
    let other: Vec<f32> = other.iter().map(|x| x * 1e3).collect();
    for kernels in all() {
        let fresh = tiles(kernels, heads, &kv, KV_TILE);
        let want = attend(kernels, heads, &q, 24, (&fresh, 49));
        let mut used = tiles(kernels, heads, &other, KV_TILE);
        store(kernels, heads, &kv, KV_TILE, &mut used[0]);
        let got = attend(kernels, heads, &q, 24, (&used, 49));
        assert_same(&got, &want, kernels.isa().name());
    }
}

/// What [`Kernels::split`] makes of rows of all three, `split_q` and `split_kv` make of the parts.
#[test]
fn queries_apart_from_keys_and_values_are_those_of_one_matrix() {
    for (count, dim) in [(1, 64), (2, 20), (3, 6)] {
        let heads = Heads { count, dim };
        let width = count * dim;
        let qkv = Random(5).rows(49 * 3 * width);
        let part = |columns: core::ops::Range<usize>| -> Vec<f32> {
            let rows = qkv.chunks_exact(3 * width);
            rows.flat_map(|row| row[columns.clone()].to_vec()).collect()
        };
        for kernels in all() {
            let (mut together, mut apart) = (kernels.kv_tile(heads), kernels.kv_tile(heads));
            let mut q = vec![PackedRows::default(); count];
            kernels
                .split(heads, &qkv, 0, &mut q, &mut together)
                .expect("finite rows");
            kernels
                .split_kv(heads, &part(width..3 * width), 0, &mut apart)
                .expect("finite rows");
            let queries = part(0..width);
            let want = attend(kernels, heads, &queries, 49, (&[together], 49));
            let got = attend(kernels, heads, &queries, 49, (&[apart], 49));
            assert_same(&got, &want, kernels.isa().name());
        }
    }
}

#[test]
fn rows_of_queries_keys_and_values_that_are_not_finite_are_refused_by_number() {
    let heads = Heads { count: 2, dim: 20 };
    for kernels in all() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut q = vec![1.0; 24 * 40];
            q[17 * 40 + 39] = bad;
            let mut packed = vec![PackedRows::default(); 2];
            let refused = kernels.split_q(heads, &q, &mut packed);
            assert_eq!(refused.map_err(|e| e.row), Err(17), "{}", kernels.isa());
            for column in [3, 79] {
                let mut kv = vec![1.0; 24 * 80];
                kv[17 * 80 + column] = bad;
                let refused = kernels.split_kv(heads, &kv, 0, &mut kernels.kv_tile(heads));
                let NonFinite { row, found } = refused.expect_err("a row that is not finite");
                assert!(row == 17 && !found.is_finite(), "{}", kernels.isa());
            }
        }
    }
}

#[test]
fn a_query_whose_scores_overflow_is_refused_by_number() {
    let heads = Heads { count: 1, dim: 64 };
    for kernels in all() {
        let mut q = vec![1.0f32; 36 * 64];
        q[30 * 64..31 * 64].fill(3e38);
        let kv = vec![1e5; 49 * 128];
        let kv = tiles(kernels, heads, &kv, KV_TILE);
        let mut packed = [PackedRows::default()];
        kernels
            .split_q(heads, &q, &mut packed)
            .expect("finite rows");
        let job = Attention {
            heads,
            head: 0,
            q: &packed[0],
            kv: &kv,
            visible: Visible::All { keys: 49 },
            scale: 1e-3,
            out: &mut [0.0; 36 * 64],
            ldo: 64,
        };
        let refused = kernels.attend(job, &mut AttentionScratch::default());
        assert_eq!(refused.expect_err("too large").row, 30, "{}", kernels.isa());
    }
}
