//! Causal int8 attention: both products are integer tiles, the softmax between them is online over absolute kv tiles.
#![allow(
    clippy::needless_range_loop,
    reason = "rows of a panel are counted, so that each loop reads as the one vector operation it becomes"
)]

use core::f32::consts::LOG2_E;

use super::math::fma;
use super::online::Online;
#[cfg(target_arch = "aarch64")]
use crate::dot::aarch64::{attend, attention as fused};
#[cfg(target_arch = "x86_64")]
use crate::dot::x86::{self, update};
use crate::dot::{Dot, Layout, MAX_MR};
use crate::kernels::{Attention, AttentionRow, AttentionScratch, Heads, NonFinite};
use crate::kv::KV_TILE;
use crate::softmax::{Found, Rows};

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
    // With a width known when this is compiled, panels have a known size and rows of the output are a few vectors. 64 is every
    // published ImageGPT's.
    if job.heads.dim == 64 {
        let heads = Heads {
            count: job.heads.count,
            dim: 64,
        };
        // SAFETY: the caller's.
        return unsafe { attend_heads(dot, heads, job, scratch) };
    }
    // SAFETY: the caller's.
    unsafe { attend_heads(dot, job.heads, job, scratch) }
}

/// Attention of one query, head by head or several heads at a time.
///
/// # Safety
/// As [`attend`].
#[inline(always)]
pub(crate) unsafe fn attend_row(
    dot: &Dot,
    job: AttentionRow<'_>,
    scratch: &mut AttentionScratch,
) -> Result<(), NonFinite> {
    let dim = job.heads.dim;
    #[cfg(target_arch = "x86_64")]
    if update::fits(dot.isa, dim) {
        // SAFETY: the caller's.
        return unsafe { x86::attend::attend_row(job) };
    }
    for (i, (q, out)) in job.q.iter().zip(job.out.chunks_exact_mut(dim)).enumerate() {
        let job = Attention {
            heads: job.heads,
            head: job.first + i,
            q,
            kv: job.kv,
            position: job.position,
            scale: job.scale,
            out,
            ldo: dim,
        };
        // SAFETY: the caller's.
        unsafe { attend(dot, job, scratch) }?;
    }
    Ok(())
}

/// [`attend`] with the heads handed in, so that the compiler may know their width.
///
/// # Safety
/// As [`attend`].
#[inline(always)]
unsafe fn attend_heads(
    dot: &Dot,
    heads: Heads,
    job: Attention<'_>,
    scratch: &mut AttentionScratch,
) -> Result<(), NonFinite> {
    let Attention {
        head,
        q,
        kv,
        position,
        scale,
        out,
        ldo,
        ..
    } = job;
    let layout = dot.layout;
    let Layout { mr, nr, kr, offset } = layout;
    // The weights of the values are 0..=255. A tile that multiplies unsigned bytes takes them as they are; one that
    // multiplies signed bytes takes u - 128, and 128 times the sum of the values is added back.
    let signed = offset == 0;
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
    let (scores, sums, p) = (&mut scores[..], &mut sums[..], p.as_mut_slice());
    let output = &mut output[..];
    let mut found = Found::EMPTY;
    for (row_panel, q_scale) in q.scales().chunks(mr).enumerate() {
        let rows = q_scale.len();
        let first = position + row_panel * mr;
        // Whole panels whose rows all see the same tiles have products of their own, output included.
        #[cfg(target_arch = "aarch64")]
        let fused = rows == mr
            && first / KV_TILE == (first + rows - 1) / KV_TILE
            && fused::fits(dot.isa, dim);
        #[cfg(not(target_arch = "aarch64"))]
        let fused = false;
        let mut online = Online::new();
        let mut c = [0.0; MAX_MR];
        for (c, q_scale) in c.iter_mut().zip(q_scale) {
            *c = q_scale * factor;
        }
        let mut told = Rows::of(&c);
        output.fill(0.0);
        let mut tiles = &kv[..=(first + rows - 1) / KV_TILE];
        #[cfg(target_arch = "aarch64")]
        if fused {
            let panel = attend::Panel {
                heads,
                head,
                q: q.panel(row_panel),
                c: &c,
                first,
                tiles,
            };
            let work = attend::Tile {
                scores,
                p,
                found: &mut found,
            };
            // SAFETY: the caller's.
            unsafe { attend::attend(dot, &panel, &mut told, &mut online, work, output) };
        }
        if fused {
            tiles = &[];
        }
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
            let span = KV_TILE.min(first + rows - start);
            for panel in 0..span.div_ceil(nr) {
                let (k, comp) = panels.keys(panel);
                let (ahead, _) = after.keys(panel);
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
                        ahead,
                    )
                };
            }
            let whole = first >= start + KV_TILE - 1;
            if !whole {
                // A row that ends before this tile is given one key, and nothing of that is used.
                for (row, valid) in told.valid.iter_mut().enumerate() {
                    *valid = (first + row + 1).saturating_sub(start).clamp(1, KV_TILE);
                }
            }
            // SAFETY: the caller's; `scores` has mr rows and `p` mr * KV_TILE bytes.
            unsafe {
                (dot.softmax)(
                    layout,
                    rows,
                    whole,
                    scores.as_chunks().0,
                    tile.keys(layout, heads, head),
                    &told,
                    &mut found,
                    p,
                )
            };
            let from = start.saturating_sub(first);
            online.take(mr, &found, &c, from);
            #[cfg(target_arch = "x86_64")]
            if rows == mr && from == 0 && update::fits(dot.isa, dim) {
                for panel in 0..v_panels {
                    let (v, ahead) = (panels.values(panel), after.values(panel));
                    let (groups, output) = (span.div_ceil(kr), &mut output[panel * nr..]);
                    // SAFETY: the caller's.
                    unsafe {
                        update::update(groups, p, v, &online.factors(mr), output, ldv, ahead)
                    };
                }
                continue;
            }
            // The sum of the values spans the whole tile, so the product it completes has to as well.
            let groups = if signed {
                KV_TILE / kr
            } else {
                span.div_ceil(kr)
            };
            for panel in 0..v_panels {
                let (v, ahead) = (panels.values(panel), after.values(panel));
                // SAFETY: the caller's.
                unsafe {
                    dot.run(
                        rows,
                        groups,
                        p,
                        v,
                        zeros,
                        &mut sums[panel * nr..],
                        ldv,
                        ahead,
                    )
                };
            }
            let v_comp = signed.then(|| tile.v_comp(layout, heads, head));
            accumulate(&online, mr, from..rows, output, sums, v_comp, ldv);
        }
        if let Some(i) = (0..rows).find(|i| !online.m[*i].is_finite()) {
            return Err(NonFinite {
                row: row_panel * mr + i,
                found: online.m[i],
            });
        }
        let out = &mut out[row_panel * mr * ldo..];
        #[cfg(target_arch = "aarch64")]
        if fused {
            // SAFETY: the caller's.
            unsafe { fused::finish(dot.isa, dim, output, &online.l, out, ldo) };
            continue;
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

/// Adds the values of one tile to the output of `rows`. Others keep theirs untouched, signs of zeros included.
#[inline(always)]
fn accumulate(
    online: &Online,
    mr: usize,
    rows: core::ops::Range<usize>,
    output: &mut [f32],
    sums: &[i32],
    v_comp: Option<&[i32]>,
    ldv: usize,
) {
    for i in rows {
        let (alpha, scale) = online.factors_of(mr, i);
        let (output, sums) = (&mut output[i * ldv..][..ldv], &sums[i * ldv..][..ldv]);
        if let Some(v_comp) = v_comp {
            for ((o, sum), v) in output.iter_mut().zip(sums).zip(v_comp) {
                *o = fma((*sum + v) as f32, scale, *o * alpha);
            }
        } else {
            for (o, sum) in output.iter_mut().zip(sums) {
                *o = fma(*sum as f32, scale, *o * alpha);
            }
        }
    }
}
