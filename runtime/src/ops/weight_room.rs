//! Memory for int4 weights: blocks in huge pages, of which every matrix takes its part.

use std::sync::{Mutex, PoisonError};

use igpt_kernels::{Int4Matrix, Kernels, PackedInt8, Slab};

use crate::huge_pages;

/// Bytes of a block. What the next matrix does not fit into is never touched.
const BLOCK: usize = 16 << 20;

/// The block that weights come into.
#[derive(Debug, Default)]
pub(crate) struct WeightRoom(Mutex<Option<Slab>>);

impl WeightRoom {
    /// The matrix, packed.
    pub(crate) fn pack(&self, kernels: Kernels, w: &Int4Matrix<'_>) -> PackedInt8 {
        let mut slab = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slab) = &mut *slab
            && let Some(packed) = kernels.pack_int4_in(w, slab)
        {
            return packed;
        }
        let len = kernels.int4_len(w.k(), w.n());
        let block = huge_pages::map(BLOCK.max(len)).ok().map(Slab::new);
        let packed = block.and_then(|block| kernels.pack_int4_in(w, slab.insert(block)));
        // Without memory for a block there may be some for a matrix, or whoever hands it out says that there is none.
        packed.unwrap_or_else(|| kernels.pack_int4(w))
    }
}
