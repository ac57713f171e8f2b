//! The crate's interface: one [`Kernels`] per instruction set, every method the same formula compiled for it.

use core::fmt;

use bytes::Bytes;

use crate::aligned::AlignedBytes;
use crate::chains::Chains;
use crate::dot::{Dot, Layout, MAX_TILE};
use crate::int4::Int4Matrix;
use crate::isa::{Isa, IsaError};
use crate::kv::{KV_TILE, KvInt8, KvTiles};
use crate::nibbles::{Memory, Nibbles};
use crate::pack::{PackedInt8, PackedRows, Panel};
use crate::panels::{Panels, PanelsError};
use crate::portable::Activation;
use crate::slab::Slab;

mod jobs;
mod table;

pub use jobs::{
    Attention, AttentionF32, AttentionRow, AttentionScratch, Heads, Linear, LinearF32,
    LinearScratch, NonFinite, Prepare,
};
use table::Table;

/// The kernels of one instruction set. Copy it freely; it is two pointers' worth of choice made once at start.
#[derive(Clone, Copy)]
pub struct Kernels {
    dot: Dot,
    table: &'static Table,
}

impl fmt::Debug for Kernels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Kernels({}, {:?})", self.dot.isa, self.dot.layout)
    }
}

impl Kernels {
    /// The kernels of `isa`.
    ///
    /// # Errors
    /// If this machine cannot run them.
    pub fn for_isa(isa: Isa) -> Result<Self, IsaError> {
        let dot = Dot::for_isa(isa).ok_or(IsaError::Missing(isa))?;
        Ok(Self {
            dot,
            table: Table::of(isa),
        })
    }

    /// The fastest kernels this machine can run.
    pub fn best() -> Self {
        let isa = Isa::available().last().unwrap_or(Isa::Scalar);
        Self::for_isa(isa).expect("an available instruction set has kernels")
    }

    /// Which instruction set these are for.
    pub fn isa(&self) -> Isa {
        self.dot.isa
    }

    /// How these kernels lay out their operands.
    pub fn layout(&self) -> Layout {
        self.dot.layout
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
        let Layout { nr, kr, .. } = self.dot.layout;
        Panels { nr, kr }
    }

    /// A weight matrix `[k, n]` that lies packed in `bytes`, as [`Panels::pack`] of [`Kernels::panels`] gives it. It is used where it
    /// lies; here it is only read.
    ///
    /// # Errors
    /// If it has another length, a value of -128, or padding that is not zero.
    pub fn packed(&self, bytes: Bytes, k: usize, n: usize) -> Result<PackedInt8, PanelsError> {
        PackedInt8::new(self.dot.layout, bytes, k, n, self.panel_sums(k))
    }

    /// The int8 matrix that `w` stands for. It keeps its four bits a weight in memory, and gives what [`Kernels::pack`] of
    /// [`Int4Matrix::to_int8`] gives.
    pub fn pack_int4(&self, w: &Int4Matrix<'_>) -> PackedInt8 {
        let len = Nibbles::len(self.dot.layout, w.k(), w.n());
        let memory = Memory::Own(AlignedBytes::zeroed(len));
        PackedInt8::int4(self.dot.layout, w, memory, self.panel_sums(w.k()))
    }

    /// [`Kernels::pack_int4`] in memory of `slab`, if there is so much left: one token reads all of a model's weights.
    pub fn pack_int4_in(&self, w: &Int4Matrix<'_>, slab: &mut Slab) -> Option<PackedInt8> {
        let memory = Memory::of(slab.take(self.int4_len(w.k(), w.n()))?);
        Some(PackedInt8::int4(
            self.dot.layout,
            w,
            memory,
            self.panel_sums(w.k()),
        ))
    }

    /// Bytes that an int4 matrix `[k, n]` takes in a slab, whole cache lines.
    pub fn int4_len(&self, k: usize, n: usize) -> usize {
        Nibbles::len(self.dot.layout, k, n).next_multiple_of(64)
    }

    /// What sums the columns of a panel of `k` rows, and shows it to its chains.
    fn panel_sums(&self, k: usize) -> impl FnMut(Panel<'_>, &mut [i32], Option<&mut Chains>) {
        let Layout { mr, nr, kr, .. } = self.dot.layout;
        let (dot, groups) = (self.dot, k.div_ceil(kr));
        // A row of ones sums the columns as fast as memory gives them. As `comp` is zero, one means one whatever the offset.
        let ones = alloc::vec![1; groups * mr * kr];
        let (mut acc, mut unpacked) = ([0; MAX_TILE], AlignedBytes::default());
        move |panel, sums, chains| {
            let comp = [0; KV_TILE];
            // SAFETY: a `Kernels` exists only for an instruction set that this machine has.
            let panel = unsafe { panel.int8(&dot, &mut unpacked) };
            // SAFETY: likewise.
            unsafe { dot.run(1, groups, &ones, panel, &comp, &mut acc, nr, panel) };
            if let Some(chains) = chains {
                chains.push(panel);
            }
            sums.copy_from_slice(&acc[..nr]);
        }
    }

    /// An empty kv tile for this layout.
    pub fn kv_tile(&self, heads: Heads) -> KvInt8 {
        KvInt8::new(self.dot.layout, heads)
    }

    /// Bytes that `tiles` kv tiles take.
    pub fn kv_len(&self, heads: Heads, tiles: usize) -> usize {
        tiles * KvInt8::groups_kept(self.dot.layout, heads).bytes()
    }

    /// Room in `slab` for `tiles` consecutive kv tiles of a layer, at least one, if there is any left.
    pub fn kv_tiles(&self, heads: Heads, tiles: usize, slab: &mut Slab) -> Option<KvTiles> {
        KvTiles::within(slab, KvInt8::groups_kept(self.dot.layout, heads), tiles)
    }

    /// An empty kv tile at place `index` of `tiles`. Places go up: one that is behind another's, or not there, gives a tile in memory of
    /// its own.
    ///
    /// # Panics
    /// If `tiles` were made for other heads or another layout.
    pub fn kv_tile_in(&self, heads: Heads, tiles: &mut KvTiles, index: usize) -> KvInt8 {
        KvInt8::within(self.dot.layout, heads, tiles, index)
    }

    /// Prepares, quantises and packs `rows` rows of `x`, `ldx` apart, `k` wide.
    ///
    /// # Errors
    /// If a row is not finite.
    pub fn prepare(
        &self,
        x: &[f32],
        ldx: usize,
        rows: usize,
        k: usize,
        how: Prepare<'_>,
        out: &mut PackedRows,
    ) -> Result<(), NonFinite> {
        // SAFETY: a `Kernels` exists only for an instruction set that this machine has.
        unsafe { (self.table.prepare)(x, ldx, rows, k, how, out) }
    }

    /// An int8 linear layer.
    pub fn linear(&self, job: Linear<'_>) {
        assert_eq!(job.a.k(), job.w.k(), "inner dimensions");
        if job.a.rows() == 0 {
            return;
        }
        let layout = self.dot.layout;
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
            first + rows <= KV_TILE && tile.is_for(self.dot.layout, heads),
            "rows that fit a tile of these kernels"
        );
        // SAFETY: a `Kernels` exists only for an instruction set that this machine has.
        unsafe { (self.table.split)(heads, qkv, first, q, tile) }
    }

    /// Causal int8 attention.
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
        let layout = self.dot.layout;
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
        let (layout, heads) = (self.dot.layout, job.heads);
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

    /// Causal f32 attention of one row.
    ///
    /// # Errors
    /// If a score overflows.
    pub fn attend_f32(&self, job: AttentionF32<'_>) -> Result<(), NonFinite> {
        // SAFETY: a `Kernels` exists only for an instruction set that this machine has.
        unsafe { (self.table.attend_f32)(job) }
    }
}
