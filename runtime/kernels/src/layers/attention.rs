//! Int8 attention, causal or of all keys: both products are integer tiles, the softmax between them is online over absolute kv tiles.
#![allow(
    clippy::needless_range_loop,
    reason = "rows of a panel are counted, so that each loop reads as the one vector operation it becomes"
)]

use core::f32::consts::LOG2_E;

use crate::arithmetic::math::fma;
use crate::arithmetic::online::Online;
use crate::arithmetic::softmax::{QueryRows, RowStats, Scores};
use crate::jobs::{Attention, AttentionRow, AttentionScratch, NonFinite, Visible};
use crate::layout::{Heads, KV_TILE, Layout, MAX_MR};
use crate::set::{InstructionSet, QueryPanel, Tile, Values, multiply};

/// Attention of the rows in `q`, for one head, into columns `0..dim` of `out`.
///
/// # Safety
/// This machine must have the instruction set.
#[inline(always)]
pub(crate) unsafe fn attend<S: InstructionSet>(
    job: Attention<'_>,
    scratch: &mut AttentionScratch,
) -> Result<(), NonFinite> {
    let Heads { count, dim } = job.heads;
    // With a width known when this is compiled, panels have a known size and rows of the output are a few vectors. 64 is every
    // published ImageGPT's and MiT's, but for MiT-b0's 32.
    let dim_64 = Heads { count, dim: 64 };
    let dim_32 = Heads { count, dim: 32 };
    // SAFETY: the caller's.
    unsafe {
        match dim {
            64 => attend_heads::<S>(dim_64, job, scratch),
            32 => attend_heads::<S>(dim_32, job, scratch),
            _ => attend_heads::<S>(job.heads, job, scratch),
        }
    }
}

/// Attention of one query, head by head or several heads at a time.
///
/// # Safety
/// As [`attend`].
#[inline(always)]
pub(crate) unsafe fn attend_row<S: InstructionSet>(
    mut job: AttentionRow<'_>,
    scratch: &mut AttentionScratch,
) -> Result<(), NonFinite> {
    // SAFETY: the caller's.
    if let Some(done) = unsafe { S::attend_row(&mut job) } {
        return done;
    }
    let dim = job.heads.dim;
    for (i, (q, out)) in job.q.iter().zip(job.out.chunks_exact_mut(dim)).enumerate() {
        let job = Attention {
            heads: job.heads,
            head: job.first + i,
            q,
            kv: job.kv,
            visible: Visible::Causal {
                position: job.position,
            },
            scale: job.scale,
            out,
            ldo: dim,
        };
        // SAFETY: the caller's.
        unsafe { attend::<S>(job, scratch) }?;
    }
    Ok(())
}

/// [`attend`] with the heads handed in, so that the compiler may know their width.
///
/// # Safety
/// As [`attend`].
#[inline(always)]
unsafe fn attend_heads<S: InstructionSet>(
    heads: Heads,
    job: Attention<'_>,
    scratch: &mut AttentionScratch,
) -> Result<(), NonFinite> {
    let Attention {
        head,
        q,
        kv,
        visible,
        scale,
        out,
        ldo,
        ..
    } = job;
    let layout = S::LAYOUT;
    let Layout { mr, nr, kr, offset } = layout;
    // The weights of the values are 0..=255. A tile that multiplies unsigned bytes takes them as they are; one that
    // multiplies signed bytes takes u - 128, and 128 times the sum of the values is added back.
    let signed = offset == 0;
    let dim = heads.dim;
    let (k_groups, v_panels) = (dim.div_ceil(kr), dim.div_ceil(nr));
    let ldv = v_panels * nr;
    let factor = scale * LOG2_E;
    scratch.reshape(mr, ldv);
    let mut stats = RowStats::EMPTY;
    for (row_panel, q_scale) in q.scales().chunks(mr).enumerate() {
        let rows = q_scale.len();
        // Of the keys, what the first of these rows sees, and what all of them together do.
        let visible = visible.from(row_panel * mr);
        let (least, most) = (visible.keys(1), visible.keys(rows));
        let refused = |e: NonFinite| e.within(row_panel * mr);
        let mut c = [0.0; MAX_MR];
        for (c, q_scale) in c.iter_mut().zip(q_scale) {
            *c = q_scale * factor;
        }
        let tiles = &kv[..most.div_ceil(KV_TILE)];
        let out = &mut out[row_panel * mr * ldo..];
        // Whole panels whose rows all see the same tiles.
        if rows == mr && least.div_ceil(KV_TILE) == tiles.len() {
            let panel = QueryPanel {
                heads,
                head,
                q: q.panel(row_panel),
                c: &c,
                visible,
                tiles,
            };
            // SAFETY: the caller's.
            if let Some(done) = unsafe { S::attend_panel(&panel, scratch, out, ldo) } {
                done.map_err(refused)?;
                continue;
            }
        }
        let AttentionScratch {
            scores,
            sums,
            output,
            p,
            zeros,
        } = &mut *scratch;
        let (scores, sums, p) = (&mut scores[..], &mut sums[..], p.as_mut_slice());
        let output = &mut output[..];
        let mut online = Online::new();
        let mut query_rows = QueryRows::of(&c);
        output.fill(0.0);
        for (t, tile) in tiles.iter().enumerate() {
            // What comes after this tile: the next one, or the first of the next head. One row reads on and on: there it follows.
            let (after, after_head) = match tiles.get(t + 1) {
                _ if rows == 1 => (tile, head),
                Some(after) => (after, head),
                None => (&tiles[0], (head + 1) % heads.count),
            };
            let panels = tile.panels(layout, heads, head);
            let after = after.panels(layout, heads, after_head);
            let start = t * KV_TILE;
            let span = KV_TILE.min(most - start);
            for panel in 0..span.div_ceil(nr) {
                let (k, correction) = panels.keys(panel);
                let (ahead, _) = after.keys(panel);
                let product = Tile {
                    rows,
                    k_groups,
                    a: q.panel(row_panel),
                    w: k,
                    correction,
                    ahead,
                };
                // SAFETY: the caller's.
                unsafe { multiply::<S>(&product, &mut scores[panel * nr..], KV_TILE) };
            }
            let whole = least >= start + KV_TILE;
            if !whole {
                // A row that ends before this tile is given one key, and nothing of that is used.
                for (row, valid) in query_rows.valid.iter_mut().enumerate() {
                    *valid = visible
                        .keys(row + 1)
                        .saturating_sub(start)
                        .clamp(1, KV_TILE);
                }
            }
            let of = Scores {
                rows,
                whole,
                signed,
                scores: scores.as_chunks().0,
                keys: tile.keys(layout, heads, head),
                query_rows: &query_rows,
            };
            // SAFETY: the caller's; `scores` has mr rows and `p` mr * KV_TILE bytes.
            unsafe { S::softmax(&of, &mut stats, p) };
            let from = (start + 1).saturating_sub(least);
            online.take(mr, &stats, &c, from);
            if rows == mr && from == 0 {
                let values = Values {
                    dim,
                    span,
                    p,
                    panels,
                    after,
                    factors: online.factors(mr),
                };
                // SAFETY: the caller's.
                if unsafe { S::update(&values, output, ldv) } {
                    continue;
                }
            }
            // The sum of the values spans the whole tile, so the product it completes has to as well.
            let groups = if signed {
                KV_TILE / kr
            } else {
                span.div_ceil(kr)
            };
            for panel in 0..v_panels {
                let product = Tile {
                    rows,
                    k_groups: groups,
                    a: p,
                    w: panels.values(panel),
                    correction: zeros,
                    ahead: after.values(panel),
                };
                // SAFETY: the caller's.
                unsafe { multiply::<S>(&product, &mut sums[panel * nr..], ldv) };
            }
            let sums = Sums {
                sums,
                v_correction: signed.then(|| tile.v_correction(layout, heads, head)),
                ldv,
            };
            accumulate(&online, mr, from..rows, output, &sums);
        }
        if let Some((row, found)) = online.non_finite(rows) {
            return Err(refused(NonFinite { row, found }));
        }
        for i in 0..rows {
            let inverse = 1.0 / online.l[i];
            let out = &mut out[i * ldo..][..dim];
            for (out, o) in out.iter_mut().zip(&output[i * ldv..][..dim]) {
                *out = *o * inverse;
            }
        }
    }
    Ok(())
}

/// The products of weights and values.
struct Sums<'a> {
    sums: &'a [i32],
    /// What they lack where weights are taken as signed.
    v_correction: Option<&'a [i32]>,
    /// Distance between rows.
    ldv: usize,
}

/// Adds the values of one tile to the output of `rows`. Others keep theirs untouched, signs of zeros included.
#[inline(always)]
fn accumulate(
    online: &Online,
    mr: usize,
    rows: core::ops::Range<usize>,
    output: &mut [f32],
    sums: &Sums<'_>,
) {
    let Sums {
        sums,
        v_correction,
        ldv,
    } = *sums;
    for i in rows {
        let (alpha, scale) = online.factors_of(mr, i);
        let (output, sums) = (&mut output[i * ldv..][..ldv], &sums[i * ldv..][..ldv]);
        if let Some(v_correction) = v_correction {
            for ((o, sum), v) in output.iter_mut().zip(sums).zip(v_correction) {
                *o = fma((*sum + v) as f32, scale, *o * alpha);
            }
        } else {
            for (o, sum) in output.iter_mut().zip(sums) {
                *o = fma(*sum as f32, scale, *o * alpha);
            }
        }
    }
}
