//! Both products of int8 attention for all rows of a panel: the scores of a kv tile, and its values into the
//! output.
//!
//! A [tile](crate::set::InstructionSet::tile) starts anew for every panel of columns. Here one stretch of code walks all
//! panels of a kv tile, whose sums go from registers to where they are wanted: scores to memory, weighed
//! values into `o * alpha + sum * scale`.
//!
//! The output stays in the order of the registers until its last tile is in (`update`). i8mm multiplies
//! unsigned weights by signed values, so that keys which no row of the panel sees need not be multiplied.

use super::arm::{Arm, Update};
use crate::layout::{KV_TILE, Layout, MAX_MR};

/// Whether these products are here for heads of `dim` whole groups of k.
pub(super) const fn fits<A: Arm>(dim: usize) -> bool {
    dim > 0 && dim.is_multiple_of(A::TURN) && dim.is_multiple_of(A::LAYOUT.nr)
}

/// The scores of all rows of the panel `q` with the first keys of `k`, `panels` panels of them, to rows of
/// `scores`.
///
/// # Safety
/// This machine must have the instruction set, and the operands must be laid out for it.
#[inline(always)]
pub(super) unsafe fn scores<A: Arm>(
    dim: usize,
    q: &[u8],
    k: &[u8],
    panels: usize,
    scores: &mut [i32],
) {
    let Layout { mr, nr, .. } = A::LAYOUT;
    assert!(fits::<A>(dim) && panels > 0 && panels * nr <= KV_TILE);
    assert!(q.len() >= mr * dim && k.len() >= panels * nr * dim && scores.len() >= mr * KV_TILE);
    // SAFETY: the lengths were checked just above; the caller vouches for the rest.
    unsafe { A::scores(dim, panels, q.as_ptr(), k.as_ptr(), scores.as_mut_ptr()) }
}

/// `o = fma(sum, scale, o * alpha)` for all rows of a panel, `dim` wide each, of the weights themselves.
///
/// # Safety
/// As [`scores`].
#[inline(always)]
pub(super) unsafe fn update<A: Arm>(dim: usize, update: &Update<'_>, output: &mut [f32]) {
    let Layout { mr, nr, .. } = A::LAYOUT;
    let Update {
        p,
        span,
        v,
        v_correction,
        factors,
    } = *update;
    assert!(fits::<A>(dim) && KV_TILE.is_multiple_of(A::TURN) && 0 < span && span <= KV_TILE);
    assert!(p.len() >= mr * KV_TILE && v.len() >= dim * KV_TILE);
    assert!(v_correction.len() >= dim && factors.len() >= 2 * mr && output.len() >= mr * dim);
    // SAFETY: the lengths were checked just above; the caller vouches for the rest.
    unsafe { A::values(dim / nr, update, output.as_mut_ptr()) }
}

/// `out = o * (1 / l)` for all rows of a panel, `dim` wide each and `ldo` apart in `out`.
///
/// # Safety
/// As [`scores`].
#[inline(always)]
pub(super) unsafe fn finish<A: Arm>(
    dim: usize,
    output: &[f32],
    l: &[f32; MAX_MR],
    out: &mut [f32],
    ldo: usize,
) {
    let Layout { mr, nr, .. } = A::LAYOUT;
    assert!(fits::<A>(dim) && output.len() >= mr * dim);
    assert!(out.len() >= (mr - 1) * ldo + dim);
    // SAFETY: the lengths were checked just above; the caller vouches for the rest.
    unsafe { A::finish(dim / nr, output.as_ptr(), l, out.as_mut_ptr(), ldo) }
}

/// How far it is from the last row of a panel of columns to the first of the next, `ldo` bytes between rows.
pub(in crate::sets::aarch64) const fn back(layout: Layout, ldo: usize) -> usize {
    (layout.nr * size_of::<f32>()).wrapping_sub((layout.mr - 1) * ldo)
}
