//! Kernels for ImageGPT and Mix Transformers: int8 linear layers, attention, norms, activations, and what convolutions need.
//!
//! One set of formulas (`arithmetic`, `layers`), compiled for every instruction set (`tables`); hand-written for each (`sets`) are the
//! integer dot-product tile and, where that pays, the fixed-point softmax between the two products of attention, steps of a row, and
//! whole layers. The same inputs give the same bits on all of them: see `docs/numerics.md`.
//!
//! This crate knows nothing of models, files or threads. [`Kernels`] is the whole interface: choose one with
//! [`Kernels::best`] or [`Kernels::for_isa`], pack weights once with [`Kernels::pack`], then call its methods on blocks of rows
//! from as many threads as you like.
//!
//! Who may import whom, checked by `tests/tests/imports`:
//!
//! ```text
//! kernels -> tables -> {sets, layers, benchmarks} -> {jobs, set} -> operands -> arithmetic -> layout -> isa
//! ```
//!
//! and all of them `memory`. `sets` and `layers` never meet: `tables` alone brings them together.
#![cfg_attr(not(feature = "std"), no_std)]

extern crate alloc;

mod arithmetic;
mod benchmarks;
mod isa;
mod jobs;
mod kernels;
mod layers;
mod layout;
mod memory;
mod operands;
mod set;
mod sets;
mod tables;
#[cfg(test)]
mod tests;

pub use arithmetic::activation::Activation;
pub use arithmetic::rows::TINY;
pub use benchmarks::read_benchmark;
pub use isa::{Isa, IsaError};
pub use jobs::{
    Attention, AttentionF32, AttentionRow, AttentionScratch, Depthwise, Linear, LinearF32,
    LinearScratch, Map, NonFinite, Prepare, RowRing, RowsF32, Visible, Windows,
};
pub use kernels::{Kernels, peak_benchmark, tile_benchmark};
pub use layout::{Heads, KV_TILE, Layout};
pub use memory::aligned::{Aligned, AlignedBytes};
pub use memory::slab::Slab;
pub use operands::axis::ResampleAxis;
pub use operands::int4::{
    INT4_GROUP, INT4_LIMIT, INT4_MULTIPLIER, Int4Error, Int4Matrix, pack_nibbles,
};
pub use operands::kv::{KvInt8, KvTiles};
pub use operands::panels::{Panels, PanelsError, PanelsName};
pub use operands::rows::PackedRows;
pub use operands::weights::{PackedF32, PackedInt8};
