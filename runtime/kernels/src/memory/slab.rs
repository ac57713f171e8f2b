//! A large piece of memory, of which pieces are given away: what is read for every token may lie together, and in huge pages.

use alloc::sync::Arc;
use core::any::Any;
use core::fmt;
use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;
use core::slice;

/// What pieces are aligned to: a cache line.
const LINE: usize = 64;

/// Whatever the memory of a slab belongs to.
pub(crate) type Keeper = Arc<dyn Any + Send + Sync>;

/// A large piece of memory, of which pieces are given away until there are none.
pub struct Slab {
    rest: Span,
    keeper: Keeper,
}

/// Bytes that nobody else has.
#[derive(Debug)]
pub(crate) struct Span {
    pub(crate) start: NonNull<u8>,
    pub(crate) len: usize,
}

// SAFETY: as a `Box` of bytes.
unsafe impl Send for Span {}
// SAFETY: likewise; what is shared is only read.
unsafe impl Sync for Span {}

/// A piece of a slab, which stays until the last of them is gone.
pub(crate) struct Piece {
    span: Span,
    keeper: Keeper,
}

// Whatever a run that panics leaves behind is a number.
impl core::panic::UnwindSafe for Slab {}
impl core::panic::RefUnwindSafe for Slab {}
impl core::panic::UnwindSafe for Piece {}
impl core::panic::RefUnwindSafe for Piece {}

impl fmt::Debug for Slab {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Slab({} bytes)", self.rest.len)
    }
}

impl fmt::Debug for Piece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Piece({} bytes)", self.span.len)
    }
}

impl Slab {
    /// A slab in `memory`, which is zeros, and is let go with the last piece of it.
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

    /// `len` zeros, up to a whole cache line, if so many are left.
    pub(crate) fn take(&mut self, len: usize) -> Option<Piece> {
        let len = len.checked_next_multiple_of(LINE)?;
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
        Some(Piece {
            span,
            keeper: self.keeper.clone(),
        })
    }
}

impl Piece {
    /// The bytes, to be given away in parts, and what keeps them there.
    pub(crate) fn into_parts(self) -> (Span, Keeper) {
        (self.span, self.keeper)
    }
}

impl Deref for Piece {
    type Target = [u8];

    #[inline(always)]
    fn deref(&self) -> &[u8] {
        // SAFETY: the bytes are this piece's alone, and initialised.
        unsafe { slice::from_raw_parts(self.span.start.as_ptr(), self.span.len) }
    }
}

impl DerefMut for Piece {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: likewise, and this is the only way to them.
        unsafe { slice::from_raw_parts_mut(self.span.start.as_ptr(), self.span.len) }
    }
}
