//! The operators of the domain `ai.igpt` and the final norm, as tract meets them.
//!
//! `op` is all that knows tract's traits; `layers` and below know kernels and slices only.

pub(crate) mod block_f32;
pub(crate) mod block_int8;
mod constants;
mod embedding;
pub(crate) mod engine;
pub(crate) mod kv_room;
mod lanes;
pub(crate) mod layers;
pub(crate) mod op;
pub(crate) mod state;
