//! One transformer block in int8, from residual stream to residual stream.
//!
//! Two passes over tiles of tokens. The first needs only the rows themselves: norm, quantise, c_attn, split
//! into q, k, v. The second needs every key up to the tile: attention, c_proj, norm, the MLP, all for one
//! tile at a time so that its activations stay in the nearest caches.

use std::collections::VecDeque;

use igpt_kernels::{
    Attention, AttentionRow, KV_TILE, KvInt8, NonFinite, PackedRows, Prepare, RowsF32, Visible,
};

use super::block::Block;
use crate::ops::engine::{Engine, Scratch};
use crate::ops::layer::{LayerError, Update};
use crate::ops::linear_int8::{LinearInt8, Memory, Product, Run};
use crate::ops::state::LayerState;
use crate::ops::team::try_each;
use crate::profile::Operator;

/// A block in int8; int4 weights are an int8 matrix too, stored more tightly.
pub(crate) type BlockInt8 = Block<LinearInt8>;

impl Update for BlockInt8 {
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

/// One tile's share of both passes.
struct Task<'a> {
    /// Position of its first row.
    position: usize,
    x: &'a mut [f32],
    queries: &'a mut Vec<PackedRows>,
}

/// Tasks of ever more work in another order: the longest first, if the first and the last of what is left are taken in turns. Threads then
/// end together.
fn longest_at_the_ends<T>(tasks: Vec<T>) -> VecDeque<T> {
    tasks
        .into_iter()
        .enumerate()
        .fold(VecDeque::new(), |mut order, (i, task)| {
            if i.is_multiple_of(2) {
                order.push_front(task);
            } else {
                order.push_back(task);
            }
            order
        })
}

impl BlockInt8 {
    /// Updates `x` `[rows, width]`, the tokens from `state.past` on, in place.
    pub(crate) fn run(
        &self,
        engine: &Engine,
        state: &mut LayerState,
        x: &mut [f32],
    ) -> Result<(), NonFinite> {
        let width = self.ln_1.len();
        let rows = x.len() / width;
        if rows == 0 {
            return Ok(());
        }
        if !state.lanes.is_empty() {
            return self.run_lanes(engine, &mut state.lanes, x);
        }
        let past = state.past;
        let tiles = past / KV_TILE..(past + rows).div_ceil(KV_TILE);
        // After an error neither is put back: they are half written.
        let mut queries = engine.queries.take();
        if state.once {
            state.kv = engine.kv.take();
        }
        let kv = &mut state.kv;
        while kv.len() < tiles.end {
            kv.push(match &mut state.room {
                _ if state.once => engine.kernels.kv_tile(self.heads),
                room => room.tile(&engine.slabs, engine.kernels, self.heads, kv.len()),
            });
        }
        queries.resize_with(queries.len().max(tiles.len()), Vec::new);
        let mut tasks = Vec::with_capacity(tiles.len());
        let mut rest = x;
        for (tile, queries) in tiles.clone().zip(&mut queries) {
            let position = past.max(tile * KV_TILE);
            let end = (past + rows).min((tile + 1) * KV_TILE);
            let (x, after) = rest.split_at_mut((end - position) * width);
            rest = after;
            queries.resize_with(self.heads.count, PackedRows::default);
            tasks.push(Task {
                position,
                x,
                queries,
            });
        }
        try_each(kv[tiles].iter_mut().zip(&mut tasks), |_, (tile, task)| {
            engine
                .with_scratch(|scratch| self.project(engine, scratch, task, tile))
                .map_err(|e| e.within(task.position - past))
        })?;
        try_each(longest_at_the_ends(tasks).into_iter(), |_, mut task| {
            let offset = task.position - past;
            engine
                .with_scratch(|scratch| self.finish(engine, scratch, &mut task, kv))
                .map_err(|e| e.within(offset))
        })?;
        state.past = past + rows;
        engine.queries.put(queries);
        if state.once {
            engine.kv.put(std::mem::take(&mut state.kv));
        }
        Ok(())
    }

    /// First pass.
    fn project(
        &self,
        engine: &Engine,
        scratch: &mut Scratch,
        task: &mut Task<'_>,
        tile: &mut KvInt8,
    ) -> Result<(), NonFinite> {
        let width = self.ln_1.len();
        let rows = task.x.len() / width;
        let mut laps = engine.profile.laps();
        let how = Prepare::Norm {
            gain: &self.ln_1,
            eps: self.eps,
        };
        engine
            .kernels
            .prepare(RowsF32::dense(task.x, rows, width), how, &mut scratch.rows)?;
        laps.end(Operator::NormQuantize);
        scratch.wide.resize(rows * 3 * width);
        let product = Product {
            rows: &scratch.rows,
            out: &mut scratch.wide,
            add: false,
        };
        let memory = Memory {
            shares: &mut scratch.shares,
            linear: &mut scratch.linear,
        };
        self.c_attn.run(engine, product, memory);
        laps.end(Operator::CAttn);
        engine.kernels.split(
            self.heads,
            &scratch.wide,
            task.position % KV_TILE,
            task.queries,
            tile,
        )?;
        laps.end(Operator::Split);
        Ok(())
    }

    /// Second pass.
    fn finish(
        &self,
        engine: &Engine,
        scratch: &mut Scratch,
        task: &mut Task<'_>,
        kv: &[KvInt8],
    ) -> Result<(), NonFinite> {
        let kernels = engine.kernels;
        let width = self.ln_1.len();
        let rows = task.x.len() / width;
        let mut laps = engine.profile.laps();
        scratch.narrow.resize(rows * width);
        if rows == 1 {
            let threads = engine.threads();
            let out = &mut scratch.narrow;
            let query = (task.queries.as_slice(), kv, task.position);
            self.attend_row(engine, query, threads, out)?;
        } else {
            for head in 0..self.heads.count {
                let out = &mut scratch.narrow[head * self.heads.dim..];
                kernels.attend(self.head(task, kv, head, out), &mut scratch.attention)?;
            }
        }
        laps.end(Operator::Attention);
        self.after_attention(engine, scratch, task.x, LinearInt8::run)
    }

    /// Attention of one query, given with the keys and values it sees and its position, its heads shared out in `shares`, into `out`
    /// `[width]`.
    pub(super) fn attend_row(
        &self,
        engine: &Engine,
        (queries, kv, position): (&[PackedRows], &[KvInt8], usize),
        shares: usize,
        out: &mut [f32],
    ) -> Result<(), NonFinite> {
        let heads = self.heads.count.div_ceil(shares);
        let parts = out
            .chunks_mut(heads * self.heads.dim)
            .zip(queries[..self.heads.count].chunks(heads));
        try_each(parts, |i, (out, q)| {
            let job = AttentionRow {
                heads: self.heads,
                first: i * heads,
                q,
                kv,
                position,
                scale: self.scale,
                out,
            };
            engine.with_scratch(|own| engine.kernels.attend_row(job, &mut own.attention))
        })
    }

    /// What follows attention, whose heads are in `scratch.narrow`: c_proj and the MLP, each added to `x`.
    pub(super) fn after_attention(
        &self,
        engine: &Engine,
        scratch: &mut Scratch,
        x: &mut [f32],
        run: Run,
    ) -> Result<(), NonFinite> {
        let kernels = engine.kernels;
        let (width, inner) = (self.ln_1.len(), self.c_fc.w.n());
        let count = x.len() / width;
        let Scratch {
            rows,
            wide,
            narrow,
            shares,
            linear,
            ..
        } = scratch;
        let mut run = |layer, rows: &PackedRows, out: &mut [f32], add| {
            let memory = Memory { shares, linear };
            run(layer, engine, Product { rows, out, add }, memory);
        };
        let mut laps = engine.profile.laps();
        kernels.prepare(RowsF32::dense(narrow, count, width), Prepare::Plain, rows)?;
        laps.end(Operator::Quantize);
        run(&self.attn_c_proj, rows, x, true);
        laps.end(Operator::CProj);
        let how = Prepare::Norm {
            gain: &self.ln_2,
            eps: self.eps,
        };
        kernels.prepare(RowsF32::dense(x, count, width), how, rows)?;
        laps.end(Operator::NormQuantize);
        wide.resize(count * inner);
        run(&self.c_fc, rows, wide, false);
        laps.end(Operator::CFc);
        let how = Prepare::Activate(self.activation);
        kernels.prepare(RowsF32::dense(wide, count, inner), how, rows)?;
        laps.end(Operator::ActivateQuantize);
        run(&self.mlp_c_proj, rows, x, true);
        laps.end(Operator::MlpCProj);
        Ok(())
    }

    /// The attention of one head of a task.
    fn head<'a>(
        &self,
        task: &'a Task<'_>,
        kv: &'a [KvInt8],
        head: usize,
        out: &'a mut [f32],
    ) -> Attention<'a> {
        Attention {
            heads: self.heads,
            head,
            q: &task.queries[head],
            kv,
            visible: Visible::Causal {
                position: task.position,
            },
            scale: self.scale,
            out,
            ldo: self.ln_1.len(),
        }
    }
}
