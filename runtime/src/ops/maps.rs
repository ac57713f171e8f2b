//! What a block keeps of a whole map between its phases, where rows need each other.

use igpt_kernels::{Aligned, Heads, Kernels, KvInt8, PackedRows};

/// Buffers of one block's run.
#[derive(Debug, Default)]
pub(crate) struct Maps {
    /// Normed rows.
    pub(crate) normed: Aligned<f32>,
    /// Keys and values in f32, `[keys, 2 * width]`.
    pub(crate) kv: Aligned<f32>,
    /// The MLP's inner layer.
    pub(crate) hidden: Aligned<f32>,
    /// Queries of every task.
    pub(crate) queries: Vec<Queries>,
    /// Keys and values as int8 attention reads them.
    pub(crate) tiles: Tiles,
}

/// The queries of some rows, of every head.
#[derive(Debug, Default)]
pub(crate) struct Queries {
    /// How many rows.
    pub(crate) rows: usize,
    /// Quantised, one entry a head.
    pub(crate) packed: Vec<PackedRows>,
    /// In f32, `[rows, width]`.
    pub(crate) plain: Aligned<f32>,
}

/// Tiles of keys and values, for each number and width of heads: stages differ in them.
#[derive(Debug, Default)]
pub(crate) struct Tiles(Vec<(Heads, Vec<KvInt8>)>);

impl Tiles {
    /// So many of them, for these heads.
    pub(crate) fn of(&mut self, kernels: Kernels, heads: Heads, count: usize) -> &mut [KvInt8] {
        let known = self.0.iter().position(|(known, _)| *known == heads);
        let at = known.unwrap_or_else(|| {
            self.0.push((heads, Vec::new()));
            self.0.len() - 1
        });
        let tiles = &mut self.0[at].1;
        while tiles.len() < count {
            tiles.push(kernels.kv_tile(heads));
        }
        &mut tiles[..count]
    }
}
