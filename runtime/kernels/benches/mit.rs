//! What a Mix Transformer needs beside int8 linear layers, on every instruction set of this machine: LayerNorm, windows, the depthwise
//! convolution, attention over a fixed set of keys. The shapes are MiT-b0's at 224 x 224.
//!
//! Arguments, if there are any: measured is what has one of them in its line.
//!
//! Each line has the elements a nanosecond of the fastest of many short runs, which other programs on the machine disturb least. An element is
//! a number of the result; of attention it is a multiply-accumulate. For scale, the first line copies f32 rows of the nearest caches.

use std::hint::black_box;
use std::time::{Duration, Instant};

use igpt_kernels::{
    Activation, Attention, AttentionScratch, Depthwise, Heads, Isa, KV_TILE, Kernels, Map,
    PackedRows, Prepare, RowsF32, Visible, Windows,
};

/// How long each measurement takes.
const TIME: Duration = Duration::from_millis(60);

fn main() {
    for isa in Isa::available().filter(|isa| *isa != Isa::Scalar) {
        let kernels = Kernels::for_isa(isa).expect("an available instruction set has kernels");
        copies(isa);
        norms(kernels);
        windows(kernels);
        depthwise(kernels);
        attention(kernels);
    }
}

/// Runs `work` for a while, and prints how many of its `elements` the fastest run did in a nanosecond.
fn measure(isa: Isa, what: &str, elements: usize, mut work: impl FnMut()) {
    let name = format!("{:12} {what}", isa.name());
    let mut wanted = std::env::args().skip(1).filter(|word| word != "--bench");
    if wanted.next().is_some_and(|first| !name.contains(&first))
        && !wanted.any(|word| name.contains(&word))
    {
        return;
    }
    let start = Instant::now();
    let mut best = Duration::MAX;
    while start.elapsed() < TIME {
        let run = Instant::now();
        work();
        best = best.min(run.elapsed());
    }
    let nanos = best.as_secs_f64() * 1e9;
    println!(
        "{name:58} {:8.3} elements/ns {:9.1} us",
        elements as f64 / nanos,
        nanos / 1e3
    );
}

fn numbers(len: usize) -> Vec<f32> {
    (0..len)
        .map(|i| (i * 37 % 101) as f32 * 0.05 - 2.5)
        .collect()
}

fn copies(isa: Isa) {
    let from = numbers(196 * 160);
    let mut to = from.clone();
    measure(isa, "copy 196x160", from.len(), || {
        black_box(&mut to).copy_from_slice(black_box(&from));
    });
}

fn norms(kernels: Kernels) {
    for (rows, width) in [(784, 32), (784, 64), (196, 160), (49, 256)] {
        let x = numbers(rows * width);
        let (gain, bias) = (numbers(width), numbers(width));
        let mut out = vec![0.0; x.len()];
        measure(
            kernels.isa(),
            &format!("LayerNorm {rows}x{width}"),
            x.len(),
            || {
                kernels.layer_norm(black_box(&x), &gain, &bias, 1e-5, &mut out);
            },
        );
        let mut packed = PackedRows::default();
        let of = RowsF32::dense(&x, rows, width);
        for (name, how) in [
            (
                "LayerNorm to bytes",
                Prepare::LayerNorm {
                    gain: &gain,
                    bias: &bias,
                    eps: 1e-5,
                },
            ),
            ("to bytes", Prepare::Plain),
        ] {
            measure(
                kernels.isa(),
                &format!("{name} {rows}x{width}"),
                x.len(),
                || {
                    let done = kernels.prepare(black_box(of), how, &mut packed);
                    done.expect("finite rows");
                },
            );
        }
    }
}

fn windows(kernels: Kernels) {
    for ([height, width, channels], [kernel, stride, padding]) in [
        ([224, 224, 3], [7, 4, 3]),
        ([56, 56, 32], [3, 2, 1]),
        ([14, 14, 160], [3, 2, 1]),
        ([56, 56, 32], [8, 8, 0]),
        ([14, 14, 160], [2, 2, 0]),
    ] {
        let values = numbers(height * width * channels);
        let map = Map {
            values: &values,
            height,
            width,
            channels,
        };
        let windows = Windows {
            map,
            kernel,
            stride,
            padding,
        };
        let (down, across) = windows.grid();
        let elements = down * across * windows.width();
        let what = format!("{kernel}x{kernel}/{stride} of {height}x{width}x{channels}");
        let mut out = vec![0.0; elements];
        measure(kernels.isa(), &format!("windows {what}"), elements, || {
            kernels.gather(black_box(windows), 0..down * across, &mut out)
        });
        let mut packed = PackedRows::default();
        measure(
            kernels.isa(),
            &format!("windows to bytes {what}"),
            elements,
            || {
                kernels
                    .prepare_windows(black_box(windows), 0..down * across, &mut packed)
                    .expect("finite pixels");
            },
        );
    }
}

fn depthwise(kernels: Kernels) {
    for (side, channels) in [(56, 128), (28, 256), (14, 640), (7, 1024)] {
        let values = numbers(side * side * channels);
        // Sums of ordinary size: the tails of gelu in f32 end in numbers so small that some processors take their time over them.
        let weight: Vec<f32> = numbers(9 * channels).iter().map(|w| w * 0.1).collect();
        let bias = numbers(channels);
        let job = |activation| Depthwise {
            map: Map {
                values: &values,
                height: side,
                width: side,
                channels,
            },
            weight: &weight,
            bias: &bias,
            activation,
            tokens: 0..side * side,
        };
        let mut packed = PackedRows::default();
        for kind in [Activation::Gelu, Activation::Relu] {
            let what = format!("depthwise, {kind:?}, to bytes {side}x{side}x{channels}");
            measure(kernels.isa(), &what, values.len(), || {
                kernels
                    .depthwise(black_box(job(kind)), &mut packed)
                    .expect("finite pixels");
            });
        }
        let mut out = vec![0.0; values.len()];
        for kind in [Activation::Gelu, Activation::Relu] {
            let what = format!("depthwise, {kind:?}, f32 {side}x{side}x{channels}");
            measure(kernels.isa(), &what, values.len(), || {
                kernels.depthwise_f32(black_box(job(kind)), &mut out);
            });
        }
    }
}

fn attention(kernels: Kernels) {
    for (count, dim, keys) in [(5, 32, 49), (5, 64, 49), (5, 32, 256), (5, 20, 49)] {
        let heads = Heads { count, dim };
        let width = count * dim;
        let queries = 196;
        let (q, kv) = (numbers(queries * width), numbers(keys * 2 * width));
        let mut packed = vec![PackedRows::default(); count];
        measure(
            kernels.isa(),
            &format!("split_q {queries}x{count}x{dim}"),
            q.len(),
            || {
                kernels
                    .split_q(heads, black_box(&q), &mut packed)
                    .expect("finite rows");
            },
        );
        let mut tiles: Vec<_> = kv
            .chunks(KV_TILE * 2 * width)
            .map(|_| kernels.kv_tile(heads))
            .collect();
        measure(
            kernels.isa(),
            &format!("split_kv {keys}x{count}x{dim}"),
            kv.len(),
            || {
                for (kv, tile) in kv.chunks(KV_TILE * 2 * width).zip(&mut tiles) {
                    kernels
                        .split_kv(heads, black_box(kv), 0, tile)
                        .expect("finite rows");
                }
            },
        );
        let mut out = vec![0.0; queries * width];
        let mut scratch = AttentionScratch::default();
        measure(
            kernels.isa(),
            &format!("attention {queries} by {keys}, {count}x{dim}"),
            queries * keys * width * 2,
            || {
                for (head, q) in packed.iter().enumerate() {
                    let job = Attention {
                        heads,
                        head,
                        q,
                        kv: &tiles,
                        visible: Visible::All { keys },
                        scale: 0.2,
                        out: &mut out[head * dim..],
                        ldo: width,
                    };
                    kernels.attend(job, &mut scratch).expect("finite scores");
                }
            },
        );
    }
}
