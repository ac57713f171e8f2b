//! ARMv8.2's dot product, with ARMv8.1's rounding multiply-add: Cortex-A55, A76, A78AE.

mod attention;
mod linear;
mod peak;
mod softmax;
mod tile;

use super::common;
use super::common::arm::{Arm, Job, Update};
use crate::arithmetic::activation::Activation;
use crate::arithmetic::lanes::Range;
use crate::arithmetic::layer_norm::Affine;
use crate::arithmetic::softmax::{RowStats, Scores};
use crate::isa::Isa;
use crate::jobs::{AttentionScratch, Linear, NonFinite};
use crate::layout::{GROUP, MAX_MR};
use crate::operands::packing::{Packing, StoreValues};
use crate::set::{InstructionSet, NibbleRow, QueryPanel, Tile};

/// `sdot`.
#[derive(Clone, Copy)]
pub(crate) struct Dotprod;

impl Packing for Dotprod {
    const ISA: Isa = Isa::Dotprod;

    arm_packing!(4);
}

impl InstructionSet for Dotprod {
    arm_set!();

    #[inline(always)]
    unsafe fn one_row(row: &NibbleRow<'_>, acc: &mut [i32]) {
        // SAFETY: the caller's.
        unsafe { common::nibbles::one_row::<Self>(row, acc) };
    }

    #[inline(always)]
    unsafe fn peak(rounds: u64) -> Option<u64> {
        // SAFETY: the caller's.
        Some(unsafe { peak::sdot(rounds) })
    }
}

impl Arm for Dotprod {
    arm_products!();
}
