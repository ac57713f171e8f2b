//! Memory for the keys and values that a sequence keeps: large pieces, in huge pages where the system has them for the asking, of which
//! every layer gets room for its next tiles.
//!
//! A token of generation reads all of them. In pages of 4 KiB, and wherever an allocator finds place for a tile, that takes a third longer.

use std::sync::{Mutex, PoisonError};

use igpt_kernels::{Heads, Kernels, KvInt8, KvTiles, Slab};

use crate::huge_pages;

/// Tiles that a layer gets room for at a time: all of a published ImageGPT's 1024 tokens.
const TILES: usize = 16;

/// Layers whose room a slab holds. A slab goes when the last of its tiles does.
const LAYERS: usize = 24;

/// The slab that rooms come from.
#[derive(Debug, Default)]
pub(crate) struct Slabs(Mutex<Option<Slab>>);

impl Slabs {
    /// Room for a layer's next tiles. None if the system has no memory: then each tile asks for its own.
    fn room(&self, kernels: Kernels, heads: Heads) -> Option<KvTiles> {
        let mut slab = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let left = slab
            .as_mut()
            .and_then(|slab| kernels.kv_tiles(heads, TILES, slab));
        if left.is_some() {
            return left;
        }
        let map = huge_pages::map(LAYERS * kernels.kv_len(heads, TILES)).ok()?;
        kernels.kv_tiles(heads, TILES, slab.insert(Slab::new(map)))
    }
}

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
        slabs: &Slabs,
        kernels: Kernels,
        heads: Heads,
        index: usize,
    ) -> KvInt8 {
        if self.0.is_none() || index.is_multiple_of(TILES) {
            self.0 = slabs.room(kernels, heads);
        }
        match &mut self.0 {
            Some(tiles) => kernels.kv_tile_in(heads, tiles, index % TILES),
            None => kernels.kv_tile(heads),
        }
    }
}
