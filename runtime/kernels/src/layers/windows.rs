//! Windows of a map as rows: gathered, or quantised on the way.

use core::ops::Range;

use crate::jobs::{Clip, NonFinite, Place, Windows};
use crate::operands::rows::PackedRows;
use crate::set::InstructionSet;

/// Windows `rows` as f32 rows.
#[inline(always)]
pub(crate) fn gather(windows: Windows<'_>, rows: Range<usize>, out: &mut [f32]) {
    let width = windows.width();
    for (row, out) in rows.zip(out.chunks_exact_mut(width)) {
        gather_row(&windows, row, out);
    }
}

/// Window `row`: of each of its rows of pixels what is on the map lies there together.
#[inline(always)]
fn gather_row(windows: &Windows<'_>, row: usize, out: &mut [f32]) {
    let Windows { map, kernel, .. } = *windows;
    let Place { down, across } = windows.place(row);
    let line = kernel * map.channels;
    let left = across.skipped * map.channels;
    let seen = across.seen * map.channels;
    for (ky, out) in out.chunks_exact_mut(line).enumerate() {
        match on_map(&down, ky) {
            Some(y) => {
                let from = (y * map.width + across.first) * map.channels;
                out[..left].fill(0.0);
                out[left..left + seen].copy_from_slice(&map.values[from..from + seen]);
                out[left + seen..].fill(0.0);
            }
            None => out.fill(0.0),
        }
    }
}

/// Which row of the map row `ky` of a window is.
#[inline(always)]
fn on_map(down: &Clip, ky: usize) -> Option<usize> {
    let seen = ky.checked_sub(down.skipped)?;
    (seen < down.seen).then_some(down.first + seen)
}

/// Quantises windows `rows`, a scale each.
///
/// # Safety
/// This machine must have the instruction set.
#[inline(always)]
pub(crate) unsafe fn prepare<S: InstructionSet>(
    windows: Windows<'_>,
    rows: Range<usize>,
    out: &mut PackedRows,
) -> Result<(), NonFinite> {
    let layout = S::LAYOUT;
    out.reshape(layout, rows.len(), windows.width());
    for (row, window) in rows.enumerate() {
        let (bytes, values) = out.row(row);
        gather_row(&windows, window, values);
        // SAFETY: the caller's.
        let scale = unsafe { S::quantize(values, bytes, layout.offset) };
        out.scales[row] = scale.map_err(|found| NonFinite { row, found })?;
        out.zero_points[row] = 0;
        // SAFETY: the caller's.
        unsafe { out.store::<S>(row) };
    }
    Ok(())
}
