//! Sets of 64-bit ARM, and what they share.

#[macro_use]
mod common;
pub(crate) mod dotprod;
pub(crate) mod i8mm;
pub(crate) mod neon;
