//! The int8 linear layer for plain ARMv8.0 with four products to a 16-bit lane, over whole panels of columns.
//!
//! Weights are split where four of them would overflow ([`SplitWeights`]). A panel of them is copied into the
//! loop's order with only what is kept of each; the products of rows and remainders, a few columns of the rows for
//! each panel, are added to a tile's sums at its end.

use core::arch::aarch64::{
    vabal_s8, vabdl_s8, vdup_n_s8, vdupq_n_s16, vget_high_s8, vget_low_s8, vld1q_s8, vmaxq_s16,
    vmaxvq_s16, vst1q_s16,
};

use super::split_scratch::{BLOCK, MR};
use crate::arithmetic::lanes::Line;
use crate::jobs::Rearranged;
use crate::operands::rows::PackedRows;
use crate::operands::split_weights::{Chain, LaneSums, NR, Remainder, SplitWeights, TURN};
use crate::operands::weights::PackedInt8;
use crate::sets::aarch64::common::arm::Job;
use crate::sets::aarch64::common::linear::ZEROS;

/// See [`Arm::split`](crate::sets::aarch64::common::arm::Arm::split).
///
/// # Safety
/// NEON must be there.
#[inline(always)]
pub(super) unsafe fn split<'a>(
    a: &PackedRows,
    w: &'a PackedInt8,
    rearranged: &mut Rearranged,
) -> Option<&'a SplitWeights> {
    let rows = a.rows() > 0 && a.rows().is_multiple_of(BLOCK) && a.k().is_multiple_of(TURN);
    let split = w.split().filter(|_| rows)?;
    // SAFETY: the caller's.
    unsafe { super::split_scratch::turn(rearranged, a) };
    Some(split)
}

/// All rows of a panel of columns.
///
/// # Safety
/// The operands must be laid out for NEON; the rows must have been rearranged ([`split`]), and
/// every one of `remainders` must be of a row below `k`.
#[inline(always)]
pub(super) unsafe fn panel(
    k: usize,
    remainders: [&[Remainder]; NR],
    job: &mut Job<'_>,
    scratch: &mut Rearranged,
) {
    let rows = job.scales.len();
    assert!(k > 0 && k.is_multiple_of(TURN) && rows > 0 && rows.is_multiple_of(BLOCK));
    assert!(
        job.zero_points.len() == rows && scratch.count == rows && scratch.rows.len() == k * rows
    );
    assert!(job.a.len() >= k * rows && job.weights.len() == k * NR);
    assert!(job.w_scale.len() >= NR && job.w_sums.len() >= NR && job.bias.len() == NR);
    assert!(job.out.len() >= (rows - 1) * job.ldo + NR);
    // SAFETY: NEON is the architecture's baseline; the lengths were checked just above, the caller vouches for
    // the remainders.
    unsafe {
        super::split_scratch::keep(scratch, job.weights, remainders);
        super::split_scratch::multiply(scratch, remainders);
    }
    let mut bias = Line([0.0; 16]);
    for some in bias.0.chunks_exact_mut(NR) {
        some.copy_from_slice(job.bias);
    }
    let (turns, panels, bias) = (k / TURN, rows / MR, &bias.0);
    // SAFETY: NEON is the architecture's baseline; the lengths were checked above.
    unsafe {
        match (job.asymmetric, job.add) {
            (false, false) => stored(turns, panels, bias, job, scratch),
            (false, true) => added(turns, panels, bias, job, scratch),
            (true, _) => asymmetric(turns, panels, bias, job, scratch),
        }
    }
}

/// What magnitudes in each lane of each column of a chain add up to, and the most.
///
/// # Safety
/// NEON must be there.
#[target_feature(enable = "neon")]
pub(super) unsafe fn lane_sums(chain: &Chain) -> (LaneSums, u16) {
    let zero = vdup_n_s8(0);
    let mut most = vdupq_n_s16(0);
    let mut sums = LaneSums::default();
    for (column, sums) in sums.iter_mut().enumerate() {
        let (low, high) = (&chain[column], &chain[NR + column]);
        // SAFETY: 16 bytes each.
        let (low, high) = unsafe {
            (
                vld1q_s8(low.as_ptr().cast()),
                vld1q_s8(high.as_ptr().cast()),
            )
        };
        let sum = vabal_s8(vabdl_s8(vget_low_s8(low), zero), vget_high_s8(low), zero);
        let sum = vabal_s8(sum, vget_low_s8(high), zero);
        let sum = vabal_s8(sum, vget_high_s8(high), zero);
        most = vmaxq_s16(most, sum);
        // SAFETY: eight sums, none negative.
        unsafe { vst1q_s16(sums.as_mut_ptr().cast(), sum) };
    }
    (sums, vmaxvq_s16(most) as u16)
}

/// A function `$name` for rows that are asymmetric or not, stored or added.
macro_rules! kind {
    ($name:ident, $asymmetric:tt, $add:tt) => {
        /// # Safety
        /// `turns` and `panels` of rows must not be 0, and everything as long as they say.
        #[inline]
        #[target_feature(enable = "neon")]
        unsafe fn $name(
            turns: usize,
            panels: usize,
            bias: &[f32; 16],
            job: &mut Job<'_>,
            scratch: &Rearranged,
        ) {
            // SAFETY: it reads `turns` turns of the weights and of `panels` panels of rows, four products, a
            // scale and a zero point for each row, a scale, a sum and a bias for each column, and writes a panel's
            // columns of all rows.
            unsafe {
                asm_all_vectors!(
                    "3:",
                    "ld1 {{v16.4s-v19.4s}}, [{zeros}]",
                    "mov {w}, {weights}",
                    "ld1 {{v20.4s-v23.4s}}, [{zeros}]",
                    "mov {turns}, {all}",
                    "ld1 {{v24.4s-v27.4s}}, [{zeros}]",
                    "ld1 {{v28.4s-v31.4s}}, [{zeros}]",
                    "2:",
                    split_turn!(),
                    "b.ne 2b",
                    load_scales!(one, $asymmetric),
                    neon_finish!($asymmetric, $add, split_remainders!()),
                    "subs {panels}, {panels}, #1",
                    "b.ne 3b",
                    "/* {zero_points} {w_sums} */",
                    a = inout(reg) job.a.as_ptr() => _,
                    w = out(reg) _,
                    weights = in(reg) scratch.weights.as_ptr(),
                    turns = out(reg) _,
                    all = in(reg) turns,
                    panels = inout(reg) panels => _,
                    out = inout(reg) job.out.as_mut_ptr() => _,
                    ldo = in(reg) job.ldo * size_of::<f32>(),
                    zeros = in(reg) ZEROS.0.as_ptr(),
                    w_scale = in(reg) job.w_scale.as_ptr(),
                    w_sums = in(reg) job.w_sums.as_ptr(),
                    bias = in(reg) bias.as_ptr(),
                    scales = inout(reg) job.scales.as_ptr() => _,
                    zero_points = inout(reg) job.zero_points.as_ptr() => _,
                    remainders = inout(reg) scratch.products.as_ptr() => _,
                );
            }
        }
    };
}

kind!(stored, no, no);
kind!(added, no, yes);
kind!(asymmetric, yes, yes);
