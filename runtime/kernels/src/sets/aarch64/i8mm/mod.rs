//! ARMv8.6's int8 matrix multiply: Cortex-A510, A710, Neoverse N2.

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

/// `smmla`.
#[derive(Clone, Copy)]
pub(crate) struct I8mm;

impl Packing for I8mm {
    const ISA: Isa = Isa::I8mm;

    arm_packing!(8);
}

impl InstructionSet for I8mm {
    arm_set!();

    #[inline(always)]
    unsafe fn one_row(row: &NibbleRow<'_>, acc: &mut [i32]) {
        // SAFETY: the caller's.
        unsafe { common::nibbles::one_row::<Self>(row, acc) };
    }

    #[inline(always)]
    unsafe fn peak(rounds: u64) -> Option<u64> {
        // SAFETY: the caller's.
        Some(unsafe { peak::smmla(rounds) })
    }
}

impl Arm for I8mm {
    const UNSIGNED: bool = true;

    arm_products!();
}
