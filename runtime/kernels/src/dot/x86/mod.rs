//! Tiles for x86-64.

pub(crate) mod attend;
pub(super) mod avx2;
pub(super) mod avx512vnni;
pub(crate) mod few;
pub(crate) mod linear;
pub(crate) mod update;
