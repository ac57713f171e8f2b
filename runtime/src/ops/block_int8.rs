//! One transformer block in int8, from residual stream to residual stream.
//!
//! Two passes over tiles of tokens. The first needs only the rows themselves: norm, quantise, c_attn, split
//! into q, k, v. The second needs every key up to the tile: attention, c_proj, norm, the MLP, all for one
//! tile at a time so that its activations stay in the nearest caches.

use std::ops::Range;

use igpt_kernels::{
    Activation, Aligned, Attention, AttentionRow, Heads, KV_TILE, KvInt8, Linear, LinearScratch,
    NonFinite, PackedInt8, PackedRows, Prepare,
};
use rayon::prelude::*;

use super::engine::{Engine, Scratch};
use super::state::LayerState;
use crate::profile::Operator;

/// An int8 linear layer's constants.
#[derive(Debug)]
pub(crate) struct LinearInt8 {
    pub(crate) w: PackedInt8,
    pub(crate) w_scale: Vec<f32>,
    pub(crate) bias: Vec<f32>,
}

/// How a linear layer is run: a tile of tokens by its thread, or the rows of a lockstep by all.
pub(super) type Run = fn(
    &LinearInt8,
    &Engine,
    &PackedRows,
    (&mut Aligned<f32>, &mut LinearScratch),
    &mut [f32],
    bool,
);

impl LinearInt8 {
    /// All columns, for the rows of `a`, into rows `n` wide. `linear` is working memory of [`Linear`].
    pub(crate) fn run(
        &self,
        engine: &Engine,
        a: &PackedRows,
        out: &mut [f32],
        add: bool,
        linear: &mut LinearScratch,
    ) {
        let panels = self.w.panels();
        if a.rows() != 1 {
            return self.run_panels(engine, a, 0..panels, out, self.w.n(), add, linear);
        }
        // One row, as in generation, is as fast as the weights can be read, and one core does not saturate
        // the memory: the columns are shared out among the threads.
        let share = panels.div_ceil(engine.pool.current_num_threads());
        out.par_chunks_mut(share * engine.kernels.layout().nr)
            .enumerate()
            .for_each(|(i, out)| {
                let panels = i * share..panels.min((i + 1) * share);
                engine.with_scratch(|own| {
                    self.run_panels(engine, a, panels, out, self.w.n(), add, &mut own.linear);
                });
            });
    }

    /// [`LinearInt8::run`] as a [`Run`].
    fn run_tile(
        &self,
        engine: &Engine,
        a: &PackedRows,
        (_, linear): (&mut Aligned<f32>, &mut LinearScratch),
        out: &mut [f32],
        add: bool,
    ) {
        self.run(engine, a, out, add, linear);
    }

    /// As [`LinearInt8::run`], for the few rows of sequences in lockstep: every thread multiplies all of them
    /// by its share of the columns, so that the weights are read once. `shares` is working memory: rows of
    /// `out` cannot be lent out by columns.
    pub(crate) fn run_shared(
        &self,
        engine: &Engine,
        a: &PackedRows,
        (shares, linear): (&mut Aligned<f32>, &mut LinearScratch),
        out: &mut [f32],
        add: bool,
    ) {
        let threads = engine.pool.current_num_threads();
        if threads == 1 || a.rows() == 1 {
            return self.run(engine, a, out, add, linear);
        }
        let (panels, n) = (self.w.panels(), self.w.n());
        let share = panels.div_ceil(threads);
        let width = share * engine.kernels.layout().nr;
        shares.resize(panels.div_ceil(share) * a.rows() * width);
        shares
            .par_chunks_mut(a.rows() * width)
            .enumerate()
            .for_each(|(i, part)| {
                let panels = i * share..panels.min((i + 1) * share);
                engine.with_scratch(|own| {
                    let linear = &mut own.linear;
                    self.run_panels(engine, a, panels, part, width, false, linear);
                });
            });
        for (i, part) in shares.chunks_exact(a.rows() * width).enumerate() {
            let columns = i * width..n.min((i + 1) * width);
            for (part, out) in part.chunks_exact(width).zip(out.chunks_exact_mut(n)) {
                let out = &mut out[columns.clone()];
                if add {
                    for (out, y) in out.iter_mut().zip(part) {
                        *out += y;
                    }
                } else {
                    out.copy_from_slice(&part[..out.len()]);
                }
            }
        }
    }

    #[allow(clippy::too_many_arguments, reason = "the fields of a job")]
    fn run_panels(
        &self,
        engine: &Engine,
        a: &PackedRows,
        panels: Range<usize>,
        out: &mut [f32],
        ldo: usize,
        add: bool,
        linear: &mut LinearScratch,
    ) {
        engine.kernels.linear(Linear {
            a,
            w: &self.w,
            w_scale: &self.w_scale,
            bias: &self.bias,
            out,
            ldo,
            add,
            panels,
            scratch: linear,
        });
    }
}

/// Constants of a block.
#[derive(Debug)]
pub(crate) struct BlockInt8 {
    pub(crate) heads: Heads,
    pub(crate) eps: f32,
    pub(crate) scale: f32,
    pub(crate) activation: Activation,
    pub(crate) ln_1: Vec<f32>,
    pub(crate) c_attn: LinearInt8,
    pub(crate) attn_c_proj: LinearInt8,
    pub(crate) ln_2: Vec<f32>,
    pub(crate) c_fc: LinearInt8,
    pub(crate) mlp_c_proj: LinearInt8,
}

/// One tile's share of both passes.
struct Task<'a> {
    /// Position of its first row.
    position: usize,
    x: &'a mut [f32],
    queries: &'a mut Vec<PackedRows>,
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
        engine.pool.install(|| {
            // One at a time to whichever thread is free, and the long rows, at the end, first: threads then end together, which they
            // do not if they take halves and steal.
            kv[tiles]
                .iter_mut()
                .zip(&mut tasks)
                .par_bridge()
                .try_for_each(|(tile, task)| {
                    engine
                        .with_scratch(|scratch| self.project(engine, scratch, task, tile))
                        .map_err(|e| e.within(task.position - past))
                })?;
            tasks
                .into_iter()
                .rev()
                .par_bridge()
                .try_for_each(|mut task| {
                    let offset = task.position - past;
                    engine
                        .with_scratch(|scratch| self.finish(engine, scratch, &mut task, kv))
                        .map_err(|e| e.within(offset))
                })
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
        let linear = &mut scratch.linear;
        let mut laps = engine.profile.laps();
        let how = Prepare::Norm {
            gain: &self.ln_1,
            eps: self.eps,
        };
        engine
            .kernels
            .prepare(task.x, width, rows, width, how, &mut scratch.rows)?;
        laps.end(Operator::NormQuantize);
        scratch.wide.resize(rows * 3 * width);
        self.c_attn
            .run(engine, &scratch.rows, &mut scratch.wide, false, linear);
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
            let threads = engine.pool.current_num_threads();
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
        self.after_attention(engine, scratch, task.x, LinearInt8::run_tile)
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
        out.par_chunks_mut(heads * self.heads.dim)
            .zip(queries[..self.heads.count].par_chunks(heads))
            .enumerate()
            .try_for_each(|(i, (out, q))| {
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
        let mut laps = engine.profile.laps();
        kernels.prepare(narrow, width, count, width, Prepare::Plain, rows)?;
        laps.end(Operator::Quantize);
        run(&self.attn_c_proj, engine, rows, (shares, linear), x, true);
        laps.end(Operator::CProj);
        let how = Prepare::Norm {
            gain: &self.ln_2,
            eps: self.eps,
        };
        kernels.prepare(x, width, count, width, how, rows)?;
        laps.end(Operator::NormQuantize);
        wide.resize(count * inner);
        run(&self.c_fc, engine, rows, (shares, linear), wide, false);
        laps.end(Operator::CFc);
        let how = Prepare::Activate(self.activation);
        kernels.prepare(wide, inner, count, inner, how, rows)?;
        laps.end(Operator::ActivateQuantize);
        run(&self.mlp_c_proj, engine, rows, (shares, linear), x, true);
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
            position: task.position,
            scale: self.scale,
            out,
            ldo: self.ln_1.len(),
        }
    }
}
