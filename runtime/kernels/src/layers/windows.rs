//! Windows of a map as rows: gathered, or quantised on the way.

use core::ops::Range;

use super::four;
use crate::arithmetic::lanes::LANES;
use crate::arithmetic::rows::quantize_by;
use crate::jobs::{NonFinite, Place, Windows};
use crate::layout::GROUP;
use crate::operands::rows::PackedRows;
use crate::set::InstructionSet;

/// From how many numbers on a row of a window's pixels is quantised where it lies; shorter ones are gathered first.
const LONG: usize = 64;

/// How many rows are gathered before the first of them is read again: a vector that two stores have written has to wait for both.
const GATHERED: usize = 16;

/// Windows `rows` as f32 rows.
#[inline(always)]
pub(crate) fn gather(windows: Windows<'_>, rows: Range<usize>, out: &mut [f32]) {
    let width = windows.width();
    for (row, out) in rows.zip(out.chunks_exact_mut(width)) {
        gather_row(&windows, &windows.place(row), out);
    }
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
    let (width, offset) = (windows.width(), S::LAYOUT.offset);
    out.reshape(S::LAYOUT, rows.len(), width);
    let long = windows.kernel * windows.map.channels >= LONG;
    let (first, count) = (rows.start, rows.len());
    let mut next = 0;
    while next < count {
        let mut done = 0;
        if S::FOUR && next.is_multiple_of(GROUP) {
            let rest = first + next..rows.end;
            // SAFETY: the caller's.
            done = unsafe { prepare_fours::<S>(&windows, rest, next, out) };
        }
        if done > 0 {
            next += done;
            continue;
        }
        let (row, window) = (next, first + next);
        next += 1;
        let place = windows.place(window);
        let (bytes, values) = out.row(row);
        // SAFETY: the caller's.
        let scale = unsafe {
            if long {
                quantize_row::<S>(&windows, &place, &mut bytes[..width], offset)
            } else {
                let values = &mut values[..width];
                gather_row(&windows, &place, values);
                S::quantize(values, bytes, offset)
            }
        };
        out.scales[row] = scale.map_err(|found| NonFinite { row, found })?;
        out.zero_points[row] = 0;
        // SAFETY: the caller's.
        unsafe { out.store::<S>(row) };
    }
    Ok(())
}

/// The first of `windows`, four or more, as rows `row..` of `out`, and how many: none if there are less, or if some row is to be refused or all
/// zeros.
///
/// # Safety
/// This machine must have the instruction set, and it quantises four rows together.
#[inline(always)]
unsafe fn prepare_fours<S: InstructionSet>(
    windows: &Windows<'_>,
    rows: Range<usize>,
    row: usize,
    out: &mut PackedRows,
) -> usize {
    if rows.len() < GROUP {
        return 0;
    }
    let places: [Place; GROUP] = core::array::from_fn(|i| windows.place(rows.start + i));
    let (line, kernel) = (windows.kernel * windows.map.channels, windows.kernel);
    // From where they lie, if their lines are of whole groups, and all of them are on the map.
    let in_groups = line.is_multiple_of(S::LAYOUT.kr);
    let seen = |place: &Place| place.down.seen == kernel && place.across.seen == kernel;
    if in_groups && places.iter().all(seen) {
        let lines = |ky: usize| places.each_ref().map(|place| line_of(windows, place, ky).1);
        let mut tops = [0; GROUP];
        for ky in 0..kernel {
            // SAFETY: the caller's.
            let of_line = unsafe { S::amax_four(lines(ky)) };
            for (top, of_line) in tops.iter_mut().zip(of_line) {
                *top = of_line.max(*top);
            }
        }
        let Some((inverses, scales)) = four::all_scaled(tops) else {
            return 0;
        };
        for ky in 0..kernel {
            let mut slots = out.slots(row);
            let skipped = ky * line * slots.slots;
            slots.panel = &mut slots.panel[skipped..];
            // SAFETY: the caller's.
            unsafe { S::round_four(lines(ky), inverses, slots) };
        }
        out.scales[row..row + GROUP].copy_from_slice(&scales);
        out.zero_points[row..row + GROUP].fill(0);
        return GROUP;
    }
    let width = windows.width();
    let most = if in_groups { GROUP } else { GATHERED };
    let count = rows.len().min(most) / GROUP * GROUP;
    let mut values = core::mem::take(&mut out.values);
    values.resize(most * width);
    for (window, values) in rows.zip(values.chunks_exact_mut(width)).take(count) {
        gather_row(windows, &windows.place(window), values);
    }
    let mut done = 0;
    while done < count {
        let rows = core::array::from_fn(|i| &values[(done + i) * width..][..width]);
        // SAFETY: the caller's.
        let fits = unsafe {
            let tops = S::amax_four(rows);
            four::quantize::<S>(rows, tops, row + done, out)
        };
        if !fits {
            break;
        }
        done += GROUP;
    }
    out.values = values;
    done
}

/// A window to where it is read: of each of its rows of pixels what is on the map lies there together.
#[inline(always)]
fn gather_row(windows: &Windows<'_>, place: &Place, out: &mut [f32]) {
    let line = windows.kernel * windows.map.channels;
    for (ky, out) in out.chunks_exact_mut(line).enumerate() {
        let (before, seen) = line_of(windows, place, ky);
        let after = before + seen.len();
        out[..before].fill(0.0);
        copy(seen, &mut out[before..after]);
        out[after..].fill(0.0);
    }
}

/// A window to bytes, from where it lies.
///
/// # Safety
/// This machine must have the instruction set.
#[inline(always)]
unsafe fn quantize_row<S: InstructionSet>(
    windows: &Windows<'_>,
    place: &Place,
    bytes: &mut [u8],
    offset: u8,
) -> Result<f32, f32> {
    let amax = (0..windows.kernel).fold(0, |amax, ky| {
        let (_, seen) = line_of(windows, place, ky);
        // SAFETY: the caller's.
        amax.max(unsafe { S::amax_bits(seen) })
    });
    let line = windows.kernel * windows.map.channels;
    quantize_by(amax, bytes, offset, |inverse, bytes| {
        for (ky, bytes) in bytes.chunks_exact_mut(line).enumerate() {
            let (before, seen) = line_of(windows, place, ky);
            let after = before + seen.len();
            bytes[..before].fill(offset);
            // SAFETY: the caller's.
            unsafe { S::round(seen, inverse, &mut bytes[before..after], offset) };
            bytes[after..].fill(offset);
        }
    })
}

/// Of row `ky` of a window's pixels, how many zeros come first, and what is on the map; zeros are the rest.
#[inline(always)]
fn line_of<'a>(windows: &Windows<'a>, place: &Place, ky: usize) -> (usize, &'a [f32]) {
    let map = windows.map;
    let Place { down, across } = place;
    match ky.checked_sub(down.skipped) {
        Some(y) if y < down.seen => {
            let first = (down.first + y) * map.width + across.first;
            let seen = &map.values[first * map.channels..][..across.seen * map.channels];
            (across.skipped * map.channels, seen)
        }
        _ => (0, &[]),
    }
}

/// A copy of a few numbers, for which a call costs more than they do.
#[inline(always)]
fn copy(from: &[f32], to: &mut [f32]) {
    let end = from.len() - from.len() % LANES;
    for (to, from) in to
        .as_chunks_mut::<LANES>()
        .0
        .iter_mut()
        .zip(from.as_chunks().0)
    {
        *to = *from;
    }
    match (from.last_chunk::<LANES>(), to.last_chunk_mut::<LANES>()) {
        // The last 16 once more, rather than one by one.
        (Some(from), Some(to)) => *to = *from,
        _ => to[end..].copy_from_slice(&from[end..]),
    }
}
