//! One linear layer in f32.

use igpt_kernels::{LinearF32 as Job, PackedF32};

use super::engine::Engine;

/// An f32 linear layer's constants.
#[derive(Debug)]
pub(crate) struct LinearF32 {
    pub(crate) w: PackedF32,
    pub(crate) bias: Vec<f32>,
}

impl LinearF32 {
    /// All columns, for rows `k` wide, into rows `n` wide.
    pub(crate) fn run(&self, engine: &Engine, a: &[f32], out: &mut [f32], add: bool) {
        let (k, n) = (self.w.k(), self.w.n());
        engine.kernels.linear_f32(Job {
            a,
            lda: k,
            rows: a.len() / k,
            w: &self.w,
            bias: &self.bias,
            out,
            ldo: n,
            add,
            panels: 0..self.w.panels(),
        });
    }
}
