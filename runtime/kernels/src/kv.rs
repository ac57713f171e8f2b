//! Keys and values of one layer as int8, in the order the attention tiles read them.

mod memory;
#[cfg(target_arch = "aarch64")]
pub(crate) mod neon;

use alloc::vec;
use alloc::vec::Vec;

use bytemuck::Pod;

use crate::dot::{Dot, Layout};
use crate::interleave::GROUP;
use crate::kernels::Heads;
use crate::pack::scatter;
use crate::softmax::{Keys, NEAR, NEVER, split_scale};

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

    /// Bytes of memory a tile takes.
    pub fn size_in_bytes(&self) -> usize {
        self.heads.count * Self::block_len(self.layout, self.heads)
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

    /// Stores the scales of the key and the value of token `j` of the tile.
    #[inline(always)]
    pub(crate) fn set_scales(&mut self, head: usize, j: usize, k: f32, v: f32) {
        let parts = Parts::of(self.layout, self.heads);
        let (mantissa, shift) = split_scale(v);
        self.part_mut::<f32>(head, parts.k_scale, KV_TILE)[j] = k;
        self.part_mut::<i16>(head, parts.v_mantissa, KV_TILE)[j] = mantissa;
        self.part_mut::<i16>(head, parts.v_shift, KV_TILE)[j] = shift;
        if shift != NEVER {
            let [least, most] = &mut self.spread[head];
            (*least, *most) = (shift.min(*least), shift.max(*most));
        }
    }

    /// Stores quantised keys as tokens `first..` of the tile; each is int8, padded to a multiple of kr with zeros. The layout of `dot` and
    /// `heads` are the tile's own: handed in, the compiler may know them.
    #[inline(always)]
    pub(crate) fn store_k(
        &mut self,
        dot: &Dot,
        heads: Heads,
        head: usize,
        first: usize,
        keys: &[u8],
    ) {
        let Layout { nr, kr, offset, .. } = dot.layout;
        let len = Self::k_len(dot.layout, heads);
        let panel_len = len / (KV_TILE / nr);
        let width = len / KV_TILE;
        let tile: &mut [u8] = self.part_mut(head, 0, len);
        let rows = keys.len() / width;
        let mut row = 0;
        while row < rows {
            let token = first + row;
            let panel = &mut tile[token / nr * panel_len..][..panel_len];
            let four = keys[row * width..].get(..GROUP * width);
            if let (Some(keys), 0) = (four, token % GROUP) {
                // SAFETY: the caller runs code of this instruction set.
                unsafe { (dot.interleave)(keys, panel, nr, token % nr, kr) };
                row += GROUP;
            } else {
                scatter(&keys[row * width..][..width], panel, nr, token % nr, kr);
                row += 1;
            }
        }
        if offset != 0 {
            let comps = self.part_mut::<i32>(head, Parts::of(dot.layout, heads).k_comp, KV_TILE);
            for (comp, key) in comps[first..].iter_mut().zip(keys.chunks_exact(width)) {
                let mut sum = 0i32;
                for byte in key {
                    sum += i32::from(*byte as i8);
                }
                *comp = -sum * i32::from(offset);
            }
        }
    }

    /// Stores quantised values, `[rows, dim]`, as tokens `first..` of the tile.
    #[inline(always)]
    pub(crate) fn store_v(
        &mut self,
        layout: Layout,
        heads: Heads,
        head: usize,
        first: usize,
        values: &[u8],
    ) {
        match layout.kr {
            4 => self.store_v_groups::<4>(layout, heads, head, first, values),
            8 => self.store_v_groups::<8>(layout, heads, head, first, values),
            16 => self.store_v_groups::<16>(layout, heads, head, first, values),
            kr => unreachable!("no layout has kr = {kr}"),
        }
    }

    #[inline(always)]
    fn store_v_groups<const KR: usize>(
        &mut self,
        layout: Layout,
        heads: Heads,
        head: usize,
        first: usize,
        values: &[u8],
    ) {
        let (nr, dim) = (layout.nr, heads.dim);
        let summed = layout.offset == 0;
        let rows = values.len() / dim;
        let Parts { v, v_comp, end, .. } = Parts::of(layout, heads);
        let (tile, sums) = self
            .part_mut::<u8>(head, v, end - v)
            .split_at_mut(v_comp - v);
        let sums: &mut [i32] = bytemuck::cast_slice_mut(sums);
        let sums = &mut sums[..dim.next_multiple_of(nr)];
        #[cfg(target_arch = "aarch64")]
        if summed
            && cfg!(target_feature = "neon")
            && first.is_multiple_of(KR)
            && rows.is_multiple_of(KR)
            && dim.is_multiple_of(neon::COLUMNS)
            && neon::COLUMNS.is_multiple_of(nr)
        {
            // SAFETY: the architecture's baseline, as was checked just above.
            unsafe { neon::store_v::<KR>(nr, dim, first, values, tile, sums) };
            return;
        }
        let panels = tile.chunks_exact_mut(KV_TILE * nr);
        for (panel, (tile, sums)) in panels.zip(sums.chunks_exact_mut(nr)).enumerate() {
            let columns = panel * nr..dim.min((panel + 1) * nr);
            let (groups, _) = tile.as_chunks_mut::<KR>();
            let mut row = 0;
            while row < rows {
                let lane = (first + row) % KR;
                let here = (KR - lane).min(rows - row);
                let group = &mut groups[(first + row) / KR * nr..][..columns.len()];
                let values = |r: usize| &values[(row + r) * dim..][columns.clone()];
                // Rows that complete a group are interleaved; others take their place one byte at a time.
                if here == KR {
                    let values: [&[u8]; KR] = core::array::from_fn(values);
                    for (c, (slot, sum)) in group.iter_mut().zip(&mut *sums).enumerate() {
                        let new = core::array::from_fn(|r| values[r][c]);
                        if summed {
                            *sum += 128 * (total(new) - total(*slot));
                        }
                        *slot = new;
                    }
                } else {
                    for r in 0..here {
                        for ((slot, sum), byte) in group.iter_mut().zip(&mut *sums).zip(values(r)) {
                            if summed {
                                *sum += 128
                                    * (i32::from(*byte as i8) - i32::from(slot[lane + r] as i8));
                            }
                            slot[lane + r] = *byte;
                        }
                    }
                }
                row += here;
            }
        }
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

#[inline(always)]
fn total<const N: usize>(bytes: [u8; N]) -> i32 {
    let mut sum = 0;
    for byte in bytes {
        sum += i32::from(byte as i8);
    }
    sum
}
