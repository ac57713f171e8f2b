//! What a linear layer of this family multiplies, and attention: in int8 or in f32.

use std::fmt;
use std::ops::Range;

use igpt_kernels::{
    Aligned, Depthwise, Heads, KvInt8, LinearScratch, NonFinite, PackedRows, Windows,
};

use super::norm::LayerNorm;
use crate::ops::engine::{Engine, Scratch};
use crate::ops::maps::Queries;
use crate::profile::Operator;

/// Where the rows of a product come from.
pub(super) enum Source<'a> {
    /// They are there.
    Plain(&'a [f32]),
    /// They are to be normed.
    Normed(&'a [f32], &'a LayerNorm),
    /// Windows of a map, of which these.
    Windows(Windows<'a>, Range<usize>),
    /// What the depthwise convolution and the activation make of a map.
    Depthwise(Depthwise<'a>),
}

/// Where a product goes.
pub(super) struct Target<'a> {
    pub(super) out: &'a mut [f32],
    /// Add to what is there.
    pub(super) add: bool,
    /// Under which name its time is booked.
    pub(super) operator: Operator,
}

/// What a task works with: the engine, and of its scratch what is no result.
pub(super) struct Work<'a> {
    pub(super) engine: &'a Engine,
    pub(super) rows: &'a mut PackedRows,
    /// Rows in f32 that are about to be multiplied.
    pub(super) wide: &'a mut Aligned<f32>,
    pub(super) shares: &'a mut Aligned<f32>,
    pub(super) linear: &'a mut LinearScratch,
}

/// Parts of a scratch: for results, and for products.
pub(super) fn split<'a>(
    engine: &'a Engine,
    scratch: &'a mut Scratch,
) -> (&'a mut Aligned<f32>, Work<'a>) {
    let Scratch {
        rows,
        wide,
        narrow,
        shares,
        linear,
        ..
    } = scratch;
    let work = Work {
        engine,
        rows,
        wide,
        shares,
        linear,
    };
    (narrow, work)
}

/// Attention of some queries over the keys of a whole map, all heads.
pub(super) struct Attention<'a> {
    pub(super) heads: Heads,
    pub(super) scale: f32,
    pub(super) queries: &'a Queries,
    /// Number of keys.
    pub(super) keys: usize,
    /// Keys and values as quantised.
    pub(super) tiles: &'a [KvInt8],
    /// Keys and values in f32, `[keys, 2 * width]`.
    pub(super) kv: &'a [f32],
}

/// A linear layer, and the arithmetic of the attention that goes with it.
pub(super) trait Arithmetic: fmt::Debug + Send + Sync + Sized + 'static {
    /// Columns of the product.
    fn columns(&self) -> usize;

    /// Multiplies the rows of `source`.
    fn multiply(
        &self,
        work: &mut Work<'_>,
        source: Source<'_>,
        target: Target<'_>,
    ) -> Result<(), NonFinite>;

    /// Keeps queries, `[rows, width]`.
    fn keep_queries(
        engine: &Engine,
        heads: Heads,
        q: &[f32],
        queries: &mut Queries,
    ) -> Result<(), NonFinite>;

    /// Keeps keys and values `[rows, 2 * width]`, at most a tile of them, which begin a tile.
    fn keep_keys(
        engine: &Engine,
        heads: Heads,
        kv: &[f32],
        tile: &mut KvInt8,
    ) -> Result<(), NonFinite>;

    /// Attention, into `scratch.narrow` `[rows, width]`.
    fn attend(engine: &Engine, job: &Attention<'_>, scratch: &mut Scratch)
    -> Result<(), NonFinite>;
}
