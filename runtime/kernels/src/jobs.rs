//! What the kernels are asked to do: operands, shapes and working memory.

mod maps;
mod resample;

use core::fmt;
use core::ops::Range;

use crate::arithmetic::activation::Activation;
use crate::layout::{Heads, KV_TILE};
use crate::memory::aligned::{Aligned, AlignedBytes};
use crate::operands::kv::KvInt8;
use crate::operands::rows::PackedRows;
use crate::operands::weights::{PackedF32, PackedInt8};

pub(crate) use maps::Place;
pub use maps::{Depthwise, Map, Windows};
pub use resample::RowRing;

/// A row held NaN or infinity where a number was needed. Nothing is computed from such a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NonFinite {
    /// Row within the block handed in.
    pub row: usize,
    /// The offending magnitude.
    pub found: f32,
}

impl NonFinite {
    /// The same, where the block of rows begins at row `first` of a larger one.
    #[must_use]
    pub fn within(self, first: usize) -> Self {
        Self {
            row: first + self.row,
            ..self
        }
    }
}

impl fmt::Display for NonFinite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "row {} reached {}, expected a finite number",
            self.row, self.found
        )
    }
}

impl core::error::Error for NonFinite {}

/// What is done to a row before it is quantised.
#[derive(Clone, Copy, Debug)]
pub enum Prepare<'a> {
    /// Nothing.
    Plain,
    /// RMS norm with this gain `[k]`.
    Norm {
        /// Gain of each channel.
        gain: &'a [f32],
        /// Added to the mean square.
        eps: f32,
    },
    /// LayerNorm with this gain and bias, `[k]` each.
    LayerNorm {
        /// Gain of each channel.
        gain: &'a [f32],
        /// Bias of each channel.
        bias: &'a [f32],
        /// Added to the variance.
        eps: f32,
    },
    /// The MLP's activation.
    Activate(Activation),
}

/// f32 rows in memory.
#[derive(Clone, Copy, Debug)]
pub struct RowsF32<'a> {
    /// From the first number of the first row on.
    pub values: &'a [f32],
    /// Distance between rows.
    pub stride: usize,
    /// Number of rows.
    pub rows: usize,
    /// Numbers in a row.
    pub width: usize,
}

impl<'a> RowsF32<'a> {
    /// Rows that follow each other.
    pub const fn dense(values: &'a [f32], rows: usize, width: usize) -> Self {
        Self {
            values,
            stride: width,
            rows,
            width,
        }
    }

    /// Row number `row`.
    #[inline(always)]
    pub(crate) fn row(&self, row: usize) -> &'a [f32] {
        &self.values[row * self.stride..][..self.width]
    }
}

/// One int8 linear layer over a block of rows: `out = a w + bias`, or `out += a w + bias`.
pub struct Linear<'a> {
    /// Quantised rows `[rows, k]`.
    pub a: &'a PackedRows,
    /// Weights `[k, n]`.
    pub w: &'a PackedInt8,
    /// Scale of each output channel, `[n]`.
    pub w_scale: &'a [f32],
    /// Bias of each output channel, `[n]`.
    pub bias: &'a [f32],
    /// Where column `panels.start * nr` of row 0 goes.
    pub out: &'a mut [f32],
    /// Distance between rows of `out`.
    pub ldo: usize,
    /// Add to `out` instead of storing.
    pub add: bool,
    /// Column panels to compute: all, or a thread's share.
    pub panels: Range<usize>,
    /// Working memory, reused.
    pub scratch: &'a mut LinearScratch,
}

/// Working memory of a linear layer, one per thread, reused.
#[derive(Clone, Debug, Default)]
pub struct LinearScratch {
    /// A panel of int4 weights unpacked for several rows.
    pub(crate) unpacked: AlignedBytes,
    /// What a set has read in another order.
    pub(crate) rearranged: Rearranged,
}

/// Operands in the order in which a set's own way through a layer reads them.
#[allow(dead_code, reason = "read by instruction sets of one architecture")]
#[derive(Clone, Debug, Default)]
pub(crate) struct Rearranged {
    /// The rows.
    pub(crate) rows: AlignedBytes,
    /// How many there are.
    pub(crate) count: usize,
    /// A panel of weights.
    pub(crate) weights: AlignedBytes,
    /// Products of the rows that a tile adds to its own.
    pub(crate) products: Aligned<i16>,
}

/// One f32 linear layer over a block of rows. Fields as in [`Linear`].
pub struct LinearF32<'a> {
    /// Rows `[rows, k]`, `lda` apart.
    pub a: &'a [f32],
    /// Distance between rows of `a`.
    pub lda: usize,
    /// Number of rows.
    pub rows: usize,
    /// Weights `[k, n]`.
    pub w: &'a PackedF32,
    /// Bias `[n]`.
    pub bias: &'a [f32],
    /// Where column `panels.start * 16` of row 0 goes.
    pub out: &'a mut [f32],
    /// Distance between rows of `out`.
    pub ldo: usize,
    /// Add to `out` instead of storing.
    pub add: bool,
    /// Column panels of 16 to compute.
    pub panels: Range<usize>,
}

/// Which keys queries see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visible {
    /// The query at a position sees the keys up to and including that one.
    Causal {
        /// Absolute position of the first query.
        position: usize,
    },
    /// Every query sees the same keys.
    All {
        /// How many, from the first on; at least one.
        keys: usize,
    },
}

impl Visible {
    /// How many keys the last of the first `rows` queries sees, and so all of them together.
    #[inline(always)]
    pub(crate) const fn keys(self, rows: usize) -> usize {
        match self {
            Self::Causal { position } => position + rows,
            Self::All { keys } => keys,
        }
    }

    /// What the queries from number `row` on see.
    #[inline(always)]
    pub(crate) const fn from(self, row: usize) -> Self {
        match self {
            Self::Causal { position } => Self::Causal {
                position: position + row,
            },
            all @ Self::All { .. } => all,
        }
    }
}

/// Int8 attention of a block of query rows, one head.
pub struct Attention<'a> {
    /// Heads of the layer.
    pub heads: Heads,
    /// Which one.
    pub head: usize,
    /// Quantised queries of that head `[rows, dim]`.
    pub q: &'a PackedRows,
    /// The layer's keys and values from token 0 to the last that a query sees at least.
    pub kv: &'a [KvInt8],
    /// Which of them each query sees.
    pub visible: Visible,
    /// What multiplies Q.K.
    pub scale: f32,
    /// Where column 0 of the head's output of row 0 goes.
    pub out: &'a mut [f32],
    /// Distance between rows of `out`.
    pub ldo: usize,
}

/// Causal int8 attention of one query row, several heads.
pub struct AttentionRow<'a> {
    /// Heads of the layer.
    pub heads: Heads,
    /// The first of those asked for.
    pub first: usize,
    /// Quantised queries `[1, dim]` of the heads asked for.
    pub q: &'a [PackedRows],
    /// The layer's keys and values from token 0 to the query's at least.
    pub kv: &'a [KvInt8],
    /// Absolute position of the query.
    pub position: usize,
    /// What multiplies Q.K.
    pub scale: f32,
    /// The heads' outputs, one after the other, `[q.len(), dim]`.
    pub out: &'a mut [f32],
}

/// f32 attention of one query row, one head.
pub struct AttentionF32<'a> {
    /// The query, `[dim]`.
    pub q: &'a [f32],
    /// Keys, one row a token, `stride` apart.
    pub keys: &'a [f32],
    /// Values, one row a token, `stride` apart.
    pub values: &'a [f32],
    /// Distance between tokens.
    pub stride: usize,
    /// How many tokens the query sees: of a causal model those up to itself.
    pub tokens: usize,
    /// What multiplies Q.K.
    pub scale: f32,
    /// Output, `[dim]`.
    pub out: &'a mut [f32],
}

/// Working memory of attention, one per thread, reused.
#[derive(Clone, Debug, Default)]
pub struct AttentionScratch {
    /// Q.K of a row panel and a kv tile.
    pub(crate) scores: Aligned<i32>,
    /// P.V of a row panel and a kv tile.
    pub(crate) sums: Aligned<i32>,
    pub(crate) output: Aligned<f32>,
    pub(crate) p: AlignedBytes,
    pub(crate) zeros: Aligned<i32>,
}

impl AttentionScratch {
    pub(crate) fn reshape(&mut self, mr: usize, ldv: usize) {
        self.scores.resize(mr * KV_TILE);
        self.sums.resize(mr * ldv);
        self.output.resize(mr * ldv);
        self.p.resize(mr * KV_TILE);
        self.zeros.resize(KV_TILE);
    }
}
