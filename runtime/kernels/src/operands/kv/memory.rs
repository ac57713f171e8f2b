//! Where a kv tile lives: in memory of its own or in a slab that it shares with other tiles.
//!
//! A token reads all keys and values once, and is as fast as they come. In a slab those of a group of heads follow each other, tile after
//! tile, so that they are one stream, and it may lie in huge pages.

use alloc::boxed::Box;
use alloc::vec;
use core::fmt;
use core::ptr::NonNull;
use core::slice;

use bytemuck::Pod;

use crate::memory::slab::{Keeper, Slab, Span};

/// What every group is aligned to: a cache line.
const LINE: usize = 64;

#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([u8; LINE]);

/// A tile's groups of heads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Groups {
    pub(super) count: usize,
    /// Bytes of each: a multiple of a cache line.
    pub(super) len: usize,
}

impl Groups {
    /// Bytes of all.
    pub(crate) fn bytes(self) -> usize {
        self.count * self.len
    }
}

/// The bytes of a tile, group by group.
#[derive(Debug)]
pub(super) struct KvMemory {
    start: NonNull<u8>,
    /// From group to group.
    stride: usize,
    owner: Owner,
}

#[derive(Debug)]
enum Owner {
    /// As a `Box` gave them up.
    Own(NonNull<[Line]>),
    Slab(#[allow(dead_code, reason = "kept alive")] Keeper),
}

// SAFETY: it is the only way to its bytes, as whoever made it has vouched: it owns them like a `Box`.
unsafe impl Send for KvMemory {}
// SAFETY: likewise; a shared one only reads.
unsafe impl Sync for KvMemory {}
// Whatever a run that panics leaves behind is a number.
impl core::panic::UnwindSafe for KvMemory {}
impl core::panic::RefUnwindSafe for KvMemory {}

impl KvMemory {
    /// Memory of their own.
    pub(super) fn own(groups: Groups) -> Self {
        let lines = vec![Line([0; LINE]); groups.bytes().div_ceil(LINE)].into_boxed_slice();
        // SAFETY: a box is not null.
        let lines = unsafe { NonNull::new_unchecked(Box::into_raw(lines)) };
        Self {
            start: lines.cast(),
            stride: groups.len,
            owner: Owner::Own(lines),
        }
    }

    /// `len` numbers from byte `at` of a group on.
    ///
    /// # Safety
    /// The tile must have the group, and that so many bytes, and `at` be aligned for such numbers.
    #[inline(always)]
    pub(super) unsafe fn part<T: Pod>(&self, group: usize, at: usize, len: usize) -> &[T] {
        // SAFETY: the memory is this tile's, as whoever made it has vouched, and the part is within it, for which the caller does.
        unsafe {
            slice::from_raw_parts(
                self.start.add(group * self.stride + at).cast().as_ptr(),
                len,
            )
        }
    }

    /// [`KvMemory::part`], writable.
    ///
    /// # Safety
    /// As [`KvMemory::part`].
    #[inline(always)]
    pub(super) unsafe fn part_mut<T: Pod>(
        &mut self,
        group: usize,
        at: usize,
        len: usize,
    ) -> &mut [T] {
        // SAFETY: likewise, and this is the only way to it.
        unsafe {
            slice::from_raw_parts_mut(
                self.start.add(group * self.stride + at).cast().as_ptr(),
                len,
            )
        }
    }
}

impl Drop for KvMemory {
    fn drop(&mut self) {
        if let Owner::Own(lines) = self.owner {
            // SAFETY: a box gave them up, and nobody else has them.
            drop(unsafe { Box::from_raw(lines.as_ptr()) });
        }
    }
}

/// A layer's piece of a slab, for consecutive tiles of one sequence.
pub struct KvTiles {
    /// Given away tile by tile.
    span: Span,
    keeper: Keeper,
    groups: Groups,
    tiles: usize,
    /// The first tile that has not been given away.
    next: usize,
}

impl fmt::Debug for KvTiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KvTiles({} of {})", self.next, self.tiles)
    }
}

impl KvTiles {
    /// Room for `tiles` consecutive tiles of such groups, if there is any left.
    pub(crate) fn within(slab: &mut Slab, groups: Groups, tiles: usize) -> Option<Self> {
        let len = groups.bytes().checked_mul(tiles).filter(|len| *len > 0)?;
        let (span, keeper) = slab.take(len)?.into_parts();
        Some(Self {
            span,
            keeper,
            groups,
            tiles,
            next: 0,
        })
    }

    /// Memory of tile `index` of these, unless that, or one behind it, has been given away.
    ///
    /// # Panics
    /// If tiles have other groups.
    pub(super) fn take(&mut self, groups: Groups, index: usize) -> Option<KvMemory> {
        assert!(groups == self.groups, "room for other tiles");
        if index < self.next || index >= self.tiles {
            return None;
        }
        self.next = index + 1;
        Some(KvMemory {
            // SAFETY: tile `index` of `tiles` of the first group is within the span.
            start: unsafe { self.span.start.add(index * groups.len) },
            stride: self.tiles * groups.len,
            owner: Owner::Slab(self.keeper.clone()),
        })
    }
}
