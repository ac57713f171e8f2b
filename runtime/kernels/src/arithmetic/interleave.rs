//! Finished rows of bytes into the panel of a tile, four at a time.
//!
//! A row alone is scattered: a store of `kr` bytes for every `kr` keys. Of four neighbouring rows a group is `4 * kr` bytes in a row, so
//! that a small transposition in registers makes whole vectors of them.

use crate::layout::GROUP;

/// One row after the other.
#[inline(always)]
pub(crate) fn portable(rows: &[u8], panel: &mut [u8], slots: usize, slot: usize, kr: usize) {
    let len = rows.len() / GROUP;
    for (i, row) in rows.chunks_exact(len.max(1)).enumerate() {
        scatter(row, panel, slots, slot + i, kr);
    }
}

/// Spreads a row of bytes over a panel: group g of `kr` bytes goes to `[g][slot]` of `[k/kr][slots][kr]`.
#[inline(always)]
pub(crate) fn scatter(row: &[u8], panel: &mut [u8], slots: usize, slot: usize, kr: usize) {
    /// The same with the group's size known, so that a group is one load and one store.
    #[inline(always)]
    fn groups<const KR: usize>(row: &[u8], panel: &mut [u8], slots: usize, slot: usize) {
        let (row, _) = row.as_chunks::<KR>();
        for (group, from) in panel.chunks_exact_mut(slots * KR).zip(row) {
            group.as_chunks_mut::<KR>().0[slot] = *from;
        }
    }
    match kr {
        4 => groups::<4>(row, panel, slots, slot),
        8 => groups::<8>(row, panel, slots, slot),
        16 => groups::<16>(row, panel, slots, slot),
        _ => unreachable!("no layout has kr = {kr}"),
    }
}
