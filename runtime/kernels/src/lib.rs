//! Kernels for ImageGPT: int8 linear layers, causal attention, RMS norm, activations.
//!
//! One set of formulas (`portable`), compiled for every instruction set; hand-written for each are the integer dot-product tile (`dot`)
//! and the fixed-point softmax between the two products of attention (`softmax`), for 64-bit ARM also steps of a row (`rows`). The same inputs give the same bits on all
//! of them: see `docs/numerics.md`.
//!
//! This crate knows nothing of models, files or threads. [`Kernels`] is the whole interface: choose one with
//! [`Kernels::best`] or [`Kernels::for_isa`], pack weights once with [`Kernels::pack`], then call its methods on blocks of rows
//! from as many threads as you like.
#![cfg_attr(not(feature = "std"), no_std)]

extern crate alloc;

#[cfg(target_arch = "aarch64")]
#[macro_use]
mod vectors;

mod aligned;
#[cfg_attr(
    not(target_arch = "aarch64"),
    allow(dead_code, reason = "read by the loop of one instruction set")
)]
mod chains;
mod dot;
mod int4;
mod interleave;
mod isa;
mod kernels;
mod kv;
mod nibbles;
mod pack;
mod panels;
mod peak;
mod portable;
mod prefetch;
mod rows;
mod slab;
mod softmax;

pub use aligned::{Aligned, AlignedBytes};
pub use dot::{Layout, tile_benchmark};
pub use int4::{INT4_GROUP, INT4_LIMIT, INT4_MULTIPLIER, Int4Error, Int4Matrix, pack_nibbles};
pub use isa::{Isa, IsaError};
pub use kernels::{
    Attention, AttentionF32, AttentionRow, AttentionScratch, Heads, Kernels, Linear, LinearF32,
    LinearScratch, NonFinite, Prepare,
};
pub use kv::{KV_TILE, KvInt8, KvTiles};
pub use pack::{PackedF32, PackedInt8, PackedRows};
pub use panels::{Panels, PanelsError, PanelsName};
pub use peak::{peak_benchmark, read_benchmark};
pub use portable::Activation;
pub use portable::rows::TINY;
pub use slab::Slab;
