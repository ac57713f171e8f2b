//! The int8 linear layer over a block of rows: tiles of integer dot products, each followed by its epilogue.

use super::math::fma;
use crate::dot::{Dot, Layout, MAX_TILE};
use crate::kernels::Linear;

/// `out[i][j] = fma(acc, s_row[i] * s_channel[j], bias[j])`, or that added to what `out` holds; `acc` is the integer product, whatever
/// the row's zero.
///
/// Columns outside, rows inside: a weight panel is read once and stays in the nearest cache while every row panel passes it.
#[inline(always)]
pub(crate) fn linear(dot: &Dot, job: Linear<'_>) {
    let Linear {
        a,
        w,
        w_scale,
        bias,
        out,
        ldo,
        add,
        panels,
    } = job;
    let Layout { mr, nr, .. } = dot.layout;
    let mut acc = [0i32; MAX_TILE];
    let first = panels.start * nr;
    for panel in panels {
        let columns = panel * nr..w.n().min((panel + 1) * nr);
        let (w_scale, bias) = (&w_scale[columns.clone()], &bias[columns.clone()]);
        for (row_panel, scales) in a.scales().chunks(mr).enumerate() {
            dot.run(
                scales.len(),
                w.k_groups(),
                a.panel(row_panel),
                w.panel(panel),
                w.comp(panel),
                &mut acc,
                nr,
            );
            for (i, scale) in scales.iter().enumerate() {
                let acc = &mut acc[i * nr..][..nr];
                let shift = a.shifts[row_panel * mr + i];
                if shift != 0 {
                    for (acc, sum) in acc.iter_mut().zip(w.sums(panel)) {
                        *acc += shift * sum;
                    }
                }
                let out =
                    &mut out[(row_panel * mr + i) * ldo + columns.start - first..][..columns.len()];
                epilogue(acc, *scale, w_scale, bias, out, add);
            }
        }
    }
}

#[inline(always)]
fn epilogue(acc: &[i32], scale: f32, w_scale: &[f32], bias: &[f32], out: &mut [f32], add: bool) {
    let n = out.len();
    let (acc, w_scale, bias) = (&acc[..n], &w_scale[..n], &bias[..n]);
    if add {
        for j in 0..n {
            out[j] += fma(acc[j] as f32, scale * w_scale[j], bias[j]);
        }
    } else {
        for j in 0..n {
            out[j] = fma(acc[j] as f32, scale * w_scale[j], bias[j]);
        }
    }
}
