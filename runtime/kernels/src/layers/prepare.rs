//! Rows on their way from one matrix to the next: norm or activation, quantisation, and into the panels of a tile.

use super::{four, layer_norm};
use crate::arithmetic::activation::{Activation, activate};
use crate::arithmetic::layer_norm::Affine;
use crate::arithmetic::rows::norm;
use crate::jobs::{NonFinite, Prepare, RowsF32};
use crate::layout::GROUP;
use crate::operands::rows::PackedRows;
use crate::set::InstructionSet;

/// Prepares and quantises rows into packed panels.
///
/// # Safety
/// This machine must have the instruction set.
#[inline(always)]
pub(crate) unsafe fn prepare<S: InstructionSet>(
    from: RowsF32<'_>,
    how: Prepare<'_>,
    out: &mut PackedRows,
) -> Result<(), NonFinite> {
    let offset = S::LAYOUT.offset;
    // SAFETY: the caller's.
    unsafe {
        match how {
            Prepare::Plain => plain::<S>(from, out),
            Prepare::Norm { gain, eps } => each::<S>(from, out, |x, bytes, values| {
                let amax = S::norm_amax(x, gain, eps, values);
                Ok((S::quantize_known(values, amax, bytes, offset)?, 0))
            }),
            Prepare::LayerNorm { gain, bias, eps } => {
                layer_norm::prepare::<S>(from, Affine { gain, bias, eps }, out)
            }
            Prepare::Activate(kind) => each::<S>(from, out, |x, bytes, values| {
                let range = S::activate_range(kind, x, values);
                S::quantize_skewed(values, range, bytes, offset)
            }),
        }
    }
}

/// Rows as they are.
///
/// # Safety
/// This machine must have the instruction set.
#[inline(always)]
pub(super) unsafe fn plain<S: InstructionSet>(
    from: RowsF32<'_>,
    out: &mut PackedRows,
) -> Result<(), NonFinite> {
    let offset = S::LAYOUT.offset;
    if !S::FOUR {
        // SAFETY: the caller's.
        return unsafe {
            each::<S>(from, out, |x, bytes, _| {
                Ok((S::quantize(x, bytes, offset)?, 0))
            })
        };
    }
    out.reshape(S::LAYOUT, from.rows, from.width);
    for first in (0..from.rows).step_by(GROUP) {
        if let Some(rows) = four::of::<S>(&from, first) {
            // SAFETY: the caller's.
            let done = unsafe {
                let tops = S::amax_four(rows);
                four::quantize::<S>(rows, tops, first, out)
            };
            if done {
                continue;
            }
        }
        for row in first..from.rows.min(first + GROUP) {
            let (bytes, _) = out.row(row);
            // SAFETY: the caller's.
            let scale = unsafe { S::quantize(from.row(row), bytes, offset) };
            out.scales[row] = scale.map_err(|found| NonFinite { row, found })?;
            out.zero_points[row] = 0;
            // SAFETY: the caller's.
            unsafe { out.store::<S>(row) };
        }
    }
    Ok(())
}

/// Each row alone: `quantize` is given it, where its bytes go and room for as many values, and gives its scale and its zero point, negated.
///
/// # Safety
/// This machine must have the instruction set.
#[inline(always)]
unsafe fn each<S: InstructionSet>(
    from: RowsF32<'_>,
    out: &mut PackedRows,
    quantize: impl Fn(&[f32], &mut [u8], &mut [f32]) -> Result<(f32, i32), f32>,
) -> Result<(), NonFinite> {
    out.reshape(S::LAYOUT, from.rows, from.width);
    for row in 0..from.rows {
        let (bytes, values) = out.row(row);
        let quantized = quantize(from.row(row), bytes, values);
        (out.scales[row], out.zero_points[row]) =
            quantized.map_err(|found| NonFinite { row, found })?;
        // SAFETY: the caller's.
        unsafe { out.store::<S>(row) };
    }
    Ok(())
}

/// RMS norm of many rows.
#[inline(always)]
pub(crate) fn norm_rows(x: &[f32], gain: &[f32], eps: f32, out: &mut [f32]) {
    let n = gain.len();
    for (x, out) in x.chunks_exact(n).zip(out.chunks_exact_mut(n)) {
        norm(x, gain, eps, out);
    }
}

/// Activation in place.
#[inline(always)]
pub(crate) fn activate_rows(kind: Activation, rows: &mut [f32]) {
    activate(kind, rows);
}

/// Adds each row of `x` to `sums`, in order.
#[inline(always)]
pub(crate) fn add_rows(x: &[f32], sums: &mut [f32]) {
    for x in x.chunks_exact(sums.len()) {
        for (sum, x) in sums.iter_mut().zip(x) {
            *sum += *x;
        }
    }
}
