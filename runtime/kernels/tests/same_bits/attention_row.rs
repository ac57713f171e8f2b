//! Int8 attention of one query, several heads at once: the bits of each head alone.

use igpt_kernels::{
    Attention, AttentionRow, AttentionScratch, Heads, KV_TILE, Kernels, KvInt8, PackedRows, Slab,
    Visible,
};

use crate::{Random, all};

/// Tiles of a slab, in which heads that are read together lie together.
fn tiles(kernels: Kernels, heads: Heads, count: usize) -> Vec<KvInt8> {
    let memory = vec![0u8; kernels.kv_len(heads, count) + 64];
    let mut slab = Slab::new(memory);
    let mut room = kernels.kv_tiles(heads, count, &mut slab).expect("room");
    (0..count)
        .map(|i| kernels.kv_tile_in(heads, &mut room, i))
        .collect()
}

#[test]
fn a_query_of_any_of_the_heads_gives_the_bits_of_each_alone() {
    for (count, dim) in [(12, 32), (6, 64), (3, 32), (8, 20)] {
        let heads = Heads { count, dim };
        let width = count * dim;
        let tokens = 130;
        let qkv = Random((count + dim) as u64).rows(tokens * 3 * width);
        for kernels in all() {
            // The last has memory of its own, as where a slab has no room left.
            let mut kv = tiles(kernels, heads, 2);
            kv.push(kernels.kv_tile(heads));
            let mut scratch = AttentionScratch::default();
            for (position, row) in qkv.chunks_exact(3 * width).enumerate() {
                let mut q = vec![PackedRows::default(); count];
                let tile = &mut kv[position / KV_TILE];
                kernels
                    .split(heads, row, position % KV_TILE, &mut q, tile)
                    .expect("a finite row");
                if ![0, 31, 32, 63, 64, 129].contains(&position) {
                    continue;
                }
                let mut want = vec![0.0; width];
                for (head, (q, out)) in q.iter().zip(want.chunks_exact_mut(dim)).enumerate() {
                    let job = Attention {
                        heads,
                        head,
                        q,
                        kv: &kv,
                        visible: Visible::Causal { position },
                        scale: 0.1,
                        out,
                        ldo: width,
                    };
                    kernels.attend(job, &mut scratch).expect("finite scores");
                }
                for first in 0..count {
                    for last in first..count {
                        let mut got = vec![f32::NAN; (last + 1 - first) * dim];
                        let job = AttentionRow {
                            heads,
                            first,
                            q: &q[first..=last],
                            kv: &kv,
                            position,
                            scale: 0.1,
                            out: &mut got,
                        };
                        kernels
                            .attend_row(job, &mut scratch)
                            .expect("finite scores");
                        let want = &want[first * dim..(last + 1) * dim];
                        assert!(
                            got.iter()
                                .zip(want)
                                .all(|(a, b)| a.to_bits() == b.to_bits()),
                            "{}: heads {first}..={last} of {count}x{dim} at {position}",
                            kernels.isa()
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn a_query_whose_scores_overflow_is_refused_by_whichever_way_it_is_asked() {
    let heads = Heads { count: 4, dim: 32 };
    for kernels in all() {
        let mut row = vec![1.0f32; 3 * 128];
        // One head's query and key: their product is finite as integers, and is not as a score.
        row[64..96].fill(3e38);
        row[128 + 64..128 + 96].fill(3e38);
        let mut kv = tiles(kernels, heads, 1);
        let mut q = vec![PackedRows::default(); 4];
        kernels
            .split(heads, &row, 0, &mut q, &mut kv[0])
            .expect("finite rows");
        let mut out = vec![0.0; 128];
        let mut scratch = AttentionScratch::default();
        let job = AttentionRow {
            heads,
            first: 0,
            q: &q,
            kv: &kv,
            position: 0,
            scale: 1.0,
            out: &mut out,
        };
        let together = kernels
            .attend_row(job, &mut scratch)
            .expect_err("too large");
        let job = Attention {
            heads,
            head: 2,
            q: &q[2],
            kv: &kv,
            visible: Visible::Causal { position: 0 },
            scale: 1.0,
            out: &mut out,
            ldo: 128,
        };
        let alone = kernels.attend(job, &mut scratch).expect_err("too large");
        assert_eq!(together, alone, "{}", kernels.isa());
        assert_eq!(together.row, 0);
    }
}
