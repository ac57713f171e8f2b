//! Rows on their way from one matrix to the next: norm or activation, quantisation, and into the panels of a tile.

use crate::arithmetic::activation::{Activation, activate};
use crate::arithmetic::rows::{layer_norm, norm};
use crate::jobs::{NonFinite, Prepare, RowsF32};
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
    let RowsF32 {
        values: x,
        stride,
        rows,
        width,
    } = from;
    let offset = S::LAYOUT.offset;
    out.reshape(S::LAYOUT, rows, width);
    for row in 0..rows {
        let x = &x[row * stride..][..width];
        let (bytes, values) = out.row(row);
        // SAFETY: the caller's.
        let quantized = unsafe {
            match how {
                Prepare::Plain => S::quantize(x, bytes, offset).map(|scale| (scale, 0)),
                Prepare::Norm { gain, eps } => {
                    let amax = S::norm_amax(x, gain, eps, values);
                    S::quantize_known(values, amax, bytes, offset).map(|scale| (scale, 0))
                }
                Prepare::LayerNorm { gain, bias, eps } => {
                    let amax = S::layer_norm_amax(x, gain, bias, eps, values);
                    S::quantize_known(values, amax, bytes, offset).map(|scale| (scale, 0))
                }
                Prepare::Activate(kind) => {
                    let range = S::activate_range(kind, x, values);
                    S::quantize_skewed(values, range, bytes, offset)
                }
            }
        };
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

/// LayerNorm of many rows.
#[inline(always)]
pub(crate) fn layer_norm_rows(x: &[f32], gain: &[f32], bias: &[f32], eps: f32, out: &mut [f32]) {
    let n = gain.len();
    for (x, out) in x.chunks_exact(n).zip(out.chunks_exact_mut(n)) {
        layer_norm(x, gain, bias, eps, out);
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
