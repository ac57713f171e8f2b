//! Plain ARMv8.0: Cortex-A53, A72.

mod attention;
mod linear;
mod nibbles;
mod peak;
mod softmax;
#[macro_use]
mod split_loop;
mod split;
mod split_scratch;
#[cfg(test)]
mod split_tests;
mod tile;

use super::common;
use super::common::arm::{Arm, Job, Update};
use crate::arithmetic::activation::Activation;
use crate::arithmetic::lanes::Range;
use crate::arithmetic::layer_norm::Affine;
use crate::arithmetic::softmax::{RowStats, Scores};
use crate::isa::Isa;
use crate::jobs::{AttentionScratch, Linear, NonFinite, Rearranged};
use crate::layout::{GROUP, MAX_MR};
use crate::operands::packing::{Packing, StoreValues};
use crate::operands::rows::PackedRows;
use crate::operands::split_weights::{Chain, LaneSums, NR, Remainder, SplitWeights};
use crate::operands::weights::PackedInt8;
use crate::set::{InstructionSet, NibbleRow, QueryPanel, Tile};

/// NEON.
#[derive(Clone, Copy)]
pub(crate) struct Neon;

impl Packing for Neon {
    const ISA: Isa = Isa::Neon;

    arm_packing!(16);

    #[inline(always)]
    unsafe fn lane_sums(chain: &Chain) -> (LaneSums, u16) {
        // SAFETY: the caller's.
        unsafe { split::lane_sums(chain) }
    }
}

impl InstructionSet for Neon {
    arm_set!();

    #[inline(always)]
    unsafe fn one_row(row: &NibbleRow<'_>, acc: &mut [i32]) {
        // SAFETY: the caller's.
        unsafe { nibbles::one_row(row, acc) };
    }

    #[inline(always)]
    unsafe fn peak(rounds: u64) -> Option<u64> {
        // SAFETY: the caller's.
        Some(unsafe { peak::smull(rounds) })
    }
}

impl Arm for Neon {
    arm_products!();

    #[inline(always)]
    unsafe fn split<'a>(
        a: &PackedRows,
        w: &'a PackedInt8,
        rearranged: &mut Rearranged,
    ) -> Option<&'a SplitWeights> {
        // SAFETY: the caller's.
        unsafe { split::split(a, w, rearranged) }
    }

    #[inline(always)]
    unsafe fn split_panel(
        k: usize,
        remainders: [&[Remainder]; NR],
        job: &mut Job<'_>,
        rearranged: &mut Rearranged,
    ) {
        // SAFETY: the caller's.
        unsafe { split::panel(k, remainders, job, rearranged) };
    }
}
