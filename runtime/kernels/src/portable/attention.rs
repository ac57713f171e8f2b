//! Causal int8 attention: both products are integer tiles, the softmax between them is online over absolute kv tiles.
#![allow(
    clippy::needless_range_loop,
    reason = "lanes and rows are counted, so that each loop reads as the one vector operation it becomes"
)]

use core::f32::consts::LOG2_E;

use super::lanes::{LANES, Line, tree_max_rows, tree_sum_rows};
use super::math::{ROUND, exp2, exp2_of_negative, fma, max};
use super::rows::TINY;
use crate::dot::{Dot, Layout, MAX_MR};
use crate::kernels::{Attention, AttentionScratch, NonFinite};
use crate::kv::KV_TILE;
use crate::pack::scatter;

/// Rows that go through a pass together, so that they share the narrow steps of its reduction; divides mr of every layout.
const GROUP: usize = 4;

/// Vectors of a row of scores.
const CHUNKS: usize = KV_TILE / LANES;

/// State of the online softmax and what one kv tile does to it, one entry a row of a panel.
struct Rows {
    /// What a score is multiplied by, beside the key's scale.
    c: [f32; MAX_MR],
    /// Largest score so far.
    m: [f32; MAX_MR],
    /// Sum of the weights so far.
    l: [f32; MAX_MR],
    /// Keys of this tile that the row sees.
    valid: [usize; MAX_MR],
    /// This tile: `o = o * alpha + sum * scale`.
    alpha: [f32; MAX_MR],
    scale: [f32; MAX_MR],
    /// What makes bytes of this tile's weights.
    inverse: [f32; MAX_MR],
}

/// One kv tile as the softmax of a row panel sees it.
struct Keys<'a> {
    k_scale: &'a [f32; KV_TILE],
    v_scale: &'a [f32; KV_TILE],
    /// Vectors of keys that some row of the panel sees.
    chunks: usize,
}

/// First pass: the scores `t` of `R` rows, and the largest of each. If `MASKED`, keys from `valid` on do not take part.
#[inline(always)]
fn score<const R: usize, const MASKED: bool>(
    scores: &[[i32; KV_TILE]; R],
    keys: &Keys<'_>,
    c: &[f32; R],
    valid: &[usize; R],
    t: &mut [[f32; KV_TILE]; R],
) -> [f32; R] {
    let mut lanes = [[0.0f32; LANES]; R];
    let chunks = if MASKED { keys.chunks } else { CHUNKS };
    for r in 0..R {
        let k_scale = keys.k_scale.as_chunks::<LANES>().0;
        let (acc, t) = (scores[r].as_chunks::<LANES>().0, t[r].as_chunks_mut().0);
        // The accumulator of a row lives in a register: that takes a variable of its own.
        let mut top = [f32::NEG_INFINITY; LANES];
        for (chunk, ((t, acc), k_scale)) in
            t.iter_mut().zip(acc).zip(k_scale).enumerate().take(chunks)
        {
            // All that is read before all that is written: so the compiler may use whole vectors.
            let mut x = [0.0f32; LANES];
            for i in 0..LANES {
                let score = (acc[i] as f32 * k_scale[i]) * c[r];
                let seen = !MASKED || chunk * LANES + i < valid[r];
                x[i] = if seen { score } else { f32::NEG_INFINITY };
            }
            for i in 0..LANES {
                top[i] = max(x[i], top[i]);
            }
            *t = x;
        }
        lanes[r] = top;
    }
    tree_max_rows(&lanes)
}

/// Second pass: scores become weights times the values' scales, in place; the sum of the weights and the largest product of each row.
#[inline(always)]
fn weigh<const R: usize, const MASKED: bool>(
    keys: &Keys<'_>,
    m: &[f32; R],
    valid: &[usize; R],
    t: &mut [[f32; KV_TILE]; R],
) -> ([f32; R], [f32; R]) {
    let mut sums = [[0.0f32; LANES]; R];
    let mut peaks = [[0.0f32; LANES]; R];
    let chunks = if MASKED { keys.chunks } else { CHUNKS };
    for r in 0..R {
        let v_scale = keys.v_scale.as_chunks::<LANES>().0;
        let t = t[r].as_chunks_mut::<LANES>().0;
        let (mut sum, mut peak) = ([0.0f32; LANES], [0.0f32; LANES]);
        for (chunk, (t, v_scale)) in t.iter_mut().zip(v_scale).enumerate().take(chunks) {
            let mut x = *t;
            for i in 0..LANES {
                let p = exp2_of_negative(x[i] - m[r]);
                // exp2 of minus infinity is its smallest value, not zero.
                let seen = !MASKED || chunk * LANES + i < valid[r];
                x[i] = if seen { p } else { 0.0 };
            }
            for i in 0..LANES {
                sum[i] += x[i];
                x[i] *= v_scale[i];
                peak[i] = max(x[i], peak[i]);
            }
            *t = x;
        }
        (sums[r], peaks[r]) = (sum, peak);
    }
    (tree_sum_rows(&sums), tree_max_rows(&peaks))
}

/// [`softmax_as`], `MASKED` only where some row does not see the `whole` tile.
#[inline(always)]
fn softmax<const R: usize>(
    layout: Layout,
    scores: &[i32],
    keys: &Keys<'_>,
    (groups, whole, rows, t): (usize, bool, &mut Rows, &mut [[f32; KV_TILE]; MAX_MR]),
    p: &mut [u8],
) {
    if whole {
        softmax_as::<R, false>(layout, groups, scores, keys, rows, t, p);
    } else {
        softmax_as::<R, true>(layout, groups, scores, keys, rows, t, p);
    }
}

/// The online softmax of the first `groups * R` rows of a panel against one kv tile; quantised weights for the values go to `p`.
///
/// Each pass goes over all rows before the next begins: no row waits for its own reduction.
#[inline(always)]
fn softmax_as<const R: usize, const MASKED: bool>(
    layout: Layout,
    groups: usize,
    scores: &[i32],
    keys: &Keys<'_>,
    rows: &mut Rows,
    t: &mut [[f32; KV_TILE]; MAX_MR],
    p: &mut [u8],
) {
    for group in 0..groups {
        let at = group * R;
        let t = first_mut(&mut t[at..]);
        let scores = first(&scores.as_chunks().0[at..]);
        let (c, valid) = (first(&rows.c[at..]), first(&rows.valid[at..]));
        let top: [f32; R] = score::<R, MASKED>(scores, keys, c, valid, t);
        for r in 0..R {
            let new = max(top[r], rows.m[at + r]);
            rows.alpha[at + r] = exp2(rows.m[at + r] - new);
            rows.m[at + r] = new;
        }
    }
    for group in 0..groups {
        let at = group * R;
        let (m, valid) = (first(&rows.m[at..]), first(&rows.valid[at..]));
        let (sum, amax): ([f32; R], _) =
            weigh::<R, MASKED>(keys, m, valid, first_mut(&mut t[at..]));
        for r in 0..R {
            rows.l[at + r] = fma(rows.l[at + r], rows.alpha[at + r], sum[r]);
            // With a factor of zero every weight becomes the zero it has to be.
            let some = amax[r] >= TINY;
            rows.inverse[at + r] = if some { 255.0 / amax[r] } else { 0.0 };
            rows.scale[at + r] = if some { amax[r] / 255.0 } else { 0.0 };
        }
    }
    let flip = layout.offset ^ 0x80;
    let seen = LANES * if MASKED { keys.chunks } else { CHUNKS };
    for row in 0..groups * R {
        let mut weights = Line([flip; KV_TILE]);
        for (byte, w) in weights.0[..seen].iter_mut().zip(&t[row][..seen]) {
            *byte = (*w * rows.inverse[row] + ROUND).to_bits() as u8 ^ flip;
        }
        scatter(&weights.0, p, layout.mr, row, layout.kr);
    }
}

#[inline(always)]
fn first<T, const N: usize>(slice: &[T]) -> &[T; N] {
    slice.first_chunk().expect("a panel's rows")
}

#[inline(always)]
fn first_mut<T, const N: usize>(slice: &mut [T]) -> &mut [T; N] {
    slice.first_chunk_mut().expect("a panel's rows")
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
    let mut between = Line([[0.0f32; KV_TILE]; MAX_MR]);
    for (row_panel, q_scale) in q.scales().chunks(mr).enumerate() {
        let rows = q_scale.len();
        let first = position + row_panel * mr;
        let mut state = Rows {
            c: [0.0; MAX_MR],
            m: [f32::NEG_INFINITY; MAX_MR],
            l: [0.0; MAX_MR],
            valid: [0; MAX_MR],
            alpha: [1.0; MAX_MR],
            scale: [0.0; MAX_MR],
            inverse: [0.0; MAX_MR],
        };
        for (c, q_scale) in state.c.iter_mut().zip(q_scale) {
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
                chunks: span.div_ceil(LANES),
            };
            for (i, valid) in state.valid.iter_mut().enumerate() {
                *valid = KV_TILE.min((first + i + 1).saturating_sub(start));
            }
            // Rows that only fill a group up are computed from what the scores held, and never used.
            let whole = state.valid[0] == KV_TILE;
            let groups = rows.div_ceil(GROUP);
            let panel = (groups, whole, &mut state, &mut between.0);
            if rows == 1 {
                softmax::<1>(dot.layout, scores, &keys, panel, p.as_mut_slice());
            } else {
                softmax::<GROUP>(dot.layout, scores, &keys, panel, p.as_mut_slice());
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
            for (i, (alpha, scale)) in state
                .alpha
                .into_iter()
                .zip(state.scale)
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
