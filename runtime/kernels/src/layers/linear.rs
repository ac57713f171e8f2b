//! The int8 linear layer over a block of rows: tiles of integer dot products, each followed by its epilogue.

use crate::arithmetic::epilogue::{Channels, Output};
use crate::arithmetic::lanes::Line;
use crate::jobs::Linear;
use crate::layout::{Layout, MAX_TILE};
use crate::memory::prefetch::prefetch;
use crate::operands::weights::Panel;
use crate::set::{InstructionSet, NibbleRow, Tile, multiply, one_row};

/// Tiles among which the next panel of weights is shared out; a tile prefetches a quarter as much as it reads.
const SHARES: usize = 4;

/// Numbers in a cache line.
const LINE: usize = 16;

/// `out[i][j] = fma(acc, s_row[i] * s_channel[j], bias[j])`, or that added to what `out` holds; `acc` is the integer product, whatever
/// the row's zero.
///
/// Columns outside, rows inside: a weight panel is read once and stays in the nearest cache while every row panel passes it.
///
/// # Safety
/// This machine must have the instruction set.
#[inline(always)]
pub(crate) unsafe fn linear<S: InstructionSet>(mut job: Linear<'_>) {
    let Layout { mr, nr, .. } = S::LAYOUT;
    let first = job.panels.start * nr;
    // Only what follows an activation has zero points, and an integer product costs as much as the rest of an epilogue.
    let asymmetric = job.a.zero_points[..job.a.rows()]
        .iter()
        .any(|zero| *zero != 0);
    // SAFETY: the caller's.
    let done = unsafe { S::linear_panels(&mut job, asymmetric) };
    let Linear { a, w, ldo, .. } = job;
    let k_groups = w.k_groups();
    let mut acc = Line([0i32; MAX_TILE]);
    for panel in job.panels.start + done..job.panels.end {
        let columns = panel * nr..w.n().min((panel + 1) * nr);
        let correction = w.correction(panel);
        let channels = Channels {
            w_sums: w.sums(panel),
            w_scale: &job.w_scale[columns.clone()],
            bias: &job.bias[columns.clone()],
        };
        // One row is multiplied by int4 weights as they are; for more, a panel of them is unpacked first.
        let (weights, nibbles) = match w.panel(panel) {
            Panel::Int4(nibbles) if a.rows() == 1 => (&[][..], Some(nibbles)),
            // SAFETY: the caller's.
            weights => (
                unsafe { weights.int8::<S>(&mut job.scratch.unpacked) },
                None,
            ),
        };
        let mut out = &mut job.out[columns.start - first..];
        // While the rows pass this panel, the next one comes nearer, a share with each tile: weights are read from afar once a
        // call, and no tile has to wait for them. An only tile has to fetch all of it; int8 weights lie right behind this panel.
        let alone = a.rows() <= mr && matches!(w.panel(panel), Panel::Int8(_));
        let next = match (panel + 1 < job.panels.end).then(|| w.panel(panel + 1)) {
            Some(Panel::Int8(next)) => next,
            _ => weights,
        };
        let share = weights.len() / SHARES;
        for (row_panel, scales) in a.scales().chunks(mr).enumerate() {
            let ahead = if row_panel < SHARES && scales.len() == mr && !alone {
                &next[row_panel * share..]
            } else {
                weights
            };
            let rows = a.panel(row_panel);
            if job.add {
                // What the sums will be added to has left the nearest caches by now. Its rows are too far apart for the hardware to
                // guess, and the tile takes long enough to fetch them all.
                for row in out.chunks(ldo).take(scales.len()) {
                    for line in row.chunks(LINE).take(columns.len().div_ceil(LINE)) {
                        prefetch(line.as_ptr());
                    }
                }
            }
            let (here, rest) = out.split_at_mut(out.len().min(mr * ldo));
            out = rest;
            let mut output = Output {
                scales,
                zero_points: &a.zero_points[row_panel * mr..][..scales.len()],
                out: here,
                ldo,
                asymmetric,
                add: job.add,
            };
            let tile = Tile {
                rows: scales.len(),
                k_groups,
                a: rows,
                w: weights,
                correction,
                ahead,
            };
            // SAFETY: the caller's.
            unsafe {
                if let Some(w) = nibbles {
                    let row = NibbleRow {
                        k_groups,
                        a: rows,
                        w,
                        correction,
                    };
                    one_row::<S>(&row, &mut acc.0);
                } else if S::linear_tile(&tile, alone, &channels, &mut output) {
                    continue;
                } else {
                    multiply::<S>(&tile, &mut acc.0, nr);
                }
            }
            output.finish(&acc.0, nr, &channels);
        }
    }
}
