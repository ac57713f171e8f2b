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
use crate::arithmetic::softmax::{RowStats, Scores};
use crate::isa::Isa;
use crate::jobs::{AttentionScratch, Linear, NonFinite, Rearranged};
use crate::layout::MAX_MR;
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
    unsafe fn tile(tile: &Tile<'_>, acc: &mut [i32], ldc: usize) {
        // SAFETY: the caller's.
        unsafe { tile::tile(tile, acc, ldc) };
    }

    #[inline(always)]
    unsafe fn one_row(row: &NibbleRow<'_>, acc: &mut [i32]) {
        // SAFETY: the caller's.
        unsafe { nibbles::one_row(row, acc) };
    }

    #[inline(always)]
    unsafe fn softmax(scores: &Scores<'_>, stats: &mut RowStats, p: &mut [u8]) {
        // SAFETY: the caller's.
        unsafe { softmax::softmax(scores, stats, p) };
    }

    #[inline(always)]
    unsafe fn peak(rounds: u64) -> Option<u64> {
        // SAFETY: the caller's.
        Some(unsafe { peak::smull(rounds) })
    }
}

impl Arm for Neon {
    const TURN: usize = linear::TURN;

    #[inline(always)]
    unsafe fn panels(k: usize, job: &mut Job<'_>) {
        // SAFETY: the caller's.
        unsafe { linear::panels(k, job) };
    }

    #[inline(always)]
    unsafe fn scores(dim: usize, panels: usize, q: *const u8, k: *const u8, out: *mut i32) {
        // SAFETY: the caller's.
        unsafe { attention::scores(dim, panels, q, k, out) };
    }

    #[inline(always)]
    unsafe fn values(panels: usize, update: &Update<'_>, o: *mut f32) {
        // SAFETY: the caller's.
        unsafe { attention::values(panels, update, o) };
    }

    #[inline(always)]
    unsafe fn finish(panels: usize, o: *const f32, l: &[f32; MAX_MR], out: *mut f32, ldo: usize) {
        // SAFETY: the caller's.
        unsafe { attention::finish(panels, o, l, out, ldo) };
    }

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
