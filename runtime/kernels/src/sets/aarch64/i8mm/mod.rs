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
use crate::arithmetic::softmax::{RowStats, Scores};
use crate::isa::Isa;
use crate::jobs::{AttentionScratch, Linear, NonFinite};
use crate::layout::MAX_MR;
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
    unsafe fn tile(tile: &Tile<'_>, acc: &mut [i32], ldc: usize) {
        // SAFETY: the caller's.
        unsafe { tile::tile(tile, acc, ldc) };
    }

    #[inline(always)]
    unsafe fn one_row(row: &NibbleRow<'_>, acc: &mut [i32]) {
        // SAFETY: the caller's.
        unsafe { common::nibbles::one_row::<Self>(row, acc) };
    }

    #[inline(always)]
    unsafe fn softmax(scores: &Scores<'_>, stats: &mut RowStats, p: &mut [u8]) {
        // SAFETY: the caller's.
        unsafe { softmax::softmax(scores, stats, p) };
    }

    #[inline(always)]
    unsafe fn peak(rounds: u64) -> Option<u64> {
        // SAFETY: the caller's.
        Some(unsafe { peak::smmla(rounds) })
    }
}

impl Arm for I8mm {
    const TURN: usize = linear::TURN;
    const UNSIGNED: bool = true;

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
}
