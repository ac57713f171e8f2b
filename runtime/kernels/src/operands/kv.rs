//! Keys and values of one layer as int8, in the order the attention tiles read them.

mod memory;
mod store;

use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;

use bytemuck::Pod;

use crate::arithmetic::softmax::{Keys, NEVER};
use crate::layout::{Heads, KV_TILE, Layout};
use crate::memory::aligned::AlignedBytes;

pub use memory::KvTiles;
use memory::{Groups, KvMemory};

/// [`KV_TILE`] consecutive tokens of every head of one layer.
///
/// For a head, K is a weight matrix `[head_dim, 64]` and V one of `[64, head_dim]`, both packed as a tile wants them; each token has
/// one scale for its key and one for its value. They lie in the order in which they are read. A group of heads has first what belongs to
/// its keys, head by head, and then what belongs to its values:
///
/// ```text
/// K | k_correction | k_scale | v_mantissa | v_shift     of each head
/// V | v_correction                                      of each head
/// ```
///
/// A tile of a sequence that is kept has as many heads in a group as one query reads together ([`group_of`]), and in a slab a group goes on
/// with the next tile: one stream. Out of order, in several streams at once, or past bytes that nobody reads, a Zen 4's memory gives two
/// thirds as much a second, or half. Blocks of queries take one head after the other: a tile of a single pass has one in a group.
#[derive(Debug)]
pub struct KvInt8 {
    layout: Layout,
    heads: Heads,
    /// Bytes of a head's keys and what goes with them, and of all its parts.
    bytes: [usize; 2],
    /// log2 of the heads of a group.
    group: u32,
    memory: KvMemory,
    /// Of each head, the smallest and the largest shift of a value that is not zero, of all that the tile has ever held.
    spread: Vec<[i16; 2]>,
    /// Keys and values on their way in, where they come without queries, whose memory serves for that else.
    incoming: AlignedBytes,
}

/// log2 of the heads that a query reads together: `together` of an instruction set ([`HEADS_TOGETHER`](super::packing::Packing)) where
/// heads are of whole panels and that goes into their number; the others are read head by head.
const fn group_of(layout: Layout, heads: Heads, together: u32) -> u32 {
    if !heads.dim.is_multiple_of(layout.nr) {
        return 0;
    }
    let most = heads.count.trailing_zeros();
    if most < together { most } else { together }
}

/// Where the parts of a head begin, in bytes: keys and what goes with them, then values and what goes with those.
struct Parts {
    /// What the sums of each key start from, i32.
    k_correction: usize,
    /// f32.
    k_scale: usize,
    /// The scale of each value, in the two parts that the softmax wants, i16.
    v_mantissa: usize,
    v_shift: usize,
    v: usize,
    /// 128 times the sum of the 64 values of each channel, whatever slots hold by now, i32. Kept where the tile multiplies signed
    /// bytes, and not there elsewhere.
    v_correction: usize,
    end: usize,
}

impl Parts {
    #[inline(always)]
    const fn of(layout: Layout, heads: Heads) -> Self {
        let k_correction = KvInt8::k_len(layout, heads);
        let k_scale = k_correction + KV_TILE * size_of::<i32>();
        let v_mantissa = k_scale + KV_TILE * size_of::<f32>();
        let v_shift = v_mantissa + KV_TILE * size_of::<i16>();
        let v = v_shift + KV_TILE * size_of::<i16>();
        let v_correction = v + KvInt8::v_len(layout, heads);
        let channels = match layout.offset {
            0 => heads.dim.next_multiple_of(layout.nr),
            _ => 0,
        };
        Self {
            k_correction,
            k_scale,
            v_mantissa,
            v_shift,
            v,
            v_correction,
            end: (v_correction + channels * size_of::<i32>()).next_multiple_of(64),
        }
    }
}

impl KvInt8 {
    /// A tile of a single pass, in memory of its own.
    pub(crate) fn new(layout: Layout, heads: Heads) -> Self {
        Self::own(layout, heads, 0)
    }

    /// A tile in memory of its own, of groups of 2^`group` heads.
    fn own(layout: Layout, heads: Heads, group: u32) -> Self {
        let memory = KvMemory::own(Self::groups(layout, heads, group));
        Self::over(layout, heads, group, memory)
    }

    /// Tile `index` of `tiles`, which are for such heads; in memory of its own if that place is not to be had.
    pub(crate) fn within(
        layout: Layout,
        heads: Heads,
        together: u32,
        tiles: &mut KvTiles,
        index: usize,
    ) -> Self {
        let group = group_of(layout, heads, together);
        match tiles.take(Self::groups(layout, heads, group), index) {
            Some(memory) => Self::over(layout, heads, group, memory),
            None => Self::own(layout, heads, group),
        }
    }

    fn over(layout: Layout, heads: Heads, group: u32, memory: KvMemory) -> Self {
        let Parts {
            v, v_shift, end, ..
        } = Parts::of(layout, heads);
        let mut tile = Self {
            layout,
            heads,
            bytes: [v, end],
            group,
            memory,
            spread: vec![[NEVER, 0]; heads.count],
            incoming: AlignedBytes::default(),
        };
        for head in 0..heads.count {
            tile.part_mut(head, v_shift, KV_TILE).fill(NEVER);
        }
        tile
    }

    /// The groups of heads of a tile that is kept.
    pub(crate) const fn groups_kept(layout: Layout, heads: Heads, together: u32) -> Groups {
        Self::groups(layout, heads, group_of(layout, heads, together))
    }

    const fn groups(layout: Layout, heads: Heads, group: u32) -> Groups {
        Groups {
            count: heads.count >> group,
            len: Parts::of(layout, heads).end << group,
        }
    }

    /// True if this is a tile of such heads, laid out like this.
    pub(crate) fn is_for(&self, layout: Layout, heads: Heads) -> bool {
        self.layout == layout && self.heads == heads
    }

    /// Memory for keys and values on their way in, to be given back.
    pub(crate) fn take_incoming(&mut self) -> AlignedBytes {
        core::mem::take(&mut self.incoming)
    }

    /// Keeps the memory of [`KvInt8::take_incoming`] for the next.
    pub(crate) fn give_back_incoming(&mut self, memory: AlignedBytes) {
        self.incoming = memory;
    }

    #[inline(always)]
    const fn k_len(layout: Layout, heads: Heads) -> usize {
        KV_TILE * heads.dim.next_multiple_of(layout.kr)
    }

    #[inline(always)]
    const fn v_len(layout: Layout, heads: Heads) -> usize {
        KV_TILE * heads.dim.next_multiple_of(layout.nr)
    }

    /// The group of a head, and its number there.
    #[inline(always)]
    const fn in_group(&self, head: usize) -> (usize, usize) {
        (head >> self.group, head & ((1 << self.group) - 1))
    }

    /// Heads from this one on that are of its group.
    #[allow(dead_code, reason = "read by instruction sets of one architecture")]
    pub(crate) const fn rest_of_group(&self, head: usize) -> usize {
        (1 << self.group) - self.in_group(head).1
    }

    /// The group, and the place in it, of byte `at` of a head, of which `len` are wanted that belong together.
    #[inline(always)]
    fn place(&self, head: usize, at: usize, len: usize) -> (usize, usize) {
        let [v, end] = self.bytes;
        debug_assert!(at.is_multiple_of(64), "a part begins with a cache line");
        assert!(head < self.heads.count && at + len <= end && (at >= v || at + len <= v));
        let (group, head) = self.in_group(head);
        let at = match at < v {
            true => head * v + at,
            false => (v << self.group) + head * (end - v) + (at - v),
        };
        (group, at)
    }

    /// `len` numbers of a head from byte `at` of its parts on.
    #[inline(always)]
    fn part<T: Pod>(&self, head: usize, at: usize, len: usize) -> &[T] {
        let (group, at) = self.place(head, at, len * size_of::<T>());
        // SAFETY: within the group, as `place` has checked, where every part begins with a cache line.
        unsafe { self.memory.part(group, at, len) }
    }

    /// [`KvInt8::part`], writable.
    #[inline(always)]
    fn part_mut<T: Pod>(&mut self, head: usize, at: usize, len: usize) -> &mut [T] {
        let (group, at) = self.place(head, at, len * size_of::<T>());
        // SAFETY: within the group, as `place` has checked, where every part begins with a cache line.
        unsafe { self.memory.part_mut(group, at, len) }
    }

    /// All panels of a head.
    #[inline(always)]
    pub(crate) fn panels(&self, layout: Layout, heads: Heads, head: usize) -> HeadPanels<'_> {
        let Parts {
            k_correction, v, ..
        } = Parts::of(layout, heads);
        let k_len = Self::k_len(layout, heads);
        HeadPanels {
            k: self.part(head, 0, k_len),
            k_panel: k_len / (KV_TILE / layout.nr),
            correction: self.part(head, k_correction, KV_TILE),
            v: self.part(head, v, Self::v_len(layout, heads)),
            nr: layout.nr,
        }
    }

    /// What belongs to the keys of `heads`, which are of one group, and what belongs to their values.
    #[allow(dead_code, reason = "read by instruction sets of one architecture")]
    #[inline(always)]
    pub(crate) fn of_heads(&self, heads: Range<usize>) -> [&[u8]; 2] {
        let (count, (group, first)) = (heads.len(), self.in_group(heads.start));
        assert!(heads.end <= self.heads.count && first + count <= 1 << self.group);
        let [v, end] = self.bytes;
        let (keys, values) = (first * v, (v << self.group) + first * (end - v));
        // SAFETY: within the group, as was checked just above.
        unsafe {
            [
                self.memory.part(group, keys, count * v),
                self.memory.part(group, values, count * (end - v)),
            ]
        }
    }

    /// What each channel of the head's values lacks when their weights are taken as signed: 128 times the sum over the tile's tokens. Padded
    /// to a multiple of nr. Only where they are.
    #[inline(always)]
    pub(crate) fn v_correction(&self, layout: Layout, heads: Heads, head: usize) -> &[i32] {
        let at = Parts::of(layout, heads).v_correction;
        self.part(head, at, heads.dim.next_multiple_of(layout.nr))
    }

    /// Scales of the head's keys and values.
    #[inline(always)]
    pub(crate) fn keys(&self, layout: Layout, heads: Heads, head: usize) -> Keys<'_> {
        let parts = Parts::of(layout, heads);
        Keys {
            spread: &self.spread[head],
            k_scale: array(self.part(head, parts.k_scale, KV_TILE)),
            v_mantissa: array(self.part(head, parts.v_mantissa, KV_TILE)),
            v_shift: array(self.part(head, parts.v_shift, KV_TILE)),
        }
    }
}

/// A head's keys and values in a tile, as weights.
#[derive(Clone, Copy)]
pub(crate) struct HeadPanels<'a> {
    pub(crate) k: &'a [u8],
    /// Bytes of a panel of keys.
    k_panel: usize,
    /// What the sums of each key start from.
    pub(crate) correction: &'a [i32],
    pub(crate) v: &'a [u8],
    nr: usize,
}

impl<'a> HeadPanels<'a> {
    /// A panel of keys, and what its sums start from.
    #[inline(always)]
    pub(crate) fn keys(&self, panel: usize) -> (&'a [u8], &'a [i32]) {
        (
            &self.k[panel * self.k_panel..][..self.k_panel],
            &self.correction[panel * self.nr..][..self.nr],
        )
    }

    /// A panel of values.
    #[inline(always)]
    pub(crate) fn values(&self, panel: usize) -> &'a [u8] {
        let len = KV_TILE * self.nr;
        &self.v[panel * len..][..len]
    }
}

impl Clone for KvInt8 {
    /// A copy has memory of its own.
    fn clone(&self) -> Self {
        let mut copy = Self::own(self.layout, self.heads, self.group);
        let Groups { count, len } = Self::groups(self.layout, self.heads, self.group);
        for group in 0..count {
            // SAFETY: both tiles have such groups.
            let (from, to) = unsafe {
                (
                    self.memory.part::<u8>(group, 0, len),
                    copy.memory.part_mut(group, 0, len),
                )
            };
            to.copy_from_slice(from);
        }
        copy.spread.clone_from(&self.spread);
        copy
    }
}

#[inline(always)]
fn array<T>(slice: &[T]) -> &[T; KV_TILE] {
    slice.first_chunk().expect("as many as a tile has tokens")
}
