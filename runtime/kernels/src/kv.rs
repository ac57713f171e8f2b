//! Keys and values of one layer as int8, in the order the attention tiles read them.

mod memory;
#[cfg(target_arch = "aarch64")]
pub(crate) mod neon;
mod store;

use alloc::vec;
use alloc::vec::Vec;

use bytemuck::Pod;

use crate::dot::Layout;
use crate::kernels::Heads;
use crate::softmax::{Keys, NEAR, NEVER};

use memory::KvMemory;
pub use memory::{KvSlab, KvTiles};

/// Keys of one step of the online softmax, on an absolute grid. Part of the numerics contract.
pub const KV_TILE: usize = 64;

/// [`KV_TILE`] consecutive tokens of every head of one layer.
///
/// For a head, K is a weight matrix `[head_dim, 64]` and V one of `[64, head_dim]`, both packed as a tile wants them; each token has
/// one scale for its key and one for its value. All of a head lies together, in the order in which a query reads it:
///
/// ```text
/// K | k_comp | k_scale | v_mantissa | v_shift | V | v_comp
/// ```
#[derive(Debug)]
pub struct KvInt8 {
    layout: Layout,
    heads: Heads,
    memory: KvMemory,
    /// Of each head, the smallest and the largest shift of a value that is not zero, of all that the tile has ever held.
    spread: Vec<[i16; 2]>,
}

/// Where the parts of a head's block begin, in bytes.
struct Parts {
    /// What the sums of each key start from, i32.
    k_comp: usize,
    /// f32.
    k_scale: usize,
    /// The scale of each value, in the two parts that the softmax wants, i16.
    v_mantissa: usize,
    v_shift: usize,
    v: usize,
    /// 128 times the sum of the 64 values of each channel, whatever slots hold by now, i32. Kept where the tile multiplies signed
    /// bytes.
    v_comp: usize,
    end: usize,
}

impl Parts {
    #[inline(always)]
    const fn of(layout: Layout, heads: Heads) -> Self {
        let k_comp = KvInt8::k_len(layout, heads);
        let k_scale = k_comp + KV_TILE * size_of::<i32>();
        let v_mantissa = k_scale + KV_TILE * size_of::<f32>();
        let v_shift = v_mantissa + KV_TILE * size_of::<i16>();
        let v = v_shift + KV_TILE * size_of::<i16>();
        let v_comp = v + KvInt8::v_len(layout, heads);
        let channels = heads.dim.next_multiple_of(layout.nr);
        Self {
            k_comp,
            k_scale,
            v_mantissa,
            v_shift,
            v,
            v_comp,
            end: (v_comp + channels * size_of::<i32>()).next_multiple_of(64),
        }
    }
}

impl KvInt8 {
    pub(crate) fn new(layout: Layout, heads: Heads) -> Self {
        let memory = KvMemory::own(heads.count, Self::block_len(layout, heads));
        Self::over(layout, heads, memory)
    }

    /// Tile `index` of `tiles`, which are for such heads; in memory of its own if that place is not to be had.
    pub(crate) fn within(layout: Layout, heads: Heads, tiles: &mut KvTiles, index: usize) -> Self {
        match tiles.take(heads.count, Self::block_len(layout, heads), index) {
            Some(memory) => Self::over(layout, heads, memory),
            None => Self::new(layout, heads),
        }
    }

    fn over(layout: Layout, heads: Heads, memory: KvMemory) -> Self {
        let mut tile = Self {
            layout,
            heads,
            memory,
            spread: vec![[NEVER, 0]; heads.count],
        };
        for head in 0..heads.count {
            let at = Parts::of(layout, heads).v_shift;
            tile.part_mut(head, at, KV_TILE).fill(NEVER);
        }
        tile
    }

    /// Bytes of a head's block.
    pub(crate) const fn block_len(layout: Layout, heads: Heads) -> usize {
        Parts::of(layout, heads).end
    }

    /// True if this is a tile of such heads, laid out like this.
    pub(crate) fn is_for(&self, layout: Layout, heads: Heads) -> bool {
        self.layout == layout && self.heads == heads
    }

    #[inline(always)]
    const fn k_len(layout: Layout, heads: Heads) -> usize {
        KV_TILE * heads.dim.next_multiple_of(layout.kr)
    }

    #[inline(always)]
    const fn v_len(layout: Layout, heads: Heads) -> usize {
        KV_TILE * heads.dim.next_multiple_of(layout.nr)
    }

    /// `len` numbers of a head, from byte `at` of its block on.
    #[inline(always)]
    fn part<T: Pod>(&self, head: usize, at: usize, len: usize) -> &[T] {
        assert!(head < self.heads.count && at + len * size_of::<T>() <= self.block());
        // SAFETY: as was checked just above.
        unsafe { self.memory.part(head, at, len) }
    }

    /// [`KvInt8::part`], writable.
    #[inline(always)]
    fn part_mut<T: Pod>(&mut self, head: usize, at: usize, len: usize) -> &mut [T] {
        assert!(head < self.heads.count && at + len * size_of::<T>() <= self.block());
        // SAFETY: as was checked just above.
        unsafe { self.memory.part_mut(head, at, len) }
    }

    #[inline(always)]
    fn block(&self) -> usize {
        Self::block_len(self.layout, self.heads)
    }

    /// A panel of a head's keys, and what its sums start from.
    #[inline(always)]
    pub(crate) fn k_panel(
        &self,
        layout: Layout,
        heads: Heads,
        head: usize,
        panel: usize,
    ) -> (&[u8], &[i32]) {
        let nr = layout.nr;
        let panel_len = Self::k_len(layout, heads) / (KV_TILE / nr);
        let comp = Parts::of(layout, heads).k_comp + panel * nr * size_of::<i32>();
        (
            self.part(head, panel * panel_len, panel_len),
            self.part(head, comp, nr),
        )
    }

    /// A panel of a head's values.
    #[inline(always)]
    pub(crate) fn v_panel(&self, layout: Layout, heads: Heads, head: usize, panel: usize) -> &[u8] {
        let len = KV_TILE * layout.nr;
        self.part(head, Parts::of(layout, heads).v + panel * len, len)
    }

    /// All panels of a head's keys, and of its values.
    #[cfg(target_arch = "aarch64")]
    #[inline(always)]
    pub(crate) fn panels(&self, layout: Layout, heads: Heads, head: usize) -> (&[u8], &[u8]) {
        let v = Parts::of(layout, heads).v;
        (
            self.part(head, 0, Self::k_len(layout, heads)),
            self.part(head, v, Self::v_len(layout, heads)),
        )
    }

    /// What each channel of the head's values lacks when their weights are taken as signed: 128 times the sum over the tile's tokens. Padded
    /// to a multiple of nr.
    #[inline(always)]
    pub(crate) fn v_comp(&self, layout: Layout, heads: Heads, head: usize) -> &[i32] {
        let at = Parts::of(layout, heads).v_comp;
        self.part(head, at, heads.dim.next_multiple_of(layout.nr))
    }

    /// Scales of the head's keys and values.
    #[inline(always)]
    pub(crate) fn keys(&self, head: usize) -> Keys<'_> {
        let parts = Parts::of(self.layout, self.heads);
        let [least, most] = self.spread[head];
        Keys {
            near: most - least <= NEAR,
            k_scale: array(self.part(head, parts.k_scale, KV_TILE)),
            v_mantissa: array(self.part(head, parts.v_mantissa, KV_TILE)),
            v_shift: array(self.part(head, parts.v_shift, KV_TILE)),
        }
    }
}

impl Clone for KvInt8 {
    /// A copy has memory of its own.
    fn clone(&self) -> Self {
        let mut copy = Self::new(self.layout, self.heads);
        for head in 0..self.heads.count {
            let block: &[u8] = self.part(head, 0, self.block());
            copy.part_mut(head, 0, block.len()).copy_from_slice(block);
        }
        copy.spread.clone_from(&self.spread);
        copy
    }
}

#[inline(always)]
fn array<T>(slice: &[T]) -> &[T; KV_TILE] {
    slice.first_chunk().expect("as many as a tile has tokens")
}
