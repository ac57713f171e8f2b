//! Memory for the keys and values that a sequence keeps: large pieces, in huge pages where the system has them for the asking, of which
//! every layer gets room for its next tiles.
//!
//! A token of generation reads all of them. In pages of 4 KiB, and wherever an allocator finds place for a tile, that takes a third longer.

use igpt_kernels::{Heads, Kernels, KvInt8, KvTiles};

use crate::huge_pages::Blocks;

/// Tiles that a layer gets room for at a time: all of a published ImageGPT's 1024 tokens.
const TILES: usize = 16;

/// Layers whose room a block holds.
const LAYERS: usize = 24;

/// A layer's room in a sequence.
#[derive(Debug, Default)]
pub(crate) struct KvRoom(Option<KvTiles>);

impl Clone for KvRoom {
    /// A copy of a sequence goes on in room of its own.
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl KvRoom {
    /// An empty tile, the sequence's `index`th.
    pub(crate) fn tile(
        &mut self,
        blocks: &Blocks,
        kernels: Kernels,
        heads: Heads,
        index: usize,
    ) -> KvInt8 {
        if self.0.is_none() || index.is_multiple_of(TILES) {
            // Without memory for a block each tile asks for its own.
            let len = LAYERS * kernels.kv_len(heads, TILES);
            self.0 = blocks.take(len, |slab| kernels.kv_tiles(heads, TILES, slab));
        }
        match &mut self.0 {
            Some(tiles) => kernels.kv_tile_in(heads, tiles, index % TILES),
            None => kernels.kv_tile(heads),
        }
    }
}
