//! Memory in huge pages, where the system has them for the asking.
//!
//! A token of generation reads all weights, keys and values. In pages of 4 KiB that is as many walks through page tables as there are
//! pages, and a hardware prefetcher stops at the end of each.

use std::io;
use std::sync::{Mutex, PoisonError};

use igpt_kernels::Slab;
use memmap2::MmapMut;

/// `len` zeros.
///
/// # Errors
/// If the system has no memory.
pub(crate) fn map(len: usize) -> io::Result<MmapMut> {
    let map = MmapMut::map_anon(len)?;
    #[cfg(target_os = "linux")]
    {
        // Advice that is not taken costs time, nothing else.
        let _ = map.advise(memmap2::Advice::HugePage);
    }
    Ok(map)
}

/// Blocks of such memory, of which pieces are given away, one block after the other. A block goes when the last of its pieces does.
#[derive(Debug, Default)]
pub(crate) struct Blocks(Mutex<Option<Slab>>);

impl Blocks {
    /// What `take` takes of the block at hand, or, where that has no room left, of a new one of `len` bytes. None if the system has no
    /// memory for that.
    pub(crate) fn take<T>(
        &self,
        len: usize,
        mut take: impl FnMut(&mut Slab) -> Option<T>,
    ) -> Option<T> {
        let mut block = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(taken) = block.as_mut().and_then(&mut take) {
            return Some(taken);
        }
        take(block.insert(Slab::new(map(len).ok()?)))
    }
}
