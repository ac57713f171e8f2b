//! Plain Rust, on every machine: the reference that the others are compared with.

mod nibbles;
mod tile;

use crate::isa::Isa;
use crate::operands::packing::Packing;
use crate::set::{InstructionSet, NibbleRow, Tile};

/// Plain Rust.
#[derive(Clone, Copy)]
pub(crate) struct Scalar;

impl Packing for Scalar {
    const ISA: Isa = Isa::Scalar;
}

impl InstructionSet for Scalar {
    #[inline(always)]
    unsafe fn tile(tile: &Tile<'_>, acc: &mut [i32], ldc: usize) {
        tile::tile(tile, acc, ldc);
    }

    #[inline(always)]
    unsafe fn one_row(row: &NibbleRow<'_>, acc: &mut [i32]) {
        nibbles::one_row(row, acc);
    }
}
