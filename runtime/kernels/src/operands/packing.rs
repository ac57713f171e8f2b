//! How an instruction set brings operands into the order in which its tile reads them.

use super::nibbles::{self, NibblePanel};
use super::split_weights::{self, Chain, LaneSums};
use crate::arithmetic::interleave;
use crate::isa::Isa;
use crate::layout::Layout;

/// The half of an instruction set that moves bytes. Everything but its name has a default: the portable way.
///
/// # Safety
/// Calling any of the functions needs a machine that has the instruction set.
pub(crate) trait Packing: Copy + 'static {
    /// Its name.
    const ISA: Isa;

    /// What its tile wants.
    const LAYOUT: Layout = Layout::of(Self::ISA);

    /// log2 of the heads that one query reads together where they are of whole panels: keys and values of so many lie side by side.
    const HEADS_TOGETHER: u32 = 0;

    /// Copies four rows of bytes to slots `slot..slot + 4` of a panel `[len / kr][slots][kr]`: `rows` are `rows.len() / 4` bytes each, a
    /// multiple of kr.
    ///
    /// # Safety
    /// This machine must have the instruction set.
    #[inline(always)]
    unsafe fn interleave(rows: &[u8], panel: &mut [u8], slots: usize, slot: usize) {
        interleave::portable(rows, panel, slots, slot, Self::LAYOUT.kr);
    }

    /// A panel of int4 as a panel of the int8 matrix, into `out`, which is twice as long as its values.
    ///
    /// # Safety
    /// This machine must have the instruction set.
    #[inline(always)]
    unsafe fn unpack(w: NibblePanel<'_>, out: &mut [u8]) {
        nibbles::unpack(Self::LAYOUT, w, out);
    }

    /// Stores values in a head's panels of a kv tile, if it can these, and answers whether it did.
    ///
    /// # Safety
    /// This machine must have the instruction set.
    #[inline(always)]
    unsafe fn store_values(values: &mut StoreValues<'_>) -> bool {
        let _ = values;
        false
    }

    /// What magnitudes in each lane of each column of a chain add up to, and the most. Asked only where weights may be split.
    ///
    /// # Safety
    /// This machine must have the instruction set.
    #[inline(always)]
    unsafe fn lane_sums(chain: &Chain) -> (LaneSums, u16) {
        split_weights::lane_sums(chain)
    }
}

/// Quantised values `[rows, dim]` on their way into a kv tile, as its tokens `first..`.
pub(crate) struct StoreValues<'a> {
    pub(crate) dim: usize,
    pub(crate) first: usize,
    pub(crate) values: &'a [u8],
    /// The panels of a head's values.
    pub(crate) tile: &'a mut [u8],
    /// 128 times the sum of each column of them; nothing where the tile multiplies unsigned bytes.
    pub(crate) sums: &'a mut [i32],
}
