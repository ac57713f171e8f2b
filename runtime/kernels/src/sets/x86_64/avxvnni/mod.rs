//! AVX-VNNI, the 256-bit `vpdpbusd` without AVX-512: Alder Lake to Arrow Lake, N100 and N305, Zen 5.

mod nibbles;
mod peak;
mod tile;

use super::{resample, softmax};
use crate::arithmetic::softmax::{RowStats, Scores};
use crate::isa::Isa;
use crate::operands::axis::ResampleAxis;
use crate::operands::packing::Packing;
use crate::set::{InstructionSet, NibbleRow, Tile};

/// AVX-VNNI.
#[derive(Clone, Copy)]
pub(crate) struct AvxVnni;

impl Packing for AvxVnni {
    const ISA: Isa = Isa::AvxVnni;
}

impl InstructionSet for AvxVnni {
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
        unsafe { softmax::softmax::<{ Self::LAYOUT.mr }, false>(scores, stats, p) };
    }

    #[inline(always)]
    unsafe fn resample_row(axis: &ResampleAxis, source: &[u8], out: &mut [u8]) -> usize {
        // SAFETY: the caller's.
        unsafe { resample::row(axis, source, out) }
    }

    #[inline(always)]
    unsafe fn peak(rounds: u64) -> Option<u64> {
        // SAFETY: the caller's.
        Some(unsafe { peak::vpdpbusd(rounds) })
    }
}
