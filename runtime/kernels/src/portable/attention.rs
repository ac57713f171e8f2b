//! Causal int8 attention: both products are integer tiles, the softmax between them is online over absolute kv tiles.

use core::f32::consts::LOG2_E;

use super::lanes::{LANES, tree_max, tree_sum};
use super::math::{ROUND, exp2, fma, max};
use super::rows::{TINY, quantize};
use crate::dot::{Dot, Layout};
use crate::kernels::{Attention, AttentionScratch, Heads, NonFinite};
use crate::kv::{KV_TILE, KvInt8};
use crate::pack::{PackedRows, scatter};

/// Quantises the q, k and v of `rows` rows of `qkv` `[rows, 3 * heads * dim]`, head by head: q into `q[head]` (rows of a tile),
/// k and v into `tile` from its token `first` on.
#[inline(always)]
pub(crate) fn split(
    layout: Layout,
    heads: Heads,
    qkv: &[f32],
    first: usize,
    q: &mut [PackedRows],
    tile: &mut KvInt8,
) -> Result<(), NonFinite> {
    let Heads { count, dim } = heads;
    let width = count * dim;
    let rows = qkv.len() / (3 * width);
    for (head, q) in q.iter_mut().enumerate().take(count) {
        q.reshape(layout, rows, dim);
        for (row, qkv) in qkv.chunks_exact(3 * width).enumerate() {
            let part = |i: usize| &qkv[i * width + head * dim..][..dim];
            let refuse = |found| NonFinite { row, found };
            q.scales[row] = quantize(part(0), &mut q.bytes, layout.offset).map_err(refuse)?;
            q.store_bytes(layout, row);
            // Keys and values play the part of weights: signed, padded with zeros.
            q.bytes[dim..].fill(0);
            let scale = quantize(part(1), &mut q.bytes, 0).map_err(refuse)?;
            tile.store_k(head, first + row, &q.bytes, scale);
            let scale = quantize(part(2), &mut q.bytes, 0).map_err(refuse)?;
            tile.store_v(head, first + row, &q.bytes[..dim], scale);
            q.bytes[dim..].fill(layout.offset);
        }
    }
    Ok(())
}

/// One row's state in the online softmax.
#[derive(Clone, Copy)]
pub(crate) struct Row {
    m: f32,
    l: f32,
}

/// What one tile does to a row: `o = o * alpha + sum * scale`.
#[derive(Clone, Copy)]
struct Step {
    alpha: f32,
    scale: f32,
}

/// Scores of one row against one kv tile become quantised weights for the values; keys from `valid` on do not take part.
#[inline(always)]
fn softmax_row(
    acc: &[i32; KV_TILE],
    (k_scale, v_scale): (&[f32; KV_TILE], &[f32; KV_TILE]),
    c: f32,
    valid: usize,
    state: &mut Row,
    flip: u8,
    weights: &mut [u8; KV_TILE],
) -> Step {
    let mut t = [0.0f32; KV_TILE];
    for j in 0..KV_TILE {
        t[j] = (acc[j] as f32 * k_scale[j]) * c;
    }
    if valid < KV_TILE {
        for (j, t) in t.iter_mut().enumerate() {
            *t = if j < valid { *t } else { f32::NEG_INFINITY };
        }
    }
    let mut lanes = [f32::NEG_INFINITY; LANES];
    for t in t.as_chunks::<LANES>().0 {
        for i in 0..LANES {
            lanes[i] = max(t[i], lanes[i]);
        }
    }
    let m = max(tree_max(lanes), state.m);
    let mut sums = [0.0f32; LANES];
    let mut peak = [0.0f32; LANES];
    for (t, v_scale) in t
        .as_chunks_mut::<LANES>()
        .0
        .iter_mut()
        .zip(v_scale.as_chunks::<LANES>().0)
    {
        for i in 0..LANES {
            // A masked key is at minus infinity; exp2 would give its smallest value, not zero.
            let p = if t[i] > f32::NEG_INFINITY {
                exp2(t[i] - m)
            } else {
                0.0
            };
            sums[i] += p;
            t[i] = p * v_scale[i];
            peak[i] = max(t[i], peak[i]);
        }
    }
    let alpha = exp2(state.m - m);
    *state = Row {
        m,
        l: fma(state.l, alpha, tree_sum(sums)),
    };
    let amax = tree_max(peak);
    if amax < TINY {
        weights.fill(flip);
        return Step { alpha, scale: 0.0 };
    }
    let inverse = 255.0 / amax;
    for (byte, w) in weights.iter_mut().zip(t) {
        *byte = (w * inverse + ROUND).to_bits() as u8 ^ flip;
    }
    Step {
        alpha,
        scale: amax / 255.0,
    }
}

/// Attention of the rows in `q` (the first at position `job.position`), for one head, into columns `0..dim` of `out`.
#[inline(always)]
pub(crate) fn attend(
    dot: &Dot,
    job: Attention<'_>,
    scratch: &mut AttentionScratch,
) -> Result<(), NonFinite> {
    let Attention {
        heads,
        head,
        q,
        kv,
        position,
        scale,
        out,
        ldo,
    } = job;
    let Layout { mr, nr, kr, offset } = dot.layout;
    // The weights of the values are 0..=255. A tile that multiplies unsigned bytes takes them as they are; one that
    // multiplies signed bytes takes u - 128, and 128 times the sum of the values is added back.
    let flip = offset ^ 0x80;
    let dim = heads.dim;
    let (k_groups, v_panels) = (dim.div_ceil(kr), dim.div_ceil(nr));
    let ldv = v_panels * nr;
    let factor = scale * LOG2_E;
    scratch.reshape(mr, ldv);
    let AttentionScratch {
        scores,
        sums,
        output,
        p,
        zeros,
    } = scratch;
    for (row_panel, q_scale) in q.scales().chunks(mr).enumerate() {
        let rows = q_scale.len();
        let first = position + row_panel * mr;
        let mut state = [Row {
            m: f32::NEG_INFINITY,
            l: 0.0,
        }; 16];
        output[..rows * ldv].fill(0.0);
        for (t, tile) in kv[..=(first + rows - 1) / KV_TILE].iter().enumerate() {
            let start = t * KV_TILE;
            let span = KV_TILE.min(first + rows - start);
            for panel in 0..span.div_ceil(nr) {
                let (k, comp) = tile.k_panel(head, panel);
                dot.run(
                    rows,
                    k_groups,
                    q.panel(row_panel),
                    k,
                    comp,
                    &mut scores[panel * nr..],
                    KV_TILE,
                );
            }
            let scales = tile.scales(head);
            let mut steps = [Step {
                alpha: 1.0,
                scale: 0.0,
            }; 16];
            for i in 0..rows {
                let valid = KV_TILE.min((first + i + 1).saturating_sub(start));
                let mut weights = [flip; KV_TILE];
                if valid > 0 {
                    let acc = scores[i * KV_TILE..]
                        .first_chunk()
                        .expect("a row of scores");
                    let c = q_scale[i] * factor;
                    steps[i] =
                        softmax_row(acc, scales, c, valid, &mut state[i], flip, &mut weights);
                }
                scatter(&weights, p.as_mut_slice(), mr, i, kr);
            }
            // The sum of the values spans the whole tile, so the product it completes has to as well.
            let groups = if flip == 0 {
                span.div_ceil(kr)
            } else {
                KV_TILE / kr
            };
            for panel in 0..v_panels {
                let v = tile.v_panel(head, panel);
                dot.run(
                    rows,
                    groups,
                    p.as_slice(),
                    v,
                    zeros,
                    &mut sums[panel * nr..],
                    ldv,
                );
            }
            for (i, step) in steps.iter().enumerate().take(rows) {
                // A row that ends before this tile keeps its output untouched, signs of zeros included.
                if first + i < start {
                    continue;
                }
                let (output, sums) = (&mut output[i * ldv..][..ldv], &sums[i * ldv..][..ldv]);
                if flip == 0 {
                    for (o, sum) in output.iter_mut().zip(sums) {
                        *o = fma(*sum as f32, step.scale, *o * step.alpha);
                    }
                } else {
                    for ((o, sum), v) in output.iter_mut().zip(sums).zip(tile.v_sum(head)) {
                        *o = fma((*sum + 128 * v) as f32, step.scale, *o * step.alpha);
                    }
                }
            }
        }
        for (i, state) in state.iter().enumerate().take(rows) {
            if !state.m.is_finite() {
                return Err(NonFinite {
                    row: row_panel * mr + i,
                    found: state.m,
                });
            }
            let inverse = 1.0 / state.l;
            let out = &mut out[(row_panel * mr + i) * ldo..][..dim];
            for (out, o) in out.iter_mut().zip(&output[i * ldv..]) {
                *out = *o * inverse;
            }
        }
    }
    Ok(())
}
