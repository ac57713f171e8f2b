//! The int8 linear layer over a block of rows: tiles of integer dot products, each followed by its epilogue.

use super::lanes::Line;
use super::math::fma;
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
            let channels = Channels {
                w_sums: w.sums(panel),
                w_scale: &job.w_scale[columns.clone()],
                bias: &job.bias[columns],
            };
            rows.finish_panel(nr, &channels);
            continue;
        }
        // One row is multiplied by int4 weights as they are; for more, a panel of them is unpacked first.
        let (weights, nibbles) = match w.panel(panel) {
            Panel::Int4(nibbles) if a.rows() == 1 => (&[][..], Some(nibbles)),
            // SAFETY: the caller's.
            weights => (unsafe { weights.int8(dot, unpacked) }, None),
        };
        let channels = Channels {
            w_sums: w.sums(panel),
            w_scale: &job.w_scale[columns.clone()],
            bias: &job.bias[columns.clone()],
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
            rows.finish_panel(nr, &channels);
        }
    }
}

/// What a tile's columns need on their way out.
struct Channels<'a> {
    w_sums: &'a [i32],
    /// One a column: how many there are.
    w_scale: &'a [f32],
    bias: &'a [f32],
}

/// A tile of sums on its way out.
struct Rows<'a> {
    acc: &'a [i32],
    /// One a row: how many there are.
    scales: &'a [f32],
    shifts: &'a [i32],
    out: &'a mut [f32],
    ldo: usize,
    /// Whether some shift is not zero.
    shifted: bool,
    add: bool,
}

impl Rows<'_> {
    /// The columns of a panel of `nr` that the matrix has.
    #[inline(always)]
    fn finish_panel(self, nr: usize, channels: &Channels<'_>) {
        // A width known when this is compiled is worth a fifth of a layer with a short k.
        match (channels.w_scale.len(), nr) {
            (32, 32) => self.finish::<32>(channels),
            (16, 16) => self.finish::<16>(channels),
            // All rows of a small tile: then the loop over them costs nothing either.
            (8, 8) if self.scales.len() == 8 => Rows {
                scales: array::<8, _>(self.scales),
                ..self
            }
            .finish::<8>(channels),
            (8, 8) => self.finish::<8>(channels),
            (4, 4) => self.finish::<4>(channels),
            _ => self.finish_some(nr, channels),
        }
    }

    /// All `NR` columns of a panel.
    #[inline(always)]
    fn finish<const NR: usize>(self, channels: &Channels<'_>) {
        match (self.shifted, self.add) {
            (false, false) => self.finish_as::<NR, false, false>(channels),
            (false, true) => self.finish_as::<NR, false, true>(channels),
            (true, false) => self.finish_as::<NR, true, false>(channels),
            (true, true) => self.finish_as::<NR, true, true>(channels),
        }
    }

    #[inline(always)]
    fn finish_as<const NR: usize, const SHIFTED: bool, const ADD: bool>(
        self,
        channels: &Channels<'_>,
    ) {
        let (w_scale, bias) = (
            array::<NR, _>(channels.w_scale),
            array::<NR, _>(channels.bias),
        );
        let w_sums = array::<NR, _>(channels.w_sums);
        let last = (self.scales.len() - 1) * self.ldo;
        assert!(
            self.out.len() >= NR && self.out.len() - NR >= last,
            "rows of output"
        );
        let mut at = self.out.as_mut_ptr();
        let rows = self.acc.as_chunks::<NR>().0.iter().zip(self.scales);
        for ((acc, scale), shift) in rows.zip(self.shifts) {
            // SAFETY: `NR` values from `at` on are within `self.out`, for the last row too, as was checked just above.
            let out = unsafe { &mut *at.cast::<[f32; NR]>() };
            let mut y = [0.0; NR];
            for j in 0..NR {
                let acc = if SHIFTED {
                    acc[j] + shift * w_sums[j]
                } else {
                    acc[j]
                };
                y[j] = fma(acc as f32, scale * w_scale[j], bias[j]);
            }
            if ADD {
                for j in 0..NR {
                    out[j] += y[j];
                }
            } else {
                *out = y;
            }
            // Past the last row it points nowhere, and nothing reads it.
            at = at.wrapping_add(self.ldo);
        }
    }

    /// The columns of a panel of `nr` that the matrix has.
    #[inline(always)]
    fn finish_some(self, nr: usize, channels: &Channels<'_>) {
        let n = channels.w_scale.len();
        let rows = self.acc.chunks_exact(nr).zip(self.scales).zip(self.shifts);
        for (((acc, scale), shift), out) in rows.zip(self.out.chunks_mut(self.ldo)) {
            for j in 0..n {
                let acc = acc[j] + shift * channels.w_sums[j];
                let y = fma(acc as f32, scale * channels.w_scale[j], channels.bias[j]);
                out[j] = if self.add { out[j] + y } else { y };
            }
        }
    }
}

#[inline(always)]
fn array<const N: usize, T>(slice: &[T]) -> &[T; N] {
    slice.first_chunk().expect("a panel's worth")
}
