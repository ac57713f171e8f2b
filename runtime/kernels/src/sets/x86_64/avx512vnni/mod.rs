//! AVX-512 VNNI: Xeons since Cascade Lake, Ice and Rocket Lake, Zen 4 and 5.

mod attend;
mod depthwise;
mod gemv;
mod interleave;
mod layer_norm;
mod linear;
mod nibbles;
mod peak;
mod quantize;
mod softmax;
mod softmax_heads;
mod softmax_steps;
mod softmax_weights;
mod tile;
mod update;

use super::resample;
use crate::arithmetic::activation::Activation;
use crate::arithmetic::epilogue::{Channels, Output};
use crate::arithmetic::lanes::Range;
use crate::arithmetic::layer_norm::Affine;
use crate::arithmetic::softmax::{RowStats, Scores};
use crate::isa::Isa;
use crate::jobs::{AttentionRow, Linear, NonFinite};
use crate::layout::GROUP;
use crate::operands::axis::ResampleAxis;
use crate::operands::nibbles::NibblePanel;
use crate::operands::packing::Packing;
use crate::operands::rows::Slots;
use crate::set::{InstructionSet, NibbleRow, Taps, Tile, Values};

/// AVX-512 VNNI.
#[derive(Clone, Copy)]
pub(crate) struct Avx512Vnni;

impl Packing for Avx512Vnni {
    const ISA: Isa = Isa::Avx512Vnni;

    /// Four heads share the reductions of a vector softmax.
    const HEADS_TOGETHER: u32 = 2;

    #[inline(always)]
    unsafe fn interleave(rows: &[u8], panel: &mut [u8], slots: usize, slot: usize) {
        // SAFETY: the caller's.
        unsafe { interleave::interleave(rows, panel, slots, slot) };
    }

    #[inline(always)]
    unsafe fn unpack(w: NibblePanel<'_>, out: &mut [u8]) {
        // SAFETY: the caller's.
        unsafe { nibbles::unpack(w, out) };
    }
}

impl InstructionSet for Avx512Vnni {
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
    unsafe fn layer_norm(
        rows: [&[f32]; GROUP],
        affine: Affine<'_>,
        out: &mut [f32],
    ) -> [u32; GROUP] {
        // SAFETY: the caller's.
        unsafe { layer_norm::layer_norm(rows, affine, out) }
    }

    const FOUR: bool = true;

    #[inline(always)]
    unsafe fn amax_four(rows: [&[f32]; GROUP]) -> [u32; GROUP] {
        // SAFETY: the caller's.
        unsafe { quantize::amax(rows) }
    }

    #[inline(always)]
    unsafe fn round_four(rows: [&[f32]; GROUP], inverses: [f32; GROUP], slots: Slots<'_>) {
        // SAFETY: the caller's.
        unsafe { quantize::round(rows, inverses, slots) };
    }

    #[inline(always)]
    unsafe fn round_skewed_four(
        rows: [&[f32]; GROUP],
        skews: [(f32, i32); GROUP],
        slots: Slots<'_>,
    ) {
        // SAFETY: the caller's.
        unsafe { quantize::round_skewed(rows, skews, slots) };
    }

    #[inline(always)]
    unsafe fn convolve_four(taps: &Taps<'_>, kind: Activation, out: &mut [f32]) -> [Range; GROUP] {
        // SAFETY: the caller's.
        unsafe { depthwise::four(taps, kind, out) }
    }

    #[inline(always)]
    unsafe fn linear_panels(job: &mut Linear<'_>, asymmetric: bool) -> usize {
        // SAFETY: the caller's.
        unsafe { gemv::linear(job, asymmetric) }
    }

    #[inline(always)]
    unsafe fn linear_tile(
        tile: &Tile<'_>,
        alone: bool,
        channels: &Channels<'_>,
        output: &mut Output<'_>,
    ) -> bool {
        // SAFETY: the caller's.
        unsafe { linear::tile(tile, alone, channels, output) }
    }

    #[inline(always)]
    unsafe fn attend_row(job: &mut AttentionRow<'_>) -> Option<Result<(), NonFinite>> {
        // SAFETY: the caller's.
        update::fits(job.heads.dim).then(|| unsafe { attend::attend_row(job) })
    }

    #[inline(always)]
    unsafe fn update(values: &Values<'_>, output: &mut [f32], ldo: usize) -> bool {
        // SAFETY: the caller's.
        unsafe { update::update(values, output, ldo) }
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
