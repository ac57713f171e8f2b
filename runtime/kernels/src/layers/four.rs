//! Rows that are quantised four together, where an instruction set does so.

use crate::arithmetic::lanes::Range;
use crate::arithmetic::rows::{scaled, skewed};
use crate::jobs::RowsF32;
use crate::layout::GROUP;
use crate::operands::rows::PackedRows;
use crate::set::InstructionSet;

/// Rows `first..first + 4`, if there are as many and they are to be quantised together.
#[inline(always)]
pub(super) fn of<'a, S: InstructionSet>(
    from: &RowsF32<'a>,
    first: usize,
) -> Option<[&'a [f32]; GROUP]> {
    (S::FOUR && first + GROUP <= from.rows).then(|| core::array::from_fn(|i| from.row(first + i)))
}

/// Quantises `rows`, of which the bits of the largest magnitudes are known, as rows `first..first + 4` of `out`; not if that takes more than
/// multiplying, which it does of rows of zeros and of those to be refused.
///
/// # Safety
/// This machine must have the instruction set, and it quantises four rows together.
#[inline(always)]
pub(super) unsafe fn quantize<S: InstructionSet>(
    rows: [&[f32]; GROUP],
    tops: [u32; GROUP],
    first: usize,
    out: &mut PackedRows,
) -> bool {
    let Some((inverses, scales)) = all_scaled(tops) else {
        return false;
    };
    // SAFETY: the caller's.
    unsafe { S::round_four(rows, inverses, out.slots(first)) };
    out.scales[first..first + GROUP].copy_from_slice(&scales);
    out.zero_points[first..first + GROUP].fill(0);
    true
}

/// What to multiply each of four rows by and the values of their steps, if all are finite and none is zeros.
#[inline(always)]
pub(super) fn all_scaled(tops: [u32; GROUP]) -> Option<([f32; GROUP], [f32; GROUP])> {
    let tops = tops.map(f32::from_bits);
    tops.iter()
        .all(|top| scaled(*top))
        .then(|| (tops.map(|top| 127.0 / top), tops.map(|top| top / 127.0)))
}

/// The same of rows that may be one-sided, of which the ranges are known.
///
/// # Safety
/// As [`quantize`].
#[inline(always)]
pub(super) unsafe fn quantize_skewed<S: InstructionSet>(
    rows: [&[f32]; GROUP],
    ranges: [Range; GROUP],
    first: usize,
    out: &mut PackedRows,
) -> bool {
    if !ranges.iter().all(skewed) {
        return false;
    }
    let skews = ranges.map(|range| range.skew());
    for (i, (range, skew)) in ranges.iter().zip(&skews).enumerate() {
        out.scales[first + i] = range.span() / 255.0;
        out.zero_points[first + i] = 128 - skew.zero;
    }
    let skews = skews.map(|skew| (skew.inverse, skew.zero));
    // SAFETY: the caller's.
    unsafe { S::round_skewed_four(rows, skews, out.slots(first)) };
    true
}
