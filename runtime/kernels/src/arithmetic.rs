//! Every f32 formula of the numerics contract, and the fixed-point softmax, written once.
//!
//! These functions are `#[inline(always)]` and free of intrinsics: `tables.rs` compiles each of them once per instruction set inside a
//! `#[target_feature]` function, where LLVM turns the fixed 16-lane loops into the widest vectors there are. Rust never
//! reassociates or contracts floating point, so all the copies give the same bits.

pub(crate) mod activation;
pub(crate) mod epilogue;
pub(crate) mod interleave;
pub(crate) mod lanes;
pub(crate) mod layer_norm;
pub(crate) mod math;
pub(crate) mod online;
pub(crate) mod rows;
pub(crate) mod softmax;
pub(crate) mod softmax_portable;
