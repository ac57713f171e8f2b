//! How fast int8 linear layers run on every instruction set of this machine, beside the most its multiplier can do.
//!
//! One element is one multiply-accumulate, so `thrpt` reads as GMAC/s and a layer divided by `peak` is its efficiency. Both come
//! from one run, hence from one machine; if other programs share it, compare the fastest samples, not the means. Two shapes:
//! four full tiles of rows (a frame), and a single row (generation, where GMAC/s is also GB of weights read a second).

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use igpt_kernels::{Isa, Kernels, Linear, PackedRows, Prepare};

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
                        .prepare(&x, k, rows, k, Prepare::Plain, &mut a)
                        .expect("finite rows");
                    let (scale, bias) = ([0.01; N], [0.0; N]);
                    let mut out = vec![0.0; rows * N];
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
                        });
                    });
                });
            }
        }
    }
}

/// `vpdpbusd` on registers alone: no loads, no stores, enough chains to hide its latency.
#[cfg(target_arch = "x86_64")]
mod peak {
    use std::arch::x86_64::{
        _mm512_add_epi32, _mm512_dpbusd_epi32, _mm512_reduce_add_epi32, _mm512_set1_epi32,
        _mm512_setzero_si512,
    };
    use std::array;
    use std::hint::black_box;

    /// Independent sums, as many as the tile keeps.
    const CHAINS: usize = 24;
    /// Products of one instruction.
    const PRODUCTS: usize = 64;

    /// Multiply-accumulates of one call.
    pub(crate) const fn macs(rounds: usize) -> u64 {
        (rounds * CHAINS * PRODUCTS) as u64
    }

    /// Adds `rounds` products to every chain. Chains start from different values, lest the compiler keep only one of them.
    #[target_feature(enable = "avx512f,avx512vnni")]
    pub(crate) fn vpdpbusd(rounds: usize) -> i32 {
        let a = _mm512_set1_epi32(black_box(0x0102_0304));
        let w = _mm512_set1_epi32(black_box(0x0403_0201));
        let mut sums: [_; CHAINS] = array::from_fn(|i| _mm512_set1_epi32(black_box(i as i32)));
        for _ in 0..rounds {
            for sum in &mut sums {
                *sum = _mm512_dpbusd_epi32(*sum, a, w);
            }
        }
        _mm512_reduce_add_epi32(
            sums.into_iter()
                .fold(_mm512_setzero_si512(), |x, y| _mm512_add_epi32(x, y)),
        )
    }
}

#[cfg(target_arch = "x86_64")]
fn peak(c: &mut Criterion) {
    if !Isa::Avx512Vnni.is_available() {
        return;
    }
    const ROUNDS: usize = 10_000;
    let mut group = c.benchmark_group("peak");
    group.throughput(Throughput::Elements(peak::macs(ROUNDS)));
    group.bench_function("vpdpbusd", |b| {
        // SAFETY: the instruction set was found just above.
        b.iter(|| unsafe { peak::vpdpbusd(black_box(ROUNDS)) });
    });
}

#[cfg(not(target_arch = "x86_64"))]
fn peak(_: &mut Criterion) {}

criterion_group!(benches, peak, layers);
criterion_main!(benches);
