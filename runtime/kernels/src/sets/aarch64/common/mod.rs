//! What the instruction sets of 64-bit ARM share: steps of rows and the order of operands on plain NEON, and, as text for `asm!`, the
//! loops, ends and frames of whole panels. A set puts its own together in its folder ([`Arm`]).

#[macro_use]
mod vectors;
#[macro_use]
mod finish;
#[macro_use]
mod loops;
#[macro_use]
mod products;
#[macro_use]
mod update;
#[macro_use]
mod softmax_steps;
#[macro_use]
mod row_steps;
#[macro_use]
mod methods;
#[macro_use]
pub(super) mod linear;
#[macro_use]
pub(super) mod peak;
#[macro_use]
pub(super) mod softmax;

pub(super) mod arm;
pub(super) mod attend;
pub(super) mod attention;
mod gelu;
pub(super) mod interleave;
pub(super) mod kv;
pub(super) mod layer_norm;
pub(super) mod nibbles;
mod norm;
pub(crate) mod quantize;
pub(super) mod rows;
