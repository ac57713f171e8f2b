//! The linear layers of one token each of several sequences, as in generation: all weights of ImageGPT-small's 24 blocks, which no cache
//! holds, pass by a few rows.
//!
//! One element is one multiply-accumulate. With one row that is a weight, and the rate the memory's; the more rows, the nearer it may come to
//! the `peak` of the other bench.

use std::hint::black_box;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use igpt_kernels::{
    INT4_GROUP, Int4Matrix, Kernels, Linear, LinearScratch, PackedInt8, PackedRows, Prepare,
    RowsF32, Slab, pack_nibbles,
};
use memmap2::MmapMut;

/// `[k, n]` of a block's layers.
const SHAPES: [(usize, usize); 4] = [(512, 1536), (512, 512), (512, 2048), (2048, 512)];

const BLOCKS: usize = 24;

/// Zeros, in huge pages if the system has them for the asking, as a model's weights are.
fn memory(len: usize) -> MmapMut {
    let map = MmapMut::map_anon(len).expect("memory");
    #[cfg(target_os = "linux")]
    let _ = map.advise(memmap2::Advice::HugePage);
    map
}

fn layers() -> impl Iterator<Item = (usize, usize)> {
    (0..BLOCKS).flat_map(|_| SHAPES)
}

fn int8(kernels: Kernels) -> Vec<PackedInt8> {
    let weights: usize = layers().map(|(k, n)| k * n).sum();
    let mut block = memory(weights);
    let mut at = 0;
    for (k, n) in layers() {
        let w: Vec<i8> = (0..k * n).map(|i| (i * 31 % 255) as i8 - 127).collect();
        block[at..at + k * n].copy_from_slice(&kernels.panels().pack(&w, k, n));
        at += k * n;
    }
    let block = Bytes::from_owner(block);
    let mut at = 0;
    let mut next = |(k, n): (usize, usize)| {
        let bytes = block.slice(at..at + k * n);
        at += k * n;
        kernels.packed(bytes, k, n).expect("packed weights")
    };
    layers().map(&mut next).collect()
}

fn int4(kernels: Kernels) -> Vec<PackedInt8> {
    let len = layers().map(|(k, n)| kernels.int4_len(k, n)).sum();
    let mut slab = Slab::new(memory(len));
    let mut next = |(k, n): (usize, usize)| {
        let q: Vec<i8> = (0..k * n).map(|i| (i * 7 % 15) as i8 - 7).collect();
        let m: Vec<i8> = (0..k.div_ceil(INT4_GROUP) * n)
            .map(|i| (i * 5 % 16) as i8)
            .collect();
        let (q, m) = (pack_nibbles(&q), pack_nibbles(&m));
        let matrix = Int4Matrix::new(&q, &m, k, n).expect("a matrix");
        kernels.pack_int4_in(&matrix, &mut slab).expect("room")
    };
    layers().map(&mut next).collect()
}

fn cold(c: &mut Criterion) {
    let kernels = Kernels::best();
    let mut group = c.benchmark_group(format!("cold/{}", kernels.isa()));
    group.sample_size(30);
    for (name, weights) in [("int8", int8(kernels)), ("int4", int4(kernels))] {
        let macs: usize = weights.iter().map(|w| w.k() * w.n()).sum();
        for rows in [1, 2, 4, 8, 12] {
            let a = [512, 2048].map(|k| {
                let x: Vec<f32> = (0..rows * k)
                    .map(|i| (i * 37 % 101) as f32 - 50.0)
                    .collect();
                let mut a = PackedRows::default();
                kernels
                    .prepare(RowsF32::dense(&x, rows, k), Prepare::Plain, &mut a)
                    .expect("finite rows");
                a
            });
            let (scale, bias) = ([0.01; 2048], [0.0; 2048]);
            let mut out = vec![0.0; rows * 2048];
            let mut scratch = LinearScratch::default();
            group.throughput(Throughput::Elements((rows * macs) as u64));
            group.bench_function(format!("{name} rows={rows}"), |b| {
                b.iter(|| {
                    for w in black_box(&weights) {
                        let n = w.n();
                        kernels.linear(Linear {
                            a: &a[usize::from(w.k() == 2048)],
                            w,
                            w_scale: &scale[..n],
                            bias: &bias[..n],
                            out: &mut out[..rows * n],
                            ldo: n,
                            // Those that give the model's width are residuals.
                            add: n == 512,
                            panels: 0..w.panels(),
                            scratch: &mut scratch,
                        });
                    }
                });
            });
        }
    }
}

criterion_group!(benches, cold);
criterion_main!(benches);
