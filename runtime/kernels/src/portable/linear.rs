//! The int8 linear layer over a block of rows: tiles of integer dot products, each followed by its epilogue.

use super::lanes::Line;
use super::math::fma;
use crate::dot::{Dot, Layout, MAX_TILE};
use crate::kernels::Linear;

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
    let Linear { a, w, .. } = job;
    let mut acc = Line([0i32; MAX_TILE]);
    let first = job.panels.start * nr;
    for panel in job.panels.clone() {
        let columns = panel * nr..w.n().min((panel + 1) * nr);
        let weights = w.panel(panel);
        // While the rows pass this panel, the next one comes nearer, a share with each tile: weights are read from afar once a
        // call, and no tile has to wait for them.
        let next = if panel + 1 < job.panels.end {
            w.panel(panel + 1)
        } else {
            weights
        };
        let mut ahead = next.chunks((weights.len() / 4).max(1));
        for (row_panel, scales) in a.scales().chunks(mr).enumerate() {
            // SAFETY: the caller's.
            unsafe {
                dot.run(
                    scales.len(),
                    w.k_groups(),
                    a.panel(row_panel),
                    weights,
                    w.comp(panel),
                    &mut acc.0,
                    nr,
                    ahead.next().unwrap_or(weights),
                )
            };
            let rows = Rows {
                acc: &mut acc.0,
                scales,
                shifts: &a.shifts[row_panel * mr..],
                w_sums: w.sums(panel),
                w_scale: &job.w_scale[columns.clone()],
                bias: &job.bias[columns.clone()],
                out: &mut job.out[row_panel * mr * job.ldo + columns.start - first..],
                ldo: job.ldo,
                add: job.add,
            };
            // A width known when this is compiled is worth a fifth of a layer with a short k.
            match (columns.len(), nr) {
                (32, 32) => rows.finish::<32>(),
                (16, 16) => rows.finish::<16>(),
                (8, 8) => rows.finish::<8>(),
                (4, 4) => rows.finish::<4>(),
                _ => rows.finish_some(nr),
            }
        }
    }
}

/// A tile of sums on its way out.
struct Rows<'a> {
    acc: &'a mut [i32],
    /// One a row: how many there are.
    scales: &'a [f32],
    shifts: &'a [i32],
    w_sums: &'a [i32],
    /// One a column: how many there are.
    w_scale: &'a [f32],
    bias: &'a [f32],
    out: &'a mut [f32],
    ldo: usize,
    add: bool,
}

impl Rows<'_> {
    /// All `NR` columns of a panel.
    #[inline(always)]
    fn finish<const NR: usize>(self) {
        // Only what follows an activation is shifted, and an integer product costs as much as the rest of this.
        match (
            self.shifts[..self.scales.len()]
                .iter()
                .any(|shift| *shift != 0),
            self.add,
        ) {
            (false, false) => self.finish_as::<NR, false, false>(),
            (false, true) => self.finish_as::<NR, false, true>(),
            (true, false) => self.finish_as::<NR, true, false>(),
            (true, true) => self.finish_as::<NR, true, true>(),
        }
    }

    #[inline(always)]
    fn finish_as<const NR: usize, const SHIFTED: bool, const ADD: bool>(self) {
        let (w_scale, bias) = (array::<NR, _>(self.w_scale), array::<NR, _>(self.bias));
        let w_sums = array::<NR, _>(self.w_sums);
        let rows = self.acc.as_chunks::<NR>().0.iter().zip(self.scales);
        let outs = self.out.chunks_mut(self.ldo);
        for (((acc, scale), shift), out) in rows.zip(self.shifts).zip(outs) {
            let out: &mut [f32; NR] = out.first_chunk_mut().expect("a row of output");
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
        }
    }

    /// The columns of a panel of `nr` that the matrix has.
    #[inline(always)]
    fn finish_some(self, nr: usize) {
        let n = self.w_scale.len();
        let rows = self.acc.chunks_exact(nr).zip(self.scales).zip(self.shifts);
        for (((acc, scale), shift), out) in rows.zip(self.out.chunks_mut(self.ldo)) {
            for j in 0..n {
                let acc = acc[j] + shift * self.w_sums[j];
                let y = fma(acc as f32, scale * self.w_scale[j], self.bias[j]);
                out[j] = if self.add { out[j] + y } else { y };
            }
        }
    }
}

#[inline(always)]
fn array<const N: usize, T>(slice: &[T]) -> &[T; N] {
    slice.first_chunk().expect("a panel's worth")
}
