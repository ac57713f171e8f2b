//! One transformer block in f32: the reference that an int8 file is measured against.

use igpt_kernels::{AttentionF32, NonFinite};

use super::block::Block;
use crate::ops::engine::Engine;
use crate::ops::layer::{LayerError, Update};
use crate::ops::linear_f32::LinearF32;
use crate::ops::state::LayerState;
use crate::ops::team::{each, try_each};
use crate::profile::Operator;

/// Rows of a task.
const ROWS: usize = 48;

/// A block in f32.
pub(crate) type BlockF32 = Block<LinearF32>;

impl Update for BlockF32 {
    fn update(
        &self,
        engine: &Engine,
        state: &mut LayerState,
        _: &[usize],
        x: &mut [f32],
    ) -> Result<(), LayerError> {
        Ok(self.run(engine, state, x)?)
    }
}

impl BlockF32 {
    /// Updates `x` `[rows, width]`, the tokens from `state.past` on, in place.
    pub(crate) fn run(
        &self,
        engine: &Engine,
        state: &mut LayerState,
        x: &mut [f32],
    ) -> Result<(), NonFinite> {
        let kernels = engine.kernels;
        let width = self.ln_1.len();
        if !state.lanes.is_empty() {
            // The reference, not the product: each on its own.
            let tasks = x.chunks_mut(width).zip(&mut state.lanes);
            return try_each(tasks, |lane, (x, state)| {
                self.run(engine, state, x).map_err(|e| e.within(lane))
            });
        }
        let rows = x.len() / width;
        let past = state.past;
        let mut qkv = vec![0.0; rows * 3 * width];
        state.kv_f32.resize((past + rows) * 2 * width, 0.0);
        let tasks = qkv.chunks_mut(ROWS * 3 * width).zip(x.chunks(ROWS * width));
        each(tasks, |_, (qkv, x)| {
            engine.with_scratch(|scratch| {
                let mut laps = engine.profile.laps();
                scratch.narrow.resize(x.len());
                kernels.norm(x, &self.ln_1, self.eps, &mut scratch.narrow);
                laps.end(Operator::NormQuantize);
                self.c_attn.run(engine, &scratch.narrow, qkv, false);
                laps.end(Operator::CAttn);
            });
        });
        let (kv_new, qkv_rows) = (
            state.kv_f32[past * 2 * width..].chunks_exact_mut(2 * width),
            qkv.chunks_exact(3 * width),
        );
        for (kv, qkv) in kv_new.zip(qkv_rows) {
            kv.copy_from_slice(&qkv[width..]);
        }
        let kv = &state.kv_f32;
        try_each(x.chunks_mut(ROWS * width), |chunk, x| {
            let first = chunk * ROWS;
            let queries = &qkv[first * 3 * width..];
            self.finish(engine, kv, queries, past + first, x)
                .map_err(|e| e.within(first))
        })?;
        state.past = past + rows;
        if state.once {
            state.kv_f32 = Vec::new();
        }
        Ok(())
    }

    fn finish(
        &self,
        engine: &Engine,
        kv: &[f32],
        qkv: &[f32],
        position: usize,
        x: &mut [f32],
    ) -> Result<(), NonFinite> {
        let kernels = engine.kernels;
        let width = self.ln_1.len();
        let dim = self.heads.dim;
        let rows = x.len() / width;
        engine.with_scratch(|scratch| {
            let mut laps = engine.profile.laps();
            scratch.narrow.resize(rows * width);
            for (row, (out, qkv)) in scratch
                .narrow
                .chunks_exact_mut(width)
                .zip(qkv.chunks_exact(3 * width))
                .enumerate()
            {
                for (head, out) in out.chunks_exact_mut(dim).enumerate() {
                    kernels
                        .attend_f32(AttentionF32 {
                            q: &qkv[head * dim..][..dim],
                            keys: &kv[head * dim..],
                            values: &kv[width + head * dim..],
                            stride: 2 * width,
                            tokens: position + row + 1,
                            scale: self.scale,
                            out,
                        })
                        .map_err(|e| NonFinite { row, ..e })?;
                }
            }
            laps.end(Operator::Attention);
            self.attn_c_proj.run(engine, &scratch.narrow, x, true);
            laps.end(Operator::CProj);
            kernels.norm(x, &self.ln_2, self.eps, &mut scratch.narrow);
            laps.end(Operator::NormQuantize);
            scratch.wide.resize(rows * self.c_fc.w.n());
            self.c_fc
                .run(engine, &scratch.narrow, &mut scratch.wide, false);
            laps.end(Operator::CFc);
            kernels.activate(self.activation, &mut scratch.wide);
            laps.end(Operator::ActivateQuantize);
            self.mlp_c_proj.run(engine, &scratch.wide, x, true);
            laps.end(Operator::MlpCProj);
            Ok(())
        })
    }
}
