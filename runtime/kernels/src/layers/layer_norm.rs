//! LayerNorm of many rows, four at a time, and its quantisation.

use super::four;
use crate::arithmetic::layer_norm::{Affine, layer_norm};
use crate::jobs::{NonFinite, RowsF32};
use crate::layout::GROUP;
use crate::operands::rows::PackedRows;
use crate::set::InstructionSet;

/// Quantised rows.
///
/// # Safety
/// This machine must have the instruction set.
#[inline(always)]
pub(crate) unsafe fn prepare<S: InstructionSet>(
    from: RowsF32<'_>,
    affine: Affine<'_>,
    out: &mut PackedRows,
) -> Result<(), NonFinite> {
    let (width, offset) = (from.width, S::LAYOUT.offset);
    out.reshape(S::LAYOUT, from.rows, width);
    out.values.resize(GROUP * width);
    for first in (0..from.rows).step_by(GROUP) {
        let rows = GROUP.min(from.rows - first);
        // SAFETY: the caller's.
        let tops = unsafe { some::<S>(&from, first, affine, &mut out.values) };
        if S::FOUR && rows == GROUP {
            let values = core::mem::take(&mut out.values);
            let four = core::array::from_fn(|i| &values[i * width..][..width]);
            // SAFETY: the caller's.
            let done = unsafe { four::quantize::<S>(four, tops, first, out) };
            out.values = values;
            if done {
                continue;
            }
        }
        for (i, top) in tops.into_iter().enumerate().take(rows) {
            let row = first + i;
            let (bytes, values) = out.row(row);
            let values = &values[i * width..][..width];
            // SAFETY: the caller's.
            let scale = unsafe { S::quantize_known(values, top, bytes, offset) };
            out.scales[row] = scale.map_err(|found| NonFinite { row, found })?;
            out.zero_points[row] = 0;
            // SAFETY: the caller's.
            unsafe { out.store::<S>(row) };
        }
    }
    Ok(())
}

/// f32 rows.
///
/// # Safety
/// This machine must have the instruction set.
#[inline(always)]
pub(crate) unsafe fn f32_rows<S: InstructionSet>(x: &[f32], affine: Affine<'_>, out: &mut [f32]) {
    let width = affine.gain.len();
    let from = RowsF32::dense(x, x.len() / width, width);
    for (i, out) in out.chunks_mut(GROUP * width).enumerate() {
        // SAFETY: the caller's.
        unsafe { some::<S>(&from, i * GROUP, affine, out) };
    }
}

/// Four rows from number `first` on, or as many as there are.
///
/// # Safety
/// This machine must have the instruction set.
#[inline(always)]
unsafe fn some<S: InstructionSet>(
    from: &RowsF32<'_>,
    first: usize,
    affine: Affine<'_>,
    out: &mut [f32],
) -> [u32; GROUP] {
    if first + GROUP <= from.rows {
        // SAFETY: the caller's.
        return unsafe {
            S::layer_norm(core::array::from_fn(|i| from.row(first + i)), affine, out)
        };
    }
    let mut tops = [0; GROUP];
    for ((row, top), out) in (first..from.rows)
        .zip(&mut tops)
        .zip(out.chunks_exact_mut(from.width))
    {
        [*top] = layer_norm([from.row(row)], affine, out);
    }
    tops
}
