//! The int8 linear layer for plain ARMv8.0 with four products to a 16-bit lane, over whole panels of columns.
//!
//! Weights are split where four of them would overflow ([`crate::chains`]). A panel of them is copied into the
//! loop's order with only what is kept of each; the products of rows and rests, a few columns of the rows for
//! each panel, are added to a tile's sums at its end.

use core::arch::aarch64::{
    vabal_s8, vabdl_s8, vdup_n_s8, vdupq_n_s16, vget_high_s8, vget_low_s8, vld1q_s8, vmaxq_s16,
    vmaxvq_s16, vst1q_s16,
};

use super::linear::{Job, ZEROS};
use crate::chains::{NR, Rest, Sums, TURN};
use crate::dot::Layout;
use crate::isa::Isa;
use crate::pack::PackedRows;
use crate::portable::lanes::Line;

mod scratch;

pub(crate) use scratch::Scratch;

const MR: usize = Layout::of(Isa::Neon).mr;
const KR: usize = Layout::of(Isa::Neon).kr;

/// Rows that are multiplied by a rest at once.
const BLOCK: usize = 32;

/// Whether these rows, and what becomes of them, suit the loop.
pub(crate) fn fits(isa: Isa, a: &PackedRows, shifted: bool, add: bool) -> bool {
    let rows = a.rows() > 0 && a.rows().is_multiple_of(BLOCK) && a.k().is_multiple_of(TURN);
    isa == Isa::Neon && rows && (add || !shifted)
}

/// All rows of a panel of columns.
///
/// # Safety
/// The operands must be laid out for NEON; `scratch` must have been given the rows ([`Scratch::turn`]), and
/// every one of `rests` must be of a row below `k`.
#[inline(always)]
pub(crate) unsafe fn panel(
    k: usize,
    rests: [&[Rest]; NR],
    job: &mut Job<'_>,
    scratch: &mut Scratch,
) {
    let rows = job.scales.len();
    assert!(k > 0 && k.is_multiple_of(TURN) && rows > 0 && rows.is_multiple_of(BLOCK));
    assert!(job.shifts.len() == rows && scratch.rows == rows && scratch.columns.len() == k * rows);
    assert!(job.a.len() >= k * rows && job.weights.len() == k * NR);
    assert!(job.w_scale.len() >= NR && job.w_sums.len() >= NR && job.bias.len() == NR);
    assert!(job.out.len() >= (rows - 1) * job.ldo + NR);
    // SAFETY: NEON is the architecture's baseline; the lengths were checked just above, the caller vouches for
    // the rests.
    unsafe {
        scratch.keep(job.weights, rests);
        scratch.multiply(rests);
    }
    let mut bias = Line([0.0; 16]);
    for some in bias.0.chunks_exact_mut(NR) {
        some.copy_from_slice(job.bias);
    }
    let (turns, panels, bias) = (k / TURN, rows / MR, &bias.0);
    // SAFETY: likewise.
    unsafe {
        match (job.shifted, job.add) {
            (false, false) => stored(turns, panels, bias, job, scratch),
            (false, true) => added(turns, panels, bias, job, scratch),
            (true, _) => shifted(turns, panels, bias, job, scratch),
        }
    }
}

/// What magnitudes in each lane of each column of a chain add up to, and the most.
///
/// # Safety
/// NEON must be there.
#[target_feature(enable = "neon")]
pub(crate) unsafe fn sums(chain: &[[u8; KR]; 2 * NR]) -> (Sums, u16) {
    let zero = vdup_n_s8(0);
    let mut most = vdupq_n_s16(0);
    let mut sums = Sums::default();
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

/// A function `$name` for rows that are shifted or not, stored or added.
macro_rules! kind {
    ($name:ident, $shifted:tt, $add:tt) => {
        /// # Safety
        /// `turns` and `panels` of rows must not be 0, and everything as long as they say.
        #[inline]
        #[target_feature(enable = "neon")]
        unsafe fn $name(
            turns: usize,
            panels: usize,
            bias: &[f32; 16],
            job: &mut Job<'_>,
            scratch: &Scratch,
        ) {
            // SAFETY: it reads `turns` turns of the weights and of `panels` panels of rows, four products, a
            // scale and a shift for each row, a scale, a sum and a bias for each column, and writes a panel's
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
                    chains_turn!(),
                    "b.ne 2b",
                    load_scales!(one, $shifted),
                    neon_finish!($shifted, $add, chains_rests!()),
                    "subs {panels}, {panels}, #1",
                    "b.ne 3b",
                    "/* {shifts} {w_sums} */",
                    a = inout(reg) job.a.as_ptr() => _,
                    w = out(reg) _,
                    weights = in(reg) scratch.kept.as_ptr(),
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
                    shifts = inout(reg) job.shifts.as_ptr() => _,
                    rests = inout(reg) scratch.rests.as_ptr() => _,
                );
            }
        }
    };
}

kind!(stored, no, no);
kind!(added, no, yes);
kind!(shifted, yes, yes);

#[cfg(test)]
mod tests;
