//! A growable byte buffer whose start is aligned to a cache line, as the widest vector loads want it.

use alloc::vec::Vec;
use bytemuck::{Pod, Zeroable};

/// Bytes of one line: the width of an AVX-512 register and of every cache line we run on.
const LINE: usize = 64;

#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C, align(64))]
struct Line([u8; LINE]);

/// Zero-initialised bytes, aligned to 64.
#[derive(Clone, Debug, Default)]
pub struct AlignedBytes {
    lines: Vec<Line>,
    len: usize,
}

impl AlignedBytes {
    /// `len` zero bytes.
    pub fn zeroed(len: usize) -> Self {
        let mut bytes = Self::default();
        bytes.resize(len);
        bytes
    }

    /// Changes the length. New bytes are zero, bytes kept keep their value, and capacity is never given back, so that a
    /// buffer used for frame after frame stops allocating after the first.
    pub fn resize(&mut self, len: usize) {
        self.lines.resize(len.div_ceil(LINE), Line([0; LINE]));
        self.len = len;
    }

    /// Number of bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// True when there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        &bytemuck::cast_slice(&self.lines)[..self.len]
    }

    /// The bytes, writable.
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        &mut bytemuck::cast_slice_mut(&mut self.lines)[..self.len]
    }
}
