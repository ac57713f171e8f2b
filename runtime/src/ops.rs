//! The operators of the domain `ai.igpt` and the norms between them, as tract meets them.
//!
//! `parse`, `op` and `tensors` are all that know tract; what a family computes, in its own folder, knows kernels and
//! slices only. `list` names every family's operators.

pub(crate) mod constants;
pub(crate) mod engine;
pub(crate) mod kind;
pub(crate) mod kv_room;
pub(crate) mod layer;
pub(crate) mod linear_f32;
pub(crate) mod linear_int8;
mod list;
pub(crate) mod maps;
pub(crate) mod op;
pub(crate) mod parse;
pub(crate) mod pooled;
pub(crate) mod shares;
pub(crate) mod state;
pub(crate) mod team;
pub(crate) mod tensors;
