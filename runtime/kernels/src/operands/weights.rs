//! Operands in the order a tile reads them.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;

use bytes::Bytes;

use super::int4::Int4Matrix;
use super::nibbles::{Memory, NibblePanel, Nibbles};
use super::packing::Packing;
use super::panels::{Panels, PanelsError};
use super::split_weights::SplitWeights;
use crate::layout::Layout;
use crate::memory::aligned::AlignedBytes;

/// An int8 weight matrix `[k, n]`, packed once: panels of `nr` columns, `[n/nr][k/kr][nr][kr]`, zero padded. One that an int4 matrix
/// stands for stays int4 in memory.
#[derive(Clone, Debug)]
pub struct PackedInt8 {
    layout: Layout,
    k: usize,
    n: usize,
    data: Data,
    /// What the sums of each column start from: what the offset of rows adds to them, taken off.
    correction: Vec<i32>,
    /// Sum of each column, for rows whose zero is not at the middle of their range.
    sums: Vec<i32>,
    /// How the loop of long split may read it, where there is one.
    split: Option<Box<SplitWeights>>,
}

#[derive(Clone, Debug)]
enum Data {
    /// Owned, or a part of a file in memory: nothing here needs it aligned, though loads that cross no line are faster.
    Int8(Bytes),
    Int4(Nibbles),
}

/// A panel of a [`PackedInt8`].
#[derive(Clone, Copy, Debug)]
pub(crate) enum Panel<'a> {
    Int8(&'a [u8]),
    Int4(NibblePanel<'a>),
}

impl PackedInt8 {
    /// A matrix `[k, n]` that lies packed in `data`. `panel_sums` adds up the columns of a panel and shows it to
    /// the split weights.
    pub(crate) fn new(
        layout: Layout,
        data: Bytes,
        k: usize,
        n: usize,
        panel_sums: impl FnMut(Panel<'_>, &mut [i32], Option<&mut SplitWeights>),
    ) -> Result<Self, PanelsError> {
        let Layout { nr, kr, .. } = layout;
        Panels { nr, kr }.check(&data, k, n)?;
        Ok(Self::with_sums(layout, Data::Int8(data), k, n, panel_sums))
    }

    /// The matrix that `w` stands for, in `memory`. `panel_sums` as in [`PackedInt8::new`].
    pub(crate) fn int4(
        layout: Layout,
        w: &Int4Matrix<'_>,
        memory: Memory,
        panel_sums: impl FnMut(Panel<'_>, &mut [i32], Option<&mut SplitWeights>),
    ) -> Self {
        let data = Data::Int4(Nibbles::pack(layout, w, memory));
        Self::with_sums(layout, data, w.k(), w.n(), panel_sums)
    }

    fn with_sums(
        layout: Layout,
        data: Data,
        k: usize,
        n: usize,
        mut panel_sums: impl FnMut(Panel<'_>, &mut [i32], Option<&mut SplitWeights>),
    ) -> Self {
        let Layout { nr, offset, .. } = layout;
        let zeros = || vec![0i32; n.next_multiple_of(nr)];
        let mut packed = Self {
            layout,
            k,
            n,
            data,
            correction: zeros(),
            sums: zeros(),
            split: None,
        };
        let (mut sums, mut split) = (zeros(), SplitWeights::new(layout, k));
        for (panel, sums) in sums.chunks_exact_mut(nr).enumerate() {
            panel_sums(packed.panel(panel), sums, split.as_mut());
        }
        packed.split = split.map(Box::new);
        packed.correction = sums.iter().map(|sum| -sum * i32::from(offset)).collect();
        packed.sums = sums;
        packed
    }

    /// Inner dimension, unpadded.
    pub fn k(&self) -> usize {
        self.k
    }

    /// Columns, unpadded.
    pub fn n(&self) -> usize {
        self.n
    }

    /// Panels of `nr` columns.
    pub fn panels(&self) -> usize {
        self.n.div_ceil(self.layout.nr)
    }

    /// Bytes this matrix keeps in memory.
    pub fn size_in_bytes(&self) -> usize {
        let data = match &self.data {
            Data::Int8(bytes) => bytes.len(),
            Data::Int4(nibbles) => nibbles.size_in_bytes(),
        };
        let split = self.split.as_deref().map_or(0, SplitWeights::size_in_bytes);
        data + (self.correction.len() + self.sums.len()) * size_of::<i32>() + split
    }

    pub(crate) fn layout(&self) -> Layout {
        self.layout
    }

    pub(crate) fn k_groups(&self) -> usize {
        self.k.div_ceil(self.layout.kr)
    }

    #[inline(always)]
    pub(crate) fn panel(&self, panel: usize) -> Panel<'_> {
        let len = self.k_groups() * self.layout.nr * self.layout.kr;
        match &self.data {
            Data::Int8(bytes) => Panel::Int8(&bytes[panel * len..][..len]),
            Data::Int4(nibbles) => Panel::Int4(nibbles.panel(panel)),
        }
    }

    #[allow(dead_code, reason = "read by instruction sets of one architecture")]
    #[inline(always)]
    pub(crate) fn split(&self) -> Option<&SplitWeights> {
        self.split.as_deref().filter(|split| split.any())
    }

    /// The int8 weights of some panels, if there are any and all their columns are columns of the matrix.
    #[allow(dead_code, reason = "read by instruction sets of one architecture")]
    #[inline(always)]
    pub(crate) fn whole_panels(&self, panels: Range<usize>) -> Option<&[u8]> {
        let len = self.k_groups() * self.layout.nr * self.layout.kr;
        let whole = !panels.is_empty() && panels.end * self.layout.nr <= self.n;
        match &self.data {
            Data::Int8(bytes) if whole => Some(&bytes[panels.start * len..panels.end * len]),
            _ => None,
        }
    }

    /// The sums of their columns.
    #[allow(dead_code, reason = "read by instruction sets of one architecture")]
    #[inline(always)]
    pub(crate) fn sums_of(&self, panels: Range<usize>) -> &[i32] {
        &self.sums[panels.start * self.layout.nr..panels.end * self.layout.nr]
    }

    #[inline(always)]
    pub(crate) fn sums(&self, panel: usize) -> &[i32] {
        &self.sums[panel * self.layout.nr..][..self.layout.nr]
    }

    #[inline(always)]
    pub(crate) fn correction(&self, panel: usize) -> &[i32] {
        &self.correction[panel * self.layout.nr..][..self.layout.nr]
    }
}

impl<'a> Panel<'a> {
    /// As the int8 tile reads it: where it lies, or unpacked into `buffer`.
    ///
    /// # Safety
    /// This machine must have the instruction set.
    #[inline(always)]
    pub(crate) unsafe fn int8<P: Packing>(self, buffer: &'a mut AlignedBytes) -> &'a [u8] {
        match self {
            Self::Int8(bytes) => bytes,
            Self::Int4(nibbles) => {
                buffer.resize(2 * nibbles.values.len());
                // SAFETY: the caller's.
                unsafe { P::unpack(nibbles, buffer) };
                buffer
            }
        }
    }
}

/// An f32 weight matrix `[k, n]` in panels of 16 columns, `[n/16][k][16]`, zero padded.
#[derive(Clone, Debug)]
pub struct PackedF32 {
    k: usize,
    n: usize,
    data: Vec<[f32; 16]>,
}

impl PackedF32 {
    /// Packs `w`, row-major `[k, n]`.
    ///
    /// # Panics
    /// If `w` does not hold `k * n` values.
    pub fn new(w: &[f32], k: usize, n: usize) -> Self {
        assert_eq!(w.len(), k * n, "a weight matrix of {k} x {n}");
        let mut data = vec![[0.0; 16]; n.div_ceil(16) * k];
        for (row, w) in w.chunks_exact(n.max(1)).enumerate() {
            for (panel, w) in w.chunks(16).enumerate() {
                data[panel * k + row][..w.len()].copy_from_slice(w);
            }
        }
        Self { k, n, data }
    }

    /// Inner dimension.
    pub fn k(&self) -> usize {
        self.k
    }

    /// Columns, unpadded.
    pub fn n(&self) -> usize {
        self.n
    }

    /// Panels of 16 columns.
    pub fn panels(&self) -> usize {
        self.n.div_ceil(16)
    }

    #[inline(always)]
    pub(crate) fn panel(&self, panel: usize) -> &[[f32; 16]] {
        &self.data[panel * self.k..][..self.k]
    }
}
