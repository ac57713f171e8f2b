//! Every f32 formula of the numerics contract, written once.
//!
//! These functions are `#[inline(always)]` and free of intrinsics: `kernels.rs` compiles each of them once per instruction set inside a
//! `#[target_feature]` function, where LLVM turns the fixed 16-lane loops into the widest vectors there are. Rust never
//! reassociates or contracts floating point, so all the copies give the same bits.

pub(crate) mod activation;
pub(crate) mod attention;
pub(crate) mod attention_f32;
mod epilogue;
pub(crate) mod lanes;
pub(crate) mod linear;
pub(crate) mod linear_f32;
pub(crate) mod math;
pub(crate) mod online;
pub(crate) mod rows;
pub(crate) mod split;

pub use activation::Activation;
