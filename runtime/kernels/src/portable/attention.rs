//! Causal int8 attention: both products are integer tiles, the softmax between them is online over absolute kv tiles.

use core::f32::consts::LOG2_E;

use super::lanes::{LANES, Line, tree_max_rows, tree_sum_rows};
use super::math::{ROUND, exp2, exp2_of_negative, fma, max};
use super::rows::TINY;
use crate::dot::{Dot, Layout, MAX_MR};
use crate::kernels::{Attention, AttentionScratch, NonFinite};
use crate::kv::KV_TILE;
use crate::pack::scatter;

/// Rows whose softmax is computed together, so that one division, one exponential and one reduction serve them all; divides mr
/// of every layout but for single rows.
const GROUP: usize = 4;

/// State of the online softmax, one entry a row of a panel.
struct State {
    m: [f32; MAX_MR],
    l: [f32; MAX_MR],
}

/// What one kv tile does to the rows of a panel: `o = o * alpha + sum * scale`.
struct Steps {
    alpha: [f32; MAX_MR],
    scale: [f32; MAX_MR],
}

/// One kv tile as the softmax of a row panel sees it.
struct Keys<'a> {
    k_scale: &'a [f32; KV_TILE],
    v_scale: &'a [f32; KV_TILE],
    /// Keys that some row of the panel sees.
    span: usize,
}

/// Scores of `R` rows against one kv tile become quantised weights for the values. If `MASKED`, keys from `valid` on do not
/// take part; otherwise all do.
#[inline(always)]
#[allow(clippy::too_many_arguments, reason = "what a row panel holds")]
fn softmax<const R: usize, const MASKED: bool>(
    scores: &[[i32; KV_TILE]; R],
    keys: &Keys<'_>,
    c: &[f32; R],
    valid: &[usize; R],
    m: &mut [f32; R],
    l: &mut [f32; R],
    flip: u8,
    weights: &mut [[u8; KV_TILE]; R],
) -> ([f32; R], [f32; R]) {
    // Lanes past the span hold no score; they weigh nothing.
    let chunks = if MASKED {
        keys.span.div_ceil(LANES)
    } else {
        KV_TILE / LANES
    };
    let mut t = Line([[0.0f32; KV_TILE]; R]);
    let t = &mut t.0;
    let mut lanes = [[0.0f32; LANES]; R];
    for r in 0..R {
        let k_scale = keys.k_scale.as_chunks::<LANES>().0;
        let (acc, t) = (scores[r].as_chunks::<LANES>().0, t[r].as_chunks_mut().0);
        // Accumulators of a row live in registers: that takes a variable of their own.
        let mut top = [f32::NEG_INFINITY; LANES];
        for ((t, acc), (chunk, k_scale)) in t
            .iter_mut()
            .zip(acc)
            .zip(k_scale.iter().enumerate().take(chunks))
        {
            let t: &mut [f32; LANES] = t;
            for i in 0..LANES {
                let score = (acc[i] as f32 * k_scale[i]) * c[r];
                let seen = !MASKED || chunk * LANES + i < valid[r];
                t[i] = if seen { score } else { f32::NEG_INFINITY };
                top[i] = max(t[i], top[i]);
            }
        }
        lanes[r] = top;
    }
    let tile_max = tree_max_rows(&lanes);
    let mut alpha = [0.0; R];
    for r in 0..R {
        let new = max(tile_max[r], m[r]);
        alpha[r] = exp2(m[r] - new);
        m[r] = new;
    }
    let mut sums = [[0.0f32; LANES]; R];
    let mut peaks = [[0.0f32; LANES]; R];
    for r in 0..R {
        let v_scale = keys.v_scale.as_chunks::<LANES>().0;
        let t = t[r].as_chunks_mut::<LANES>().0;
        let (mut sum, mut peak) = ([0.0f32; LANES], [0.0f32; LANES]);
        for (t, (chunk, v_scale)) in t.iter_mut().zip(v_scale.iter().enumerate().take(chunks)) {
            for i in 0..LANES {
                let p = exp2_of_negative(t[i] - m[r]);
                // exp2 of minus infinity is its smallest value, not zero.
                let seen = !MASKED || chunk * LANES + i < valid[r];
                let p = if seen { p } else { 0.0 };
                sum[i] += p;
                t[i] = p * v_scale[i];
                peak[i] = max(t[i], peak[i]);
            }
        }
        (sums[r], peaks[r]) = (sum, peak);
    }
    let (sum, amax) = (tree_sum_rows(&sums), tree_max_rows(&peaks));
    let (mut inverse, mut scale) = ([0.0; R], [0.0; R]);
    for r in 0..R {
        l[r] = fma(l[r], alpha[r], sum[r]);
        // With a factor of zero every weight becomes the zero it has to be.
        let some = amax[r] >= TINY;
        inverse[r] = if some { 255.0 / amax[r] } else { 0.0 };
        scale[r] = if some { amax[r] / 255.0 } else { 0.0 };
    }
    for r in 0..R {
        // Lanes past the span hold what another tile left.
        let seen = chunks * LANES;
        for (byte, w) in weights[r][..seen].iter_mut().zip(&t[r][..seen]) {
            *byte = (*w * inverse[r] + ROUND).to_bits() as u8 ^ flip;
        }
    }
    (alpha, scale)
}

/// [`softmax`] of rows `first_row..first_row + R` of a panel, and their weights to their place in `p`.
#[inline(always)]
#[allow(clippy::too_many_arguments, reason = "what a row panel holds")]
fn softmax_group<const R: usize>(
    dot: &Dot,
    scores: &[i32],
    keys: &Keys<'_>,
    (c, valid): (&[f32; MAX_MR], &[usize; MAX_MR]),
    first_row: usize,
    state: &mut State,
    steps: &mut Steps,
    p: &mut [u8],
) {
    let Layout { mr, kr, offset, .. } = dot.layout;
    let flip = offset ^ 0x80;
    let rows = first_row..first_row + R;
    let (scores, _) = scores[first_row * KV_TILE..].as_chunks::<KV_TILE>();
    let scores: &[[i32; KV_TILE]; R] = scores.first_chunk().expect("a row of scores each");
    let c: &[f32; R] = c[rows.clone()].try_into().expect("R rows");
    let valid: &[usize; R] = valid[rows.clone()].try_into().expect("R rows");
    let m: &mut [f32; R] = (&mut state.m[rows.clone()]).try_into().expect("R rows");
    let l: &mut [f32; R] = (&mut state.l[rows.clone()]).try_into().expect("R rows");
    let mut weights = Line([[flip; KV_TILE]; R]);
    let weights = &mut weights.0;
    let whole = valid.iter().all(|valid| *valid == KV_TILE);
    let (alpha, scale) = if whole {
        softmax::<R, false>(scores, keys, c, valid, m, l, flip, weights)
    } else {
        softmax::<R, true>(scores, keys, c, valid, m, l, flip, weights)
    };
    steps.alpha[rows.clone()].copy_from_slice(&alpha);
    steps.scale[rows].copy_from_slice(&scale);
    for (r, weights) in weights.iter().enumerate() {
        scatter(weights, p, mr, first_row + r, kr);
    }
}

/// Attention of the rows in `q` (the first at position `job.position`), for one head, into columns `0..dim` of `out`.
///
/// # Safety
/// This machine must have the instruction set of `dot`.
#[inline(always)]
pub(crate) unsafe fn attend(
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
        let mut state = State {
            m: [f32::NEG_INFINITY; MAX_MR],
            l: [0.0; MAX_MR],
        };
        let mut c = [0.0; MAX_MR];
        for (c, q_scale) in c.iter_mut().zip(q_scale) {
            *c = q_scale * factor;
        }
        output[..rows * ldv].fill(0.0);
        for (t, tile) in kv[..=(first + rows - 1) / KV_TILE].iter().enumerate() {
            let start = t * KV_TILE;
            let span = KV_TILE.min(first + rows - start);
            for panel in 0..span.div_ceil(nr) {
                let (k, comp) = tile.k_panel(head, panel);
                // SAFETY: the caller's.
                unsafe {
                    dot.run(
                        rows,
                        k_groups,
                        q.panel(row_panel),
                        k,
                        comp,
                        &mut scores[panel * nr..],
                        KV_TILE,
                        k,
                    )
                };
            }
            let (k_scale, v_scale) = tile.scales(head);
            let keys = Keys {
                k_scale,
                v_scale,
                span,
            };
            let mut valid = [0; MAX_MR];
            for (i, valid) in valid.iter_mut().enumerate() {
                *valid = KV_TILE.min((first + i + 1).saturating_sub(start));
            }
            let mut steps = Steps {
                alpha: [1.0; MAX_MR],
                scale: [0.0; MAX_MR],
            };
            let mut row = 0;
            while row < rows {
                let (c, p) = ((&c, &valid), &mut p[..]);
                if rows - row == 1 {
                    softmax_group::<1>(dot, scores, &keys, c, row, &mut state, &mut steps, p);
                    row += 1;
                } else {
                    // Rows that only fill a group up are computed from what the scores held, and never used.
                    softmax_group::<GROUP>(dot, scores, &keys, c, row, &mut state, &mut steps, p);
                    row += GROUP;
                }
            }
            // The sum of the values spans the whole tile, so the product it completes has to as well.
            let groups = if flip == 0 {
                span.div_ceil(kr)
            } else {
                KV_TILE / kr
            };
            for panel in 0..v_panels {
                let v = tile.v_panel(head, panel);
                // SAFETY: the caller's.
                unsafe {
                    dot.run(
                        rows,
                        groups,
                        p.as_slice(),
                        v,
                        zeros,
                        &mut sums[panel * nr..],
                        ldv,
                        v,
                    )
                };
            }
            for (i, (alpha, scale)) in steps
                .alpha
                .into_iter()
                .zip(steps.scale)
                .enumerate()
                .take(rows)
            {
                // A row that ends before this tile keeps its output untouched, signs of zeros included.
                if first + i < start {
                    continue;
                }
                let (output, sums) = (&mut output[i * ldv..][..ldv], &sums[i * ldv..][..ldv]);
                if flip == 0 {
                    for (o, sum) in output.iter_mut().zip(sums) {
                        *o = fma(*sum as f32, scale, *o * alpha);
                    }
                } else {
                    for ((o, sum), v) in output.iter_mut().zip(sums).zip(tile.v_sum(head)) {
                        *o = fma((*sum + 128 * v) as f32, scale, *o * alpha);
                    }
                }
            }
        }
        for (i, (m, l)) in state.m.into_iter().zip(state.l).enumerate().take(rows) {
            if !m.is_finite() {
                return Err(NonFinite {
                    row: row_panel * mr + i,
                    found: m,
                });
            }
            let inverse = 1.0 / l;
            let out = &mut out[(row_panel * mr + i) * ldo..][..dim];
            for (out, o) in out.iter_mut().zip(&output[i * ldv..]) {
                *out = *o * inverse;
            }
        }
    }
    Ok(())
}
