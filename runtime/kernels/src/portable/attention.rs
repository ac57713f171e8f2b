//! Causal int8 attention: both products are integer tiles, the softmax between them is online over absolute kv tiles.
#![allow(
    clippy::needless_range_loop,
    reason = "rows of a panel are counted, so that each loop reads as the one vector operation it becomes"
)]

use core::f32::consts::LOG2_E;

use super::math::{exp2, fma, max};
#[cfg(target_arch = "aarch64")]
use crate::dot::aarch64::attention as fused;
use crate::dot::{Dot, Layout, MAX_MR};
use crate::kernels::{Attention, AttentionScratch, Heads, NonFinite};
use crate::kv::KV_TILE;
use crate::softmax::{BIAS, FRACTION, Found, Rows, UNIT};

/// 2^exponent, at least the smallest normal number.
#[inline(always)]
fn power(exponent: i32) -> f32 {
    f32::from_bits(((exponent + 127).max(1) as u32) << 23)
}

/// State of the online softmax, one entry a row of a panel.
struct Online {
    /// Largest score so far.
    m: [f32; MAX_MR],
    /// Sum of the weights so far, relative to that.
    l: [f32; MAX_MR],
    /// What the last tile does to the output: `o = o * alpha + sum * scale`.
    alpha: [f32; MAX_MR],
    scale: [f32; MAX_MR],
}

impl Online {
    /// Takes in what the softmax found in a tile. Rows before `from` do not see the tile; `c` makes scores of their tops.
    #[inline(always)]
    fn take(&mut self, mr: usize, found: &Found, c: &[f32; MAX_MR], from: usize) {
        // A power of two of rows, so that they fill vectors.
        for i in 0..mr.next_power_of_two() {
            let tile_top = found.top[i] * c[i];
            let m = max(tile_top, self.m[i]);
            let (alpha, beta) = (exp2(self.m[i] - m), exp2(tile_top - m));
            let sum = found.sum[i] as f32 * (1.0 / (1 << UNIT) as f32);
            let l = fma(self.l[i], alpha, sum * beta);
            (self.m[i], self.l[i]) = if i < from {
                (self.m[i], self.l[i])
            } else {
                (m, l)
            };
            self.alpha[i] = alpha;
            // A step of u is 2^15 / inverse of w; one of w is 2^-UNIT * 2^(BIAS - e) of weight times value's scale.
            let step = (1 << (15 - UNIT)) as f32 / found.inverse[i].max(1) as f32;
            self.scale[i] = (beta * step) * power(BIAS - found.e[i]);
        }
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
        let mut online = Online {
            m: [f32::NEG_INFINITY; MAX_MR],
            l: [0.0; MAX_MR],
            alpha: [0.0; MAX_MR],
            scale: [0.0; MAX_MR],
        };
        let mut c = [0.0; MAX_MR];
        for (c, q_scale) in c.iter_mut().zip(q_scale) {
            *c = q_scale * factor;
        }
        let mut told = Rows {
            // A query of zeros has scores of zero, whatever multiplies them; one so large that this overflows is refused below.
            c: c.map(|c| (c * (1 << FRACTION) as f32).clamp(f32::MIN_POSITIVE, f32::MAX)),
            valid: [KV_TILE; MAX_MR],
        };
        output.fill(0.0);
        let tiles = &kv[..=(first + rows - 1) / KV_TILE];
        for (t, tile) in tiles.iter().enumerate() {
            // What comes after this tile: the next one, or the first of the next head.
            let (after, after_head) = match tiles.get(t + 1) {
                Some(after) => (after, head),
                None => (&tiles[0], (head + 1) % heads.count),
            };
            let start = t * KV_TILE;
            let span = KV_TILE.min(first + rows - start);
            #[cfg(target_arch = "aarch64")]
            let fused = rows == mr && fused::fits(dot.isa, dim);
            #[cfg(not(target_arch = "aarch64"))]
            let fused = false;
            #[cfg(target_arch = "aarch64")]
            if fused {
                let (k, _) = tile.panels(layout, heads, head);
                let q = q.panel(row_panel);
                // SAFETY: the caller's.
                unsafe { fused::scores(dot.isa, dim, q, k, span.div_ceil(nr), scores) };
            }
            for panel in 0..(if fused { 0 } else { span.div_ceil(nr) }) {
                let (k, comp) = tile.k_panel(layout, heads, head, panel);
                let (ahead, _) = after.k_panel(layout, heads, after_head, panel);
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
                    tile.keys(head),
                    &told,
                    &mut found,
                    p,
                )
            };
            let from = start.saturating_sub(first);
            online.take(mr, &found, &c, from);
            #[cfg(target_arch = "aarch64")]
            if fused && from == 0 {
                let update = fused::Update {
                    p,
                    v: tile.panels(layout, heads, head).1,
                    v_comp: tile.v_comp(layout, heads, head),
                    alpha: &online.alpha,
                    scale: &online.scale,
                };
                // SAFETY: the caller's.
                unsafe { fused::update(dot.isa, dim, &update, output) };
                continue;
            }
            // The sum of the values spans the whole tile, so the product it completes has to as well.
            let groups = if signed {
                KV_TILE / kr
            } else {
                span.div_ceil(kr)
            };
            for panel in 0..v_panels {
                let v = tile.v_panel(layout, heads, head, panel);
                let ahead = after.v_panel(layout, heads, after_head, panel);
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
            accumulate(&online, from..rows, output, sums, v_comp, ldv);
        }
        for i in 0..rows {
            if !online.m[i].is_finite() {
                return Err(NonFinite {
                    row: row_panel * mr + i,
                    found: online.m[i],
                });
            }
            let inverse = 1.0 / online.l[i];
            let out = &mut out[(row_panel * mr + i) * ldo..][..dim];
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
    rows: core::ops::Range<usize>,
    output: &mut [f32],
    sums: &[i32],
    v_comp: Option<&[i32]>,
    ldv: usize,
) {
    for i in rows {
        let (alpha, scale) = (online.alpha[i], online.scale[i]);
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
