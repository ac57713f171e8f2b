//! Keys and values of one layer as int8, in the order the attention tiles read them.

#[cfg(target_arch = "aarch64")]
pub(crate) mod neon;

use alloc::vec;
use alloc::vec::Vec;

use crate::aligned::AlignedBytes;
use crate::dot::{Dot, Layout};
use crate::interleave::GROUP;
use crate::kernels::Heads;
use crate::pack::scatter;
use crate::softmax::{Keys, NEAR, NEVER, split_scale};

/// Keys of one step of the online softmax, on an absolute grid. Part of the numerics contract.
pub const KV_TILE: usize = 64;

/// [`KV_TILE`] consecutive tokens of every head of one layer.
///
/// For a head, K is a weight matrix `[head_dim, 64]` and V one of `[64, head_dim]`, both packed as a tile wants them; each token has
/// one scale for its key and one for its value.
#[derive(Clone, Debug)]
pub struct KvInt8 {
    layout: Layout,
    heads: Heads,
    k: AlignedBytes,
    k_comp: Vec<i32>,
    k_scale: Vec<f32>,
    v: AlignedBytes,
    /// 128 times the sum of the 64 values of each channel, whatever slots hold by now. Kept where the tile multiplies signed bytes.
    v_comp: Vec<i32>,
    /// The scale of each value, in the two parts that the softmax wants.
    v_mantissa: Vec<i16>,
    v_shift: Vec<i16>,
    /// Of each head, the smallest and the largest shift of a value that is not zero, of all that the tile has ever held.
    spread: Vec<[i16; 2]>,
}

impl KvInt8 {
    pub(crate) fn new(layout: Layout, heads: Heads) -> Self {
        let tokens = heads.count * KV_TILE;
        Self {
            layout,
            heads,
            k: AlignedBytes::zeroed(heads.count * Self::k_len(layout, heads)),
            k_comp: vec![0; tokens],
            k_scale: vec![0.0; tokens],
            v: AlignedBytes::zeroed(heads.count * Self::v_len(layout, heads)),
            v_comp: vec![0; heads.count * heads.dim.next_multiple_of(layout.nr)],
            v_mantissa: vec![0; tokens],
            v_shift: vec![NEVER; tokens],
            spread: vec![[NEVER, 0]; heads.count],
        }
    }

    /// Bytes of memory a tile takes.
    pub fn size_in_bytes(&self) -> usize {
        self.k.len()
            + self.v.len()
            + 4 * (self.v_comp.len() + self.k_comp.len() + self.k_scale.len())
            + 2 * (self.v_mantissa.len() + self.v_shift.len())
    }

    /// True if this is a tile of such heads, laid out like this.
    pub(crate) fn is_for(&self, layout: Layout, heads: Heads) -> bool {
        self.layout == layout && self.heads == heads
    }

    fn k_len(layout: Layout, heads: Heads) -> usize {
        KV_TILE * heads.dim.next_multiple_of(layout.kr)
    }

    fn v_len(layout: Layout, heads: Heads) -> usize {
        KV_TILE * heads.dim.next_multiple_of(layout.nr)
    }

    /// Stores the scales of the key and the value of token `j` of the tile.
    #[inline(always)]
    pub(crate) fn set_scales(&mut self, head: usize, j: usize, k: f32, v: f32) {
        let token = head * KV_TILE + j;
        self.k_scale[token] = k;
        let (mantissa, shift) = split_scale(v);
        (self.v_mantissa[token], self.v_shift[token]) = (mantissa, shift);
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
        let tile = &mut self.k.as_mut_slice()[head * len..][..len];
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
            for (comp, key) in self.k_comp[head * KV_TILE + first..]
                .iter_mut()
                .zip(keys.chunks_exact(width))
            {
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
        let len = Self::v_len(layout, heads);
        #[cfg(target_arch = "aarch64")]
        if summed
            && cfg!(target_feature = "neon")
            && first.is_multiple_of(KR)
            && rows.is_multiple_of(KR)
            && dim.is_multiple_of(neon::COLUMNS)
            && neon::COLUMNS.is_multiple_of(nr)
        {
            let tile = &mut self.v.as_mut_slice()[head * len..][..len];
            let sums = &mut self.v_comp[head * dim..][..dim];
            // SAFETY: the architecture's baseline, as was checked just above.
            unsafe { neon::store_v::<KR>(nr, dim, first, values, tile, sums) };
            return;
        }
        let panels = self.v.as_mut_slice()[head * len..][..len].chunks_exact_mut(KV_TILE * nr);
        let sums = self.v_comp[head * (len / KV_TILE)..].chunks_exact_mut(nr);
        for (panel, (tile, sums)) in panels.zip(sums).enumerate() {
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
        let len = Self::k_len(layout, heads);
        let panel_len = len / (KV_TILE / nr);
        (
            &self.k.as_slice()[head * len + panel * panel_len..][..panel_len],
            &self.k_comp[head * KV_TILE + panel * nr..][..nr],
        )
    }

    /// A panel of a head's values.
    #[inline(always)]
    pub(crate) fn v_panel(&self, layout: Layout, heads: Heads, head: usize, panel: usize) -> &[u8] {
        let len = Self::v_len(layout, heads);
        &self.v.as_slice()[head * len + panel * KV_TILE * layout.nr..][..KV_TILE * layout.nr]
    }

    /// All panels of a head's keys, and of its values.
    #[cfg(target_arch = "aarch64")]
    #[inline(always)]
    pub(crate) fn panels(&self, layout: Layout, heads: Heads, head: usize) -> (&[u8], &[u8]) {
        let (k, v) = (Self::k_len(layout, heads), Self::v_len(layout, heads));
        (
            &self.k.as_slice()[head * k..][..k],
            &self.v.as_slice()[head * v..][..v],
        )
    }

    /// What each channel of the head's values lacks when their weights are taken as signed: 128 times the sum over the tile's tokens. Padded
    /// to a multiple of nr.
    #[inline(always)]
    pub(crate) fn v_comp(&self, layout: Layout, heads: Heads, head: usize) -> &[i32] {
        let width = heads.dim.next_multiple_of(layout.nr);
        &self.v_comp[head * width..][..width]
    }

    /// Scales of the head's keys and values.
    #[inline(always)]
    pub(crate) fn keys(&self, head: usize) -> Keys<'_> {
        let [least, most] = self.spread[head];
        Keys {
            near: most - least <= NEAR,
            k_scale: &self.k_scale.as_chunks().0[head],
            v_mantissa: &self.v_mantissa.as_chunks().0[head],
            v_shift: &self.v_shift.as_chunks().0[head],
        }
    }
}

#[inline(always)]
fn total<const N: usize>(bytes: [u8; N]) -> i32 {
    let mut sum = 0;
    for byte in bytes {
        sum += i32::from(byte as i8);
    }
    sum
}
