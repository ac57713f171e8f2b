//! The int8 linear layer over a block of rows: tiles of integer dot products, each followed by its epilogue.

use super::epilogue::{Channels, Rows};
use super::lanes::Line;
#[cfg(target_arch = "aarch64")]
use crate::dot::aarch64::{chains, linear as fused};
#[cfg(target_arch = "x86_64")]
use crate::dot::x86::{few, linear as fused};
use crate::dot::{Dot, Layout, MAX_TILE};
use crate::kernels::{Linear, LinearScratch};
use crate::pack::Panel;
use crate::prefetch::prefetch;

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
/// This machine must have the instruction set of `dot`.
#[inline(always)]
pub(crate) unsafe fn linear(dot: &Dot, job: Linear<'_>) {
    let Layout { mr, nr, .. } = dot.layout;
    let Linear { a, w, ldo, .. } = job;
    let k_groups = w.k_groups();
    let mut acc = Line([0i32; MAX_TILE]);
    let first = job.panels.start * nr;
    // Only what follows an activation is shifted, and an integer product costs as much as the rest of an epilogue.
    let shifted = a.shifts[..a.rows()].iter().any(|shift| *shift != 0);
    let LinearScratch {
        unpacked,
        #[cfg(target_arch = "x86_64")]
            few: together,
        #[cfg(target_arch = "aarch64")]
            chains: scratch,
    } = job.scratch;
    #[cfg(target_arch = "x86_64")]
    let few = (!job.panels.is_empty() && few::fits(dot.isa, a.rows(), &w.panel(job.panels.start)))
        .then(|| few::Rows::of(a, together));
    #[cfg(target_arch = "aarch64")]
    let chained = w
        .chains()
        .filter(|_| chains::fits(dot.isa, a, shifted, job.add));
    #[cfg(target_arch = "aarch64")]
    if chained.is_some() {
        // SAFETY: NEON is the architecture's baseline.
        unsafe { scratch.turn(a) };
    }
    // Whole panels of int8 weights lie one after the other.
    #[cfg(target_arch = "aarch64")]
    if chained.is_none()
        && a.rows().is_multiple_of(mr)
        && fused::fits(dot.isa, k_groups, shifted, job.add)
        && let Some(weights) = w.whole_panels(job.panels.clone())
    {
        let columns = first..job.panels.end * nr;
        let mut job = fused::Job {
            a: a.data.as_slice(),
            scales: a.scales(),
            shifts: &a.shifts[..a.rows()],
            shifted,
            weights,
            w_scale: &job.w_scale[columns.clone()],
            w_sums: w.sums_of(job.panels),
            bias: &job.bias[columns],
            out: job.out,
            ldo,
            add: job.add,
        };
        // SAFETY: the caller's; the shape fits.
        unsafe { fused::panels(dot.isa, k_groups, &mut job) };
        return;
    }
    for panel in job.panels.clone() {
        let columns = panel * nr..w.n().min((panel + 1) * nr);
        let comp = w.comp(panel);
        let channels = Channels {
            w_sums: w.sums(panel),
            w_scale: &job.w_scale[columns.clone()],
            bias: &job.bias[columns.clone()],
        };
        #[cfg(target_arch = "x86_64")]
        if let Some(few) = &few {
            // SAFETY: the caller's.
            unsafe { few.multiply(k_groups, w.panel(panel), comp, &mut acc.0) };
            let rows = Rows {
                acc: &acc.0,
                scales: a.scales(),
                shifts: &a.shifts[..a.rows()],
                out: &mut job.out[columns.start - first..],
                ldo,
                shifted,
                add: job.add,
            };
            rows.finish(nr, &channels);
            continue;
        }
        // One row, if not few were above, is multiplied by int4 weights as they are; for more, a panel of them is unpacked first.
        let (weights, nibbles) = match w.panel(panel) {
            Panel::Int4(nibbles) if a.rows() == 1 => (&[][..], Some(nibbles)),
            // SAFETY: the caller's.
            weights => (unsafe { weights.int8(dot, unpacked) }, None),
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
        #[cfg(target_arch = "aarch64")]
        if a.rows().is_multiple_of(mr)
            && columns.len() == nr
            && fused::fits(dot.isa, k_groups, shifted, job.add)
        {
            let mut job = fused::Job {
                a: a.data.as_slice(),
                scales: a.scales(),
                shifts: &a.shifts[..a.rows()],
                shifted,
                weights,
                w_scale: channels.w_scale,
                w_sums: channels.w_sums,
                bias: channels.bias,
                out,
                ldo,
                add: job.add,
            };
            if let Some(chains) = chained
                && let Some(rests) = chains.panel(panel)
            {
                // SAFETY: the caller's; the shape fits, and `scratch` has been given these rows.
                unsafe { chains::panel(chains.k(), rests, &mut job, scratch) };
                continue;
            }
            // SAFETY: the caller's; the shape fits.
            unsafe { fused::panels(dot.isa, k_groups, &mut job) };
            continue;
        }
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
            #[cfg(target_arch = "x86_64")]
            if fused::fits(dot.isa, scales.len(), columns.len()) {
                let (here, rest) = out.split_at_mut(out.len().min(mr * ldo));
                out = rest;
                let rows = fused::Rows {
                    a: rows,
                    scales,
                    shifts: &a.shifts[row_panel * mr..],
                };
                let columns = fused::Columns {
                    w: weights,
                    comp,
                    w_sums: channels.w_sums,
                    w_scale: channels.w_scale,
                    bias: channels.bias,
                };
                let tile = match (shifted, job.add, alone) {
                    (false, false, false) => fused::tile::<false, false, false>,
                    (false, true, false) => fused::tile::<false, true, false>,
                    (true, false, false) => fused::tile::<true, false, false>,
                    (true, true, false) => fused::tile::<true, true, false>,
                    (false, false, true) => fused::tile::<false, false, true>,
                    (false, true, true) => fused::tile::<false, true, true>,
                    (true, false, true) => fused::tile::<true, false, true>,
                    (true, true, true) => fused::tile::<true, true, true>,
                };
                // SAFETY: the caller's.
                unsafe { tile(k_groups, &rows, &columns, here, ldo, ahead) };
                continue;
            }
            // SAFETY: the caller's.
            unsafe {
                if let Some(nibbles) = nibbles {
                    dot.one_row(k_groups, rows, nibbles, comp, &mut acc.0);
                } else {
                    let count = scales.len();
                    dot.run(count, k_groups, rows, weights, comp, &mut acc.0, nr, ahead);
                }
            }
            let (here, rest) = out.split_at_mut(out.len().min(mr * ldo));
            out = rest;
            let rows = Rows {
                acc: &acc.0,
                scales,
                shifts: &a.shifts[row_panel * mr..][..scales.len()],
                out: here,
                ldo,
                shifted,
                add: job.add,
            };
            rows.finish(nr, &channels);
        }
    }
}
