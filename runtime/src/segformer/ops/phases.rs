//! A transformer block's run: phases over a whole map, each shared out among the threads in runs of rows, because
//! attention needs the keys of all rows.

use std::sync::{Mutex, PoisonError};

use igpt_kernels::{Aligned, KV_TILE, Map, NonFinite, Windows};

use super::arithmetic::{Arithmetic, Attention, Source, Target, split};
use super::bands::{Band, Bands};
use super::block::{Block, Projections};
use crate::ops::engine::Engine;
use crate::ops::layer::{LayerError, Update, dims};
use crate::ops::maps::{Maps, Queries};
use crate::ops::shares::Shares;
use crate::ops::state::LayerState;
use crate::ops::team::try_each;
use crate::profile::Operator;

/// A map on its way through a block.
struct Run<'a> {
    engine: &'a Engine,
    height: usize,
    width: usize,
    /// Channels.
    c: usize,
    /// Width of queries, keys and values.
    a: usize,
    /// Rows of each task.
    shares: Shares,
}

impl<L: Arithmetic> Update for Block<L> {
    fn update(
        &self,
        engine: &Engine,
        _: &mut LayerState,
        shape: &[usize],
        x: &mut [f32],
    ) -> Result<(), LayerError> {
        let [_, height, width, c] = dims(shape);
        let run = Run {
            engine,
            height,
            width,
            c,
            a: self.heads.count * self.heads.dim,
            shares: engine.share(height * width),
        };
        let mut maps = engine.maps.take();
        let done = self.run(&run, &mut maps, x);
        engine.maps.put(maps);
        Ok(done?)
    }
}

impl<L: Arithmetic> Block<L> {
    fn run(&self, run: &Run<'_>, maps: &mut Maps, x: &mut [f32]) -> Result<(), NonFinite> {
        let rows = run.height * run.width;
        let queries = run.shares.len();
        let Maps {
            normed,
            kv,
            hidden,
            queries: all,
            tiles,
        } = maps;
        all.resize_with(all.len().max(queries), Queries::default);
        let queries = &mut all[..queries];
        let keys = match &self.projections {
            Projections::Together(qkv) => self.project(run, qkv, x, queries, kv)?,
            Projections::Reduced { ratio, .. } => {
                normed.resize(x.len());
                self.project_queries(run, x, normed, queries)?;
                let windows = Windows {
                    map: Map {
                        values: normed,
                        height: run.height,
                        width: run.width,
                        channels: run.c,
                    },
                    kernel: *ratio,
                    stride: *ratio,
                    padding: 0,
                };
                self.project_keys(run, windows, kv)?
            }
        };
        let tiles = tiles.of(run.engine.kernels, self.heads, keys.div_ceil(KV_TILE));
        self.keep_keys(run, kv, tiles)?;
        let attention = |queries| Attention {
            heads: self.heads,
            scale: self.scale,
            queries,
            keys,
            tiles,
            kv,
        };
        hidden.resize(rows * self.fc1.columns());
        self.finish(run, queries, attention, x, hidden)
    }

    /// Norm, queries, keys and values from the same rows. Gives the number of keys.
    fn project(
        &self,
        run: &Run<'_>,
        qkv: &L,
        x: &[f32],
        queries: &mut [Queries],
        kv: &mut Aligned<f32>,
    ) -> Result<usize, NonFinite> {
        let Run {
            engine,
            c,
            a,
            shares,
            ..
        } = *run;
        let rows = x.len() / c;
        kv.resize(rows * 2 * a);
        let tasks = shares
            .ranges()
            .zip(shares.cut(x, c))
            .zip(shares.cut_mut(kv, 2 * a))
            .zip(queries);
        try_each(tasks, |_, (((rows, x), kv), queries)| {
            let first = rows.start;
            engine
                .with_scratch(|scratch| {
                    let (narrow, mut work) = split(engine, scratch);
                    let rows = x.len() / c;
                    narrow.resize(rows * 3 * a);
                    let target = Target {
                        out: narrow,
                        add: false,
                        operator: Operator::Projections,
                    };
                    qkv.multiply(&mut work, Source::Normed(x, &self.before), target)?;
                    let mut laps = engine.profile.laps();
                    // What else is wide is not in use any more.
                    let q = work.wide;
                    q.resize(rows * a);
                    let parts = q.chunks_exact_mut(a).zip(kv.chunks_exact_mut(2 * a));
                    for ((q, kv), qkv) in parts.zip(narrow.chunks_exact(3 * a)) {
                        q.copy_from_slice(&qkv[..a]);
                        kv.copy_from_slice(&qkv[a..]);
                    }
                    L::keep_queries(engine, self.heads, q, queries)?;
                    laps.end(Operator::Split);
                    Ok(())
                })
                .map_err(|e: NonFinite| e.within(first))
        })?;
        Ok(rows)
    }

    /// Norm, kept for keys and values, and queries.
    fn project_queries(
        &self,
        run: &Run<'_>,
        x: &[f32],
        normed: &mut [f32],
        queries: &mut [Queries],
    ) -> Result<(), NonFinite> {
        let Projections::Reduced { q, .. } = &self.projections else {
            return Ok(());
        };
        let Run {
            engine,
            c,
            a,
            shares,
            ..
        } = *run;
        let tasks = shares
            .ranges()
            .zip(shares.cut(x, c))
            .zip(shares.cut_mut(normed, c))
            .zip(queries);
        try_each(tasks, |_, (((rows, x), normed), queries)| {
            engine
                .with_scratch(|scratch| {
                    let mut laps = engine.profile.laps();
                    self.before.apply(engine, x, normed);
                    laps.end(Operator::Norm);
                    let (narrow, mut work) = split(engine, scratch);
                    narrow.resize(x.len() / c * a);
                    let target = Target {
                        out: narrow,
                        add: false,
                        operator: Operator::Projections,
                    };
                    q.multiply(&mut work, Source::Plain(normed), target)?;
                    let mut laps = engine.profile.laps();
                    L::keep_queries(engine, self.heads, narrow, queries)?;
                    laps.end(Operator::Split);
                    Ok(())
                })
                .map_err(|e: NonFinite| e.within(rows.start))
        })
    }

    /// The reduced map, its norm, keys and values. Gives the number of keys.
    fn project_keys(
        &self,
        run: &Run<'_>,
        windows: Windows<'_>,
        kv: &mut Aligned<f32>,
    ) -> Result<usize, NonFinite> {
        let Projections::Reduced {
            reduction,
            norm,
            kv: layer,
            ..
        } = &self.projections
        else {
            return Ok(0);
        };
        let Run { engine, c, a, .. } = *run;
        let (height, width) = windows.grid();
        let keys = height * width;
        let shares = engine.share(keys);
        kv.resize(keys * 2 * a);
        let tasks = shares.ranges().zip(shares.cut_mut(kv, 2 * a));
        try_each(tasks, |_, (rows, kv)| {
            let first = rows.start;
            engine
                .with_scratch(|scratch| {
                    let (narrow, mut work) = split(engine, scratch);
                    narrow.resize(rows.len() * c);
                    let target = Target {
                        out: narrow,
                        add: false,
                        operator: Operator::SequenceReduction,
                    };
                    let source = Source::Windows(windows, rows);
                    reduction.multiply(&mut work, source, target)?;
                    let target = Target {
                        out: kv,
                        add: false,
                        operator: Operator::Projections,
                    };
                    layer.multiply(&mut work, Source::Normed(narrow, norm), target)
                })
                .map_err(|e| e.within(first))
        })?;
        Ok(keys)
    }

    /// Keys and values as attention reads them.
    fn keep_keys(
        &self,
        run: &Run<'_>,
        kv: &[f32],
        tiles: &mut [igpt_kernels::KvInt8],
    ) -> Result<(), NonFinite> {
        let engine = run.engine;
        let tasks = tiles.iter_mut().zip(kv.chunks(KV_TILE * 2 * run.a));
        try_each(tasks, |i, (tile, kv)| {
            let mut laps = engine.profile.laps();
            L::keep_keys(engine, self.heads, kv, tile).map_err(|e| e.within(i * KV_TILE))?;
            laps.end(Operator::Split);
            Ok(())
        })
    }

    /// All that follows the keys and values. What the depthwise convolution reads is made in the same phase: rows are convolved as soon as those
    /// around them are there, while they are near.
    fn finish<'a>(
        &self,
        run: &Run<'_>,
        queries: &'a [Queries],
        attention: impl Fn(&'a Queries) -> Attention<'a> + Sync,
        x: &mut [f32],
        hidden: &mut [f32],
    ) -> Result<(), NonFinite> {
        let Run {
            height,
            width,
            c,
            shares,
            ..
        } = *run;
        let bands = Bands::new(hidden, (height, width), self.fc1.columns(), shares);
        // Of rows that are attended to and not yet convolved nobody holds the lock.
        let rows: Vec<_> = shares.cut_mut(x, c).map(Mutex::new).collect();
        let rows_of = |i: usize| rows[i].lock().unwrap_or_else(PoisonError::into_inner);
        try_each(shares.ranges().zip(queries), |i, (tokens, queries)| {
            bands
                .make(i, |hidden| {
                    self.attend(run, &attention(queries), &mut rows_of(i), hidden)
                })
                .map_err(|e| e.within(tokens.start))?;
            bands.each_readable(i, |j, band| {
                let first = shares.start(j);
                self.convolve(run, band, &mut rows_of(j))
                    .map_err(|e| e.within(first))
            })
        })
    }

    /// Attention, o_proj, norm and fc1.
    fn attend(
        &self,
        run: &Run<'_>,
        attention: &Attention<'_>,
        x: &mut [f32],
        hidden: &mut [f32],
    ) -> Result<(), NonFinite> {
        let engine = run.engine;
        engine.with_scratch(|scratch| {
            let mut laps = engine.profile.laps();
            L::attend(engine, attention, scratch)?;
            laps.end(Operator::Attention);
            let (narrow, mut work) = split(engine, scratch);
            let target = Target {
                out: x,
                add: true,
                operator: Operator::OProj,
            };
            self.o_proj
                .multiply(&mut work, Source::Plain(narrow), target)?;
            let target = Target {
                out: hidden,
                add: false,
                operator: Operator::Fc1,
            };
            let source = Source::Normed(x, &self.after);
            self.fc1.multiply(&mut work, source, target)
        })
    }

    /// The depthwise convolution, the activation and fc2.
    fn convolve(&self, run: &Run<'_>, band: Band<'_>, x: &mut [f32]) -> Result<(), NonFinite> {
        run.engine.with_scratch(|scratch| {
            let (_, mut work) = split(run.engine, scratch);
            let target = Target {
                out: x,
                add: true,
                operator: Operator::Fc2,
            };
            let job = self.convolution.job(band.map, band.tokens);
            self.fc2.multiply(&mut work, Source::Depthwise(job), target)
        })
    }
}
