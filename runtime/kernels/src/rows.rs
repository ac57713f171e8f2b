//! Steps of a row that are written out for an instruction set, where the compiler makes too many instructions
//! of `portable`'s.
//!
//! Each does the operations of its formula in `portable::rows` or `portable::activation`, in that order and
//! with those roundings: the same bits in fewer instructions. Rows are the part of a block that no dot
//! product makes cheaper.

#[cfg(target_arch = "aarch64")]
#[macro_use]
mod steps;
#[cfg(target_arch = "aarch64")]
pub(crate) mod gelu;
#[cfg(target_arch = "aarch64")]
pub(crate) mod neon;
#[cfg(target_arch = "aarch64")]
pub(crate) mod norm;

#[cfg(all(test, target_arch = "aarch64"))]
mod tests;
