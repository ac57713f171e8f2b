//! One transformer block in int8 for sequences in lockstep: one token of each, all multiplied by the weights
//! together.
//!
//! A token alone costs as much as reading every weight. Several at once share that reading, and the more
//! there are the nearer they come to what the multipliers can do; only keys and values are each sequence's
//! own.

use igpt_kernels::{KV_TILE, NonFinite, PackedRows, Prepare, RowsF32};

use super::block_int8::BlockInt8;
use crate::ops::engine::{Engine, Scratch};
use crate::ops::linear_int8::{LinearInt8, Memory, Product};
use crate::ops::state::LayerState;
use crate::ops::team::try_each;
use crate::profile::Operator;

impl BlockInt8 {
    /// Updates `x` `[lanes, width]`, the next token of each lane, in place.
    pub(crate) fn run_lanes(
        &self,
        engine: &Engine,
        lanes: &mut [LayerState],
        x: &mut [f32],
    ) -> Result<(), NonFinite> {
        let mut queries = engine.queries.take();
        queries.resize_with(queries.len().max(lanes.len()), Vec::new);
        for queries in &mut queries[..lanes.len()] {
            queries.resize_with(self.heads.count, PackedRows::default);
        }
        engine.with_scratch(|scratch| {
            self.attend_lanes(engine, lanes, &mut queries, scratch, x)?;
            self.after_attention(engine, scratch, x, LinearInt8::run_shared)
        })?;
        for lane in lanes {
            lane.past += 1;
        }
        engine.queries.put(queries);
        Ok(())
    }

    /// Attention: heads into `scratch.narrow`.
    fn attend_lanes(
        &self,
        engine: &Engine,
        lanes: &mut [LayerState],
        queries: &mut [Vec<PackedRows>],
        scratch: &mut Scratch,
        x: &[f32],
    ) -> Result<(), NonFinite> {
        let kernels = engine.kernels;
        let (width, rows) = (self.ln_1.len(), lanes.len());
        let Scratch {
            rows: quantised,
            wide,
            narrow,
            shares,
            linear,
            ..
        } = scratch;
        let mut laps = engine.profile.laps();
        let how = Prepare::Norm {
            gain: &self.ln_1,
            eps: self.eps,
        };
        kernels.prepare(RowsF32::dense(x, rows, width), how, quantised)?;
        laps.end(Operator::NormQuantize);
        wide.resize(rows * 3 * width);
        let product = Product {
            rows: quantised,
            out: wide,
            add: false,
        };
        self.c_attn
            .run_shared(engine, product, Memory { shares, linear });
        laps.end(Operator::CAttn);
        narrow.resize(rows * width);
        // If lanes do not divide evenly among the threads, every lane's heads are shared out among all of them.
        let threads = engine.threads();
        let shares = match rows % threads {
            0 => 1,
            _ => threads,
        };
        let tasks = narrow
            .chunks_exact_mut(width)
            .zip(wide.chunks_exact(3 * width))
            .zip(
                lanes
                    .iter_mut()
                    .zip(queries.iter_mut().map(Vec::as_mut_slice)),
            );
        // All lanes to each thread in turn, or each lane to all threads.
        let attend = |lane, ((out, qkv), (state, queries))| {
            self.attend_lane(engine, state, queries, shares, qkv, out)
                .map_err(|e: NonFinite| e.within(lane))
        };
        if shares == 1 {
            try_each(tasks, attend)?;
        } else {
            tasks
                .enumerate()
                .try_for_each(|(lane, task)| attend(lane, task))?;
        }
        // The split with it: lanes do both on threads of their own.
        laps.end(Operator::Attention);
        Ok(())
    }

    /// Attention of the next token of one lane, of which `qkv` is what c_attn made.
    fn attend_lane(
        &self,
        engine: &Engine,
        state: &mut LayerState,
        queries: &mut [PackedRows],
        shares: usize,
        qkv: &[f32],
        out: &mut [f32],
    ) -> Result<(), NonFinite> {
        let (kernels, heads, past) = (engine.kernels, self.heads, state.past);
        let tile = past / KV_TILE;
        while state.kv.len() <= tile {
            let index = state.kv.len();
            let tile = state.room.tile(&engine.slabs, kernels, heads, index);
            state.kv.push(tile);
        }
        kernels.split(heads, qkv, past % KV_TILE, queries, &mut state.kv[tile])?;
        self.attend_row(engine, (queries, &state.kv, past), shares, out)
    }
}
