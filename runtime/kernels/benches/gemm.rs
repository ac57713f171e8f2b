//! How fast int8 linear layers run on every instruction set of this machine, beside the most its multiplier can do.
//!
//! One element is one multiply-accumulate, so `thrpt` reads as GMAC/s and a layer divided by its `peak` is its efficiency. Both come
//! from one run, hence from one machine; if other programs share it, compare the fastest samples, not the means. Two shapes:
//! four full tiles of rows (a frame), and a single row (generation, where GMAC/s is also GB of weights read a second).

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use igpt_kernels::{
    Isa, Kernels, Linear, LinearScratch, PackedRows, Prepare, RowsF32, peak_benchmark,
};

/// Columns of every layer measured: with k = 2048, 1 MiB of weights, which fits the second cache.
const N: usize = 512;

fn layers(c: &mut Criterion) {
    for isa in Isa::available() {
        let kernels = Kernels::for_isa(isa).expect("an available instruction set has kernels");
        let mut group = c.benchmark_group(format!("linear/{isa}"));
        for k in [512, 2048] {
            for rows in [4 * kernels.layout().mr, 1] {
                group.throughput(Throughput::Elements((rows * k * N) as u64));
                group.bench_function(format!("rows={rows} k={k}"), |b| {
                    let w: Vec<i8> = (0..k * N)
                        .map(|i| ((i * 31 % 255) as i32 - 127) as i8)
                        .collect();
                    let w = kernels.pack(&w, k, N);
                    let x: Vec<f32> = (0..rows * k)
                        .map(|i| (i * 37 % 101) as f32 - 50.0)
                        .collect();
                    let mut a = PackedRows::default();
                    kernels
                        .prepare(RowsF32::dense(&x, rows, k), Prepare::Plain, &mut a)
                        .expect("finite rows");
                    let (scale, bias) = ([0.01; N], [0.0; N]);
                    let mut out = vec![0.0; rows * N];
                    let mut scratch = LinearScratch::default();
                    b.iter(|| {
                        kernels.linear(Linear {
                            a: black_box(&a),
                            w: black_box(&w),
                            w_scale: &scale,
                            bias: &bias,
                            out: &mut out,
                            ldo: N,
                            add: false,
                            panels: 0..w.panels(),
                            scratch: &mut scratch,
                        });
                    });
                });
            }
        }
    }
}

/// Each instruction set's dot product on registers alone.
fn peak(c: &mut Criterion) {
    const ROUNDS: u64 = 10_000;
    let mut group = c.benchmark_group("peak");
    for isa in Isa::available() {
        let run = || {
            peak_benchmark(isa, black_box(ROUNDS)).expect("an available instruction set has a peak")
        };
        group.throughput(Throughput::Elements(run()));
        group.bench_function(isa.name(), |b| b.iter(run));
    }
}

criterion_group!(benches, peak, layers);
criterion_main!(benches);
