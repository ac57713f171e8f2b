//! Storing tokens in a kv tile: scales, keys into the panels of K, values into those of V.

use super::{KvInt8, Parts};
use crate::arithmetic::interleave::scatter;
use crate::arithmetic::softmax::{NEVER, split_scale};
use crate::layout::{GROUP, Heads, KV_TILE, Layout};
use crate::operands::packing::{Packing, StoreValues};

impl KvInt8 {
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

    /// Stores quantised keys as tokens `first..` of the tile; each is int8, padded to a multiple of kr with zeros. The layout of the
    /// instruction set and `heads` are the tile's own: handed in, the compiler may know them.
    ///
    /// # Safety
    /// This machine must have the instruction set.
    #[inline(always)]
    pub(crate) unsafe fn store_k<P: Packing>(
        &mut self,
        heads: Heads,
        head: usize,
        first: usize,
        keys: &[u8],
    ) {
        let Layout { nr, kr, offset, .. } = P::LAYOUT;
        let len = Self::k_len(P::LAYOUT, heads);
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
                // SAFETY: the caller's.
                unsafe { P::interleave(keys, panel, nr, token % nr) };
                row += GROUP;
            } else {
                scatter(&keys[row * width..][..width], panel, nr, token % nr, kr);
                row += 1;
            }
        }
        if offset != 0 {
            let corrections =
                self.part_mut::<i32>(head, Parts::of(P::LAYOUT, heads).k_correction, KV_TILE);
            for (correction, key) in corrections[first..]
                .iter_mut()
                .zip(keys.chunks_exact(width))
            {
                let mut sum = 0i32;
                for byte in key {
                    sum += i32::from(*byte as i8);
                }
                *correction = -sum * i32::from(offset);
            }
        }
    }

    /// Stores quantised values, `[rows, dim]`, as tokens `first..` of the tile.
    ///
    /// # Safety
    /// This machine must have the instruction set.
    #[inline(always)]
    pub(crate) unsafe fn store_v<P: Packing>(
        &mut self,
        heads: Heads,
        head: usize,
        first: usize,
        values: &[u8],
    ) {
        let (layout, dim) = (P::LAYOUT, heads.dim);
        let Parts {
            v,
            v_correction,
            end,
            ..
        } = Parts::of(layout, heads);
        let (tile, sums) = self
            .part_mut::<u8>(head, v, end - v)
            .split_at_mut(v_correction - v);
        let mut values = StoreValues {
            dim,
            first,
            values,
            tile,
            sums: bytemuck::cast_slice_mut(sums),
        };
        // SAFETY: the caller's.
        if unsafe { P::store_values(&mut values) } {
            return;
        }
        match layout.kr {
            4 => store_groups::<4>(layout, values),
            8 => store_groups::<8>(layout, values),
            16 => store_groups::<16>(layout, values),
            kr => unreachable!("no layout has kr = {kr}"),
        }
    }
}

/// Values in groups of `KR` rows.
#[inline(always)]
fn store_groups<const KR: usize>(layout: Layout, job: StoreValues<'_>) {
    let StoreValues {
        dim,
        first,
        values,
        tile,
        sums,
    } = job;
    let nr = layout.nr;
    let summed = layout.offset == 0;
    let rows = values.len() / dim;
    let panels = tile.chunks_exact_mut(KV_TILE * nr);
    let mut nowhere = [0; KV_TILE];
    for (panel, tile) in panels.enumerate() {
        let sums = match summed {
            true => &mut sums[panel * nr..][..nr],
            false => &mut nowhere[..nr],
        };
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
                            *sum +=
                                128 * (i32::from(*byte as i8) - i32::from(slot[lane + r] as i8));
                        }
                        slot[lane + r] = *byte;
                    }
                }
            }
            row += here;
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
