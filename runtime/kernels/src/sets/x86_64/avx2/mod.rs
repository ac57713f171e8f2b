//! AVX2 with FMA: every x86-64 since Haswell and Zen that has nothing newer.

mod nibbles;
mod peak;
mod tile;

use super::{resample, softmax};
use crate::arithmetic::softmax::{RowStats, Scores};
use crate::isa::Isa;
use crate::operands::axis::ResampleAxis;
use crate::operands::nibbles::NibblePanel;
use crate::operands::packing::Packing;
use crate::set::{InstructionSet, NibbleRow, Tile};

/// AVX2.
#[derive(Clone, Copy)]
pub(crate) struct Avx2;

impl Packing for Avx2 {
    const ISA: Isa = Isa::Avx2;

    #[inline(always)]
    unsafe fn unpack(w: NibblePanel<'_>, out: &mut [u8]) {
        // SAFETY: the caller's.
        unsafe { nibbles::unpack(w, out) };
    }
}

impl InstructionSet for Avx2 {
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
        unsafe { softmax::softmax::<{ Self::LAYOUT.mr }, true>(scores, stats, p) };
    }

    #[inline(always)]
    unsafe fn resample_row(axis: &ResampleAxis, source: &[u8], out: &mut [u8]) -> usize {
        // SAFETY: the caller's.
        unsafe { resample::row(axis, source, out) }
    }

    #[inline(always)]
    unsafe fn peak(rounds: u64) -> Option<u64> {
        // SAFETY: the caller's.
        Some(unsafe { peak::vpmaddubsw(rounds) })
    }
}
