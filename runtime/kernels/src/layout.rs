//! How operands lie for a tile. The layout of every instruction set is known on every machine: a file may be packed for another one.

use crate::isa::Isa;

/// How operands are laid out for a tile.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// Rows of a tile.
    pub mr: usize,
    /// Columns of a tile; divides the kv tile.
    pub nr: usize,
    /// Consecutive k kept together; divides the kv tile.
    pub kr: usize,
    /// What packed activations are XORed with: 0 or 0x80.
    pub offset: u8,
}

/// Keys of one step of the online softmax, on an absolute grid. Part of the numerics contract.
pub const KV_TILE: usize = 64;

/// The most rows of any tile.
pub(crate) const MAX_MR: usize = 16;

/// The largest tile of any instruction set, which sizes the accumulator on the stack.
pub(crate) const MAX_TILE: usize = MAX_MR * KV_TILE;

/// Rows that are interleaved together; divides mr and nr of every layout.
pub(crate) const GROUP: usize = 4;

impl Layout {
    /// What the tile of `isa` wants.
    pub const fn of(isa: Isa) -> Self {
        let (mr, nr, kr, offset) = isa.layout();
        assert!(mr * nr <= MAX_TILE && mr <= MAX_MR);
        assert!(mr.is_multiple_of(GROUP) && nr.is_multiple_of(GROUP));
        assert!(KV_TILE.is_multiple_of(nr) && KV_TILE.is_multiple_of(kr));
        Self { mr, nr, kr, offset }
    }
}

/// Attention heads of a layer; the width of the model is `count * dim`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heads {
    /// Number of heads.
    pub count: usize,
    /// Width of one head; any number from 1 on.
    pub dim: usize,
}
