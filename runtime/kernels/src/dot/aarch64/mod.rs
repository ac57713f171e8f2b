//! Tiles for aarch64.

#[macro_use]
mod chain_loop;
#[macro_use]
mod finish;
#[macro_use]
mod loops;
#[macro_use]
mod products;
#[macro_use]
mod update;

pub(crate) mod attend;
pub(crate) mod attention;
pub(crate) mod chains;
pub(super) mod dotprod;
pub(super) mod i8mm;
pub(crate) mod linear;
pub(super) mod neon;
