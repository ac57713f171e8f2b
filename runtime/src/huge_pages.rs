//! Memory in huge pages, where the system has them for the asking.
//!
//! A token of generation reads all weights, keys and values. In pages of 4 KiB that is as many walks through page tables as there are
//! pages, and a hardware prefetcher stops at the end of each.

use std::io;

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
