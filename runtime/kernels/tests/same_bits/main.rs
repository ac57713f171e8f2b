//! The numerics contract, kernel by kernel: close to a plain f64 formula, and the same bits on every instruction set.

mod all_keys;
mod attention;
mod attention_row;
mod depthwise;
mod linear;
mod quantise;
mod resample;
mod windows;

use igpt_kernels::{Activation, Isa, Kernels};

const ACTIVATIONS: [Activation; 5] = [
    Activation::QuickGelu,
    Activation::Gelu,
    Activation::GeluNew,
    Activation::Relu,
    Activation::Silu,
];

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
