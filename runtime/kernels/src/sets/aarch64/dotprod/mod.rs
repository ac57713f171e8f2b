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
use crate::arithmetic::softmax::{RowStats, Scores};
use crate::isa::Isa;
use crate::jobs::{AttentionScratch, Linear, NonFinite};
use crate::layout::MAX_MR;
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
        Some(unsafe { peak::sdot(rounds) })
    }
}

impl Arm for Dotprod {
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
}
