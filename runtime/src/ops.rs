//! The operators of the domain `ai.igpt` and the final norm, as tract meets them.
//!
//! `parse` and `op` are all that know tract's traits; `layers` and below know kernels and slices only.

mod block;
pub(crate) mod block_f32;
pub(crate) mod block_int8;
mod constants;
mod embedding;
pub(crate) mod engine;
mod kind;
pub(crate) mod kv_room;
mod lanes;
pub(crate) mod layers;
mod linear_int8;
pub(crate) mod op;
pub(crate) mod parse;
pub(crate) mod state;
