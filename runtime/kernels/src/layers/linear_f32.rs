//! The f32 linear layer: each output is one chain of fused multiply-adds over k, in order, starting from the bias.

use crate::arithmetic::math::fma;
use crate::jobs::LinearF32;

/// Rows computed together, so that a weight panel's vector is used this often for one load.
const MR: usize = 6;

#[inline(always)]
pub(crate) fn linear(job: LinearF32<'_>) {
    let LinearF32 {
        a,
        lda,
        rows,
        w,
        bias,
        out,
        ldo,
        add,
        panels,
    } = job;
    let first = panels.start * 16;
    for panel in panels {
        let columns = panel * 16..w.n().min((panel + 1) * 16);
        let mut start = [0.0; 16];
        start[..columns.len()].copy_from_slice(&bias[columns.clone()]);
        let mut row = 0;
        while row < rows {
            let here = MR.min(rows - row);
            let sums = if here == MR {
                tile::<MR>(&a[row * lda..], lda, w.k(), w.panel(panel), start)
            } else {
                let mut sums = [start; MR];
                for (i, sum) in sums.iter_mut().enumerate().take(here) {
                    [*sum] = tile::<1>(&a[(row + i) * lda..], lda, w.k(), w.panel(panel), start);
                }
                sums
            };
            for (i, sum) in sums.iter().enumerate().take(here) {
                let out = &mut out[(row + i) * ldo + columns.start - first..][..columns.len()];
                for (out, sum) in out.iter_mut().zip(sum) {
                    *out = if add { *out + *sum } else { *sum };
                }
            }
            row += here;
        }
    }
}

#[inline(always)]
fn tile<const ROWS: usize>(
    a: &[f32],
    lda: usize,
    k: usize,
    w: &[[f32; 16]],
    start: [f32; 16],
) -> [[f32; 16]; ROWS] {
    let rows: [&[f32]; ROWS] = core::array::from_fn(|i| &a[i * lda..][..k]);
    let mut sums = [start; ROWS];
    for (x, w) in w[..k].iter().enumerate() {
        for i in 0..ROWS {
            let a = rows[i][x];
            for j in 0..16 {
                sums[i][j] = fma(a, w[j], sums[i][j]);
            }
        }
    }
    sums
}
