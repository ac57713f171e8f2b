//! Quantised rows in the order a tile reads them.

use alloc::vec::Vec;

use super::packing::Packing;
use crate::arithmetic::interleave::scatter;
use crate::layout::{GROUP, Layout};
use crate::memory::aligned::{Aligned, AlignedBytes};

/// Quantised rows `[rows, k]` in panels of `mr`, `[rows/mr][k/kr][mr][kr]`, with one scale a row. A reusable buffer.
#[derive(Clone, Debug, Default)]
pub struct PackedRows {
    /// Whose panels these are.
    pub(crate) layout: Layout,
    pub(crate) rows: usize,
    pub(crate) k: usize,
    pub(crate) panel_len: usize,
    pub(crate) data: AlignedBytes,
    /// The value of one step, a row.
    pub(crate) scales: Vec<f32>,
    /// The zero point of each row, negated: how far its zero lies below the middle of its range, in steps. What is to be added for each
    /// unit of weight.
    pub(crate) zero_points: Vec<i32>,
    /// One row on its way, after norm or activation.
    pub(crate) values: Aligned<f32>,
    /// Rows as bytes until there are four of them; see [`PackedRows::store`].
    bytes: AlignedBytes,
}

/// Slots `slot..slot + 4` of a panel `[k / kr][slots][kr]`, from some group on.
#[allow(dead_code, reason = "read by instruction sets of one architecture")]
pub(crate) struct Slots<'a> {
    pub(crate) panel: &'a mut [u8],
    pub(crate) slots: usize,
    pub(crate) slot: usize,
}

impl PackedRows {
    /// Sets the shape; memory is kept. Rows and bytes that pad a panel are zero or stale: a tile may read, never use them.
    pub(crate) fn reshape(&mut self, layout: Layout, rows: usize, k: usize) {
        let Layout { mr, kr, .. } = layout;
        (self.layout, self.rows, self.k) = (layout, rows, k);
        self.panel_len = k.div_ceil(kr) * mr * kr;
        self.data.resize(rows.div_ceil(mr) * self.panel_len);
        self.scales.resize(rows, 0.0);
        self.zero_points.resize(rows, 0);
        self.values.resize(k);
        // The bytes past k pad the last group; weights are zero there, so any value will do, and this one means 0.
        let width = k.next_multiple_of(kr);
        self.bytes.resize(GROUP * width);
        for row in self.bytes.chunks_exact_mut(width.max(1)) {
            row[k..].fill(layout.offset);
        }
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Columns, unpadded.
    pub fn k(&self) -> usize {
        self.k
    }

    /// Scale of each row.
    pub fn scales(&self) -> &[f32] {
        &self.scales[..self.rows]
    }

    #[inline(always)]
    pub(crate) fn panel(&self, panel: usize) -> &[u8] {
        &self.data.as_slice()[panel * self.panel_len..][..self.panel_len]
    }

    /// Where the bytes of `row` go, and the values it may have come from.
    #[inline(always)]
    pub(crate) fn row(&mut self, row: usize) -> (&mut [u8], &mut [f32]) {
        let width = self.bytes.len() / GROUP;
        let bytes = &mut self.bytes[row % GROUP * width..][..width];
        (bytes, &mut self.values)
    }

    /// Where the bytes of rows `row..row + 4` go in the end, where `row` is a multiple of four and they are there.
    #[inline(always)]
    pub(crate) fn slots(&mut self, row: usize) -> Slots<'_> {
        let mr = self.layout.mr;
        Slots {
            panel: &mut self.data.as_mut_slice()[row / mr * self.panel_len..][..self.panel_len],
            slots: mr,
            slot: row % mr,
        }
    }

    /// Says that the bytes of `row` are there; the rows are finished in order. Every fourth brings the others along.
    ///
    /// # Safety
    /// This machine must have the instruction set.
    #[inline(always)]
    pub(crate) unsafe fn store<P: Packing>(&mut self, row: usize) {
        let Layout { mr, kr, .. } = P::LAYOUT;
        let panel = &mut self.data.as_mut_slice()[row / mr * self.panel_len..][..self.panel_len];
        if row % GROUP == GROUP - 1 {
            // SAFETY: the caller's.
            unsafe { P::interleave(&self.bytes, panel, mr, row % mr + 1 - GROUP) };
        } else if row + 1 == self.rows {
            let width = self.bytes.len() / GROUP;
            let first = row / GROUP * GROUP;
            for (i, bytes) in self
                .bytes
                .chunks_exact(width.max(1))
                .enumerate()
                .take(row + 1 - first)
            {
                scatter(bytes, panel, mr, first % mr + i, kr);
            }
        }
    }

    #[cfg(test)]
    pub(crate) fn from_int8<P: Packing>(a: &[i8], rows: usize, k: usize) -> Self {
        let mut packed = Self::default();
        packed.reshape(P::LAYOUT, rows, k);
        for row in 0..rows {
            for (byte, a) in packed.row(row).0.iter_mut().zip(&a[row * k..][..k]) {
                *byte = *a as u8 ^ P::LAYOUT.offset;
            }
            // SAFETY: a test asks only for what this machine has.
            unsafe { packed.store::<P>(row) };
        }
        packed
    }
}
