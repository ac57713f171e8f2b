//! Where a kv tile lives: a block of bytes for each head, in memory of the tile's own or in a slab that it shares with other tiles.
//!
//! A token reads all keys and values once, and is as fast as they come. In a slab those of one head follow each other, tile after tile,
//! so that they are one stream, and it may lie in huge pages.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec;
use core::any::Any;
use core::fmt;
use core::ptr::NonNull;
use core::slice;

use bytemuck::Pod;

/// What every block is aligned to: a cache line.
const LINE: usize = 64;

#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([u8; LINE]);

/// A block of each head.
#[derive(Debug)]
pub(super) struct KvMemory {
    start: NonNull<u8>,
    stride: usize,
    owner: Owner,
}

/// Whatever the memory of a slab belongs to.
type Keeper = Arc<dyn Any + Send + Sync>;

#[derive(Debug)]
enum Owner {
    /// As a `Box` gave them up.
    Own(NonNull<[Line]>),
    Slab(#[allow(dead_code, reason = "kept alive")] Keeper),
}

// SAFETY: it is the only way to its blocks, as whoever made it has vouched: it owns them like a `Box`.
unsafe impl Send for KvMemory {}
// SAFETY: likewise; a shared one only reads.
unsafe impl Sync for KvMemory {}
// Whatever a run that panics leaves behind is a number.
impl core::panic::UnwindSafe for KvMemory {}
impl core::panic::RefUnwindSafe for KvMemory {}

impl KvMemory {
    /// Blocks of a tile of their own, `block` bytes each.
    pub(super) fn own(heads: usize, block: usize) -> Self {
        let lines = vec![Line([0; LINE]); heads * block.div_ceil(LINE)].into_boxed_slice();
        // SAFETY: a box is not null.
        let lines = unsafe { NonNull::new_unchecked(Box::into_raw(lines)) };
        Self {
            start: lines.cast(),
            stride: block.next_multiple_of(LINE),
            owner: Owner::Own(lines),
        }
    }

    /// `len` numbers from byte `at` on of a head's block.
    ///
    /// # Safety
    /// The head must have a block, and that so many bytes.
    #[inline(always)]
    pub(super) unsafe fn part<T: Pod>(&self, head: usize, at: usize, len: usize) -> &[T] {
        // SAFETY: the block is this tile's, as whoever made it has vouched, and the part is within it, for which the caller does. A line
        // is aligned for any number, and so are parts, which begin with lines.
        unsafe {
            slice::from_raw_parts(self.start.add(head * self.stride + at).cast().as_ptr(), len)
        }
    }

    /// [`KvMemory::part`], writable.
    ///
    /// # Safety
    /// As [`KvMemory::part`].
    #[inline(always)]
    pub(super) unsafe fn part_mut<T: Pod>(
        &mut self,
        head: usize,
        at: usize,
        len: usize,
    ) -> &mut [T] {
        let start = self.start;
        // SAFETY: likewise, and this is the only way to it.
        unsafe {
            slice::from_raw_parts_mut(start.add(head * self.stride + at).cast().as_ptr(), len)
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

/// A large piece of memory, of which pieces are given away until there are none.
pub struct KvSlab {
    rest: Span,
    keeper: Keeper,
}

/// A layer's piece of a slab, for consecutive tiles of one sequence.
pub struct KvTiles {
    span: Span,
    heads: usize,
    /// Bytes of a block.
    block: usize,
    tiles: usize,
    /// The first tile that has not been given away.
    next: usize,
    keeper: Keeper,
}

/// Bytes that nobody else has.
#[derive(Debug)]
struct Span {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: as a `Box` of bytes.
unsafe impl Send for Span {}
// SAFETY: likewise; nothing is done with them by reference.
unsafe impl Sync for Span {}

impl fmt::Debug for KvTiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KvTiles({} of {})", self.next, self.tiles)
    }
}

impl fmt::Debug for KvSlab {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KvSlab({} bytes)", self.rest.len)
    }
}

impl KvSlab {
    /// A slab in `memory`, which is zeros, and is let go with the last tile in it.
    pub fn new<T: AsMut<[u8]> + Send + Sync + 'static>(memory: T) -> Self {
        let mut keeper = Arc::new(memory);
        let bytes = Arc::get_mut(&mut keeper).map_or(&mut [][..], |memory| memory.as_mut());
        let skip = bytes.as_ptr().align_offset(LINE).min(bytes.len());
        let bytes = &mut bytes[skip..];
        let rest = Span {
            len: bytes.len(),
            start: NonNull::from(bytes).cast(),
        };
        Self { rest, keeper }
    }

    /// Room for `tiles` consecutive tiles of `heads` heads with blocks of `block` bytes, if there is any left.
    pub(crate) fn take(&mut self, heads: usize, block: usize, tiles: usize) -> Option<KvTiles> {
        let len = heads * tiles * block;
        if len > self.rest.len {
            return None;
        }
        let span = Span {
            start: self.rest.start,
            len,
        };
        // SAFETY: within the memory, or just behind it.
        self.rest.start = unsafe { self.rest.start.add(len) };
        self.rest.len -= len;
        Some(KvTiles {
            span,
            heads,
            block,
            tiles,
            next: 0,
            keeper: self.keeper.clone(),
        })
    }
}

impl KvTiles {
    /// Memory of tile `index` of these, unless that, or one behind it, has been given away.
    ///
    /// # Panics
    /// If tiles have other heads or blocks.
    pub(super) fn take(&mut self, heads: usize, block: usize, index: usize) -> Option<KvMemory> {
        assert!(
            heads == self.heads && block == self.block,
            "room for other tiles"
        );
        if index < self.next || index >= self.tiles {
            return None;
        }
        self.next = index + 1;
        Some(KvMemory {
            // SAFETY: block `index` of `tiles` of the first of `heads` heads is within the span.
            start: unsafe { self.span.start.add(index * block) },
            stride: self.tiles * block,
            owner: Owner::Slab(self.keeper.clone()),
        })
    }
}
