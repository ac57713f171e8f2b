//! The crate's interface: one [`Kernels`] per instruction set, every method the same formula compiled for it.

mod maps;
mod resample;

use core::fmt;

use bytes::Bytes;

use crate::arithmetic::activation::Activation;
use crate::isa::{Isa, IsaError};
use crate::jobs::{
    Attention, AttentionF32, AttentionRow, AttentionScratch, Linear, LinearF32, NonFinite, Prepare,
    RowsF32,
};
use crate::layout::{Heads, KV_TILE, Layout};
use crate::memory::aligned::AlignedBytes;
use crate::memory::slab::Slab;
use crate::operands::int4::Int4Matrix;
use crate::operands::kv::{KvInt8, KvTiles};
use crate::operands::nibbles::{Memory, Nibbles};
use crate::operands::panels::{Panels, PanelsError};
use crate::operands::rows::PackedRows;
use crate::operands::weights::PackedInt8;
use crate::tables::Table;

/// The kernels of one instruction set. Copy it freely; it is a pointer: a choice made once at start.
#[derive(Clone, Copy)]
pub struct Kernels {
    table: &'static Table,
}

impl fmt::Debug for Kernels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Kernels({}, {:?})", self.table.isa, self.table.layout)
    }
}

impl Kernels {
    /// The kernels of `isa`.
    ///
    /// # Errors
    /// If this machine cannot run them.
    pub fn for_isa(isa: Isa) -> Result<Self, IsaError> {
        let table = Table::of(isa).ok_or(IsaError::Missing(isa))?;
        Ok(Self { table })
    }

    /// The fastest kernels this machine can run.
    pub fn best() -> Self {
        let table = Isa::available().filter_map(Table::of).last();
        Self {
            table: table.unwrap_or(Table::scalar()),
        }
    }

    /// Which instruction set these are for.
    pub fn isa(&self) -> Isa {
        self.table.isa
    }

    /// How these kernels lay out their operands.
    pub fn layout(&self) -> Layout {
        self.table.layout
    }

    /// Packs an int8 weight matrix, row-major `[k, n]`, values in [-127, 127].
    ///
    /// # Panics
    /// If `w` does not hold `k * n` values, or one of them is -128, on which the kernels are not exact.
    pub fn pack(&self, w: &[i8], k: usize, n: usize) -> PackedInt8 {
        let bytes = self.panels().pack(w, k, n);
        self.packed(Bytes::from_owner(bytes), k, n)
            .expect("a weight matrix in [-127, 127]")
    }

    /// In which panels these kernels read weights.
    pub fn panels(&self) -> Panels {
        let Layout { nr, kr, .. } = self.table.layout;
        Panels { nr, kr }
    }

    /// A weight matrix `[k, n]` that lies packed in `bytes`, as [`Panels::pack`] of [`Kernels::panels`] gives it. It is used where it
    /// lies; here it is only read.
    ///
    /// # Errors
    /// If it has another length, a value of -128, or padding that is not zero.
    pub fn packed(&self, bytes: Bytes, k: usize, n: usize) -> Result<PackedInt8, PanelsError> {
        // SAFETY: a `Kernels` exists only for an instruction set that this machine has.
        unsafe { (self.table.pack)(bytes, k, n) }
    }

    /// The int8 matrix that `w` stands for. It keeps its four bits a weight in memory, and gives what [`Kernels::pack`] of
    /// [`Int4Matrix::to_int8`] gives.
    pub fn pack_int4(&self, w: &Int4Matrix<'_>) -> PackedInt8 {
        let len = Nibbles::len(self.table.layout, w.k(), w.n());
        let memory = Memory::Own(AlignedBytes::zeroed(len));
        // SAFETY: a `Kernels` exists only for an instruction set that this machine has.
        unsafe { (self.table.pack_int4)(w, memory) }
    }

    /// [`Kernels::pack_int4`] in memory of `slab`, if there is so much left: one token reads all of a model's weights.
    pub fn pack_int4_in(&self, w: &Int4Matrix<'_>, slab: &mut Slab) -> Option<PackedInt8> {
        let memory = Memory::of(slab.take(self.int4_len(w.k(), w.n()))?);
        // SAFETY: a `Kernels` exists only for an instruction set that this machine has.
        Some(unsafe { (self.table.pack_int4)(w, memory) })
    }

    /// Bytes that an int4 matrix `[k, n]` takes in a slab, whole cache lines.
    pub fn int4_len(&self, k: usize, n: usize) -> usize {
        Nibbles::len(self.table.layout, k, n).next_multiple_of(64)
    }

    /// An empty kv tile for this layout.
    pub fn kv_tile(&self, heads: Heads) -> KvInt8 {
        KvInt8::new(self.table.layout, heads)
    }

    /// Bytes that `tiles` kv tiles take.
    pub fn kv_len(&self, heads: Heads, tiles: usize) -> usize {
        let Table {
            layout,
            heads_together,
            ..
        } = *self.table;
        tiles * KvInt8::groups_kept(layout, heads, heads_together).bytes()
    }

    /// Room in `slab` for `tiles` consecutive kv tiles of a layer, at least one, if there is any left.
    pub fn kv_tiles(&self, heads: Heads, tiles: usize, slab: &mut Slab) -> Option<KvTiles> {
        let Table {
            layout,
            heads_together,
            ..
        } = *self.table;
        let groups = KvInt8::groups_kept(layout, heads, heads_together);
        KvTiles::within(slab, groups, tiles)
    }

    /// An empty kv tile at place `index` of `tiles`. Places go up: one that is behind another's, or not there, gives a tile in memory of
    /// its own.
    ///
    /// # Panics
    /// If `tiles` were made for other heads or another layout.
    pub fn kv_tile_in(&self, heads: Heads, tiles: &mut KvTiles, index: usize) -> KvInt8 {
        let Table {
            layout,
            heads_together,
            ..
        } = *self.table;
        KvInt8::within(layout, heads, heads_together, tiles, index)
    }

    /// Prepares, quantises and packs rows.
    ///
    /// # Errors
    /// If a row is not finite.
    pub fn prepare(
        &self,
        rows: RowsF32<'_>,
        how: Prepare<'_>,
        out: &mut PackedRows,
    ) -> Result<(), NonFinite> {
        if let Prepare::LayerNorm { gain, bias, .. } = how {
            assert!(
                gain.len() == rows.width && bias.len() == rows.width,
                "one gain and one bias a channel"
            );
        }
        // SAFETY: a `Kernels` exists only for an instruction set that this machine has.
        unsafe { (self.table.prepare)(rows, how, out) }
    }

    /// An int8 linear layer.
    pub fn linear(&self, job: Linear<'_>) {
        assert_eq!(job.a.k(), job.w.k(), "inner dimensions");
        if job.a.rows() == 0 {
            return;
        }
        let layout = self.table.layout;
        assert!(
            job.a.layout == layout && job.w.layout() == layout,
            "operands packed for these kernels"
        );
        assert!(
            job.w_scale.len() == job.w.n() && job.bias.len() == job.w.n(),
            "one scale and one bias a channel"
        );
        // SAFETY: a `Kernels` exists only for an instruction set that this machine has.
        unsafe { (self.table.linear)(job) }
    }

    /// Quantises q, k and v of the rows of `qkv` (`[rows, 3 * width]`), which are tokens `first..` of `tile`.
    ///
    /// # Errors
    /// If a row is not finite.
    pub fn split(
        &self,
        heads: Heads,
        qkv: &[f32],
        first: usize,
        q: &mut [PackedRows],
        tile: &mut KvInt8,
    ) -> Result<(), NonFinite> {
        assert!(q.len() >= heads.count, "a buffer of queries for each head");
        let rows = qkv.len() / (3 * heads.count * heads.dim);
        assert!(
            first + rows <= KV_TILE && tile.is_for(self.table.layout, heads),
            "rows that fit a tile of these kernels"
        );
        // SAFETY: a `Kernels` exists only for an instruction set that this machine has.
        unsafe { (self.table.split)(heads, qkv, first, q, tile) }
    }

    /// Int8 attention.
    ///
    /// # Errors
    /// If a score overflows.
    pub fn attend(
        &self,
        job: Attention<'_>,
        scratch: &mut AttentionScratch,
    ) -> Result<(), NonFinite> {
        assert!(
            job.q.k() == job.heads.dim && job.head < job.heads.count,
            "queries of that head"
        );
        if job.q.rows() == 0 {
            return Ok(());
        }
        assert!(
            (1..=job.kv.len() * KV_TILE).contains(&job.visible.keys(job.q.rows())),
            "keys that are there, at least one"
        );
        let layout = self.table.layout;
        assert!(
            job.q.layout == layout && job.kv.iter().all(|tile| tile.is_for(layout, job.heads)),
            "operands packed for these kernels"
        );
        // SAFETY: a `Kernels` exists only for an instruction set that this machine has.
        unsafe { (self.table.attend)(job, scratch) }
    }

    /// Causal int8 attention of one query: the bits of [`Kernels::attend`], head by head.
    ///
    /// # Errors
    /// If a score overflows.
    pub fn attend_row(
        &self,
        job: AttentionRow<'_>,
        scratch: &mut AttentionScratch,
    ) -> Result<(), NonFinite> {
        let (layout, heads) = (self.table.layout, job.heads);
        assert!(
            job.first + job.q.len() <= heads.count && job.out.len() == job.q.len() * heads.dim,
            "heads of the layer, and room for each"
        );
        assert!(
            job.q
                .iter()
                .all(|q| { q.layout == layout && q.k() == heads.dim && q.rows() == 1 })
                && job.kv.iter().all(|tile| tile.is_for(layout, heads)),
            "operands packed for these kernels"
        );
        // SAFETY: a `Kernels` exists only for an instruction set that this machine has.
        unsafe { (self.table.attend_row)(job, scratch) }
    }

    /// RMS norm of rows as wide as `gain`.
    pub fn norm(&self, x: &[f32], gain: &[f32], eps: f32, out: &mut [f32]) {
        // SAFETY: a `Kernels` exists only for an instruction set that this machine has.
        unsafe { (self.table.norm)(x, gain, eps, out) }
    }

    /// The activation in place.
    pub fn activate(&self, kind: Activation, x: &mut [f32]) {
        // SAFETY: a `Kernels` exists only for an instruction set that this machine has.
        unsafe { (self.table.activate)(kind, x) }
    }

    /// Adds the rows of `x`, as wide as `sums`, to `sums`, in order.
    pub fn add_rows(&self, x: &[f32], sums: &mut [f32]) {
        // SAFETY: a `Kernels` exists only for an instruction set that this machine has.
        unsafe { (self.table.add_rows)(x, sums) }
    }

    /// Dot product of two rows.
    pub fn dot_f32(&self, x: &[f32], y: &[f32]) -> f32 {
        // SAFETY: a `Kernels` exists only for an instruction set that this machine has.
        unsafe { (self.table.dot_f32)(x, y) }
    }

    /// An f32 linear layer.
    pub fn linear_f32(&self, job: LinearF32<'_>) {
        // SAFETY: a `Kernels` exists only for an instruction set that this machine has.
        unsafe { (self.table.linear_f32)(job) }
    }

    /// f32 attention of one row.
    ///
    /// # Errors
    /// If a score overflows.
    pub fn attend_f32(&self, job: AttentionF32<'_>) -> Result<(), NonFinite> {
        // SAFETY: a `Kernels` exists only for an instruction set that this machine has.
        unsafe { (self.table.attend_f32)(job) }
    }
}

/// Runs the dot-product instructions of `isa` in `rounds` rounds and gives the number of multiply-accumulates, to be timed.
///
/// Scalar code has no such instruction: there its tile stands for it.
///
/// # Errors
/// If this machine has no such instructions.
pub fn peak_benchmark(isa: Isa, rounds: u64) -> Result<u64, IsaError> {
    let table = Table::of(isa).ok_or(IsaError::Missing(isa))?;
    // SAFETY: a table is given only for an instruction set that this machine has.
    Ok(unsafe { (table.peak)(rounds) })
}

/// Runs the tile of `isa` `tiles` times on operands that stay in the nearest cache (k = 512), and gives the number of
/// multiply-accumulates: timed, the most that a layer on these kernels can reach.
///
/// # Errors
/// If this machine has no such instructions.
pub fn tile_benchmark(isa: Isa, tiles: u64) -> Result<u64, IsaError> {
    let table = Table::of(isa).ok_or(IsaError::Missing(isa))?;
    // SAFETY: a table is given only for an instruction set that this machine has.
    Ok(unsafe { (table.tiles)(tiles) })
}
