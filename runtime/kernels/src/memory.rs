//! Memory that kernels read and write: aligned, in one large piece, asked for ahead.

pub(crate) mod aligned;
pub(crate) mod prefetch;
pub(crate) mod slab;
