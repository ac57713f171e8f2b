//! Causal f32 attention, for f32 files: the same online softmax over the same kv tiles, nothing quantised.

use core::f32::consts::LOG2_E;

use crate::arithmetic::lanes::tree_sum;
use crate::arithmetic::math::{exp2, fma, max};
use crate::jobs::{AttentionF32, NonFinite};
use crate::layout::KV_TILE;

/// Attention of one query row of one head. `keys` and `values` hold one row a token, `stride` apart, up to and including the query.
#[inline(always)]
pub(crate) fn attend(job: AttentionF32<'_>) -> Result<(), NonFinite> {
    let AttentionF32 {
        q,
        keys,
        values,
        stride,
        tokens,
        scale,
        out,
    } = job;
    let dim = q.len();
    let factor = scale * LOG2_E;
    let (mut m, mut l) = (f32::NEG_INFINITY, 0.0f32);
    out.fill(0.0);
    for start in (0..tokens).step_by(KV_TILE) {
        let valid = KV_TILE.min(tokens - start);
        let mut t = [f32::NEG_INFINITY; KV_TILE];
        let mut m_new = m;
        for (j, t) in t.iter_mut().enumerate().take(valid) {
            let k = &keys[(start + j) * stride..][..dim];
            let mut score = 0.0;
            for (q, k) in q.iter().zip(k) {
                score = fma(*q, *k, score);
            }
            *t = score * factor;
            if !t.is_finite() {
                return Err(NonFinite {
                    row: tokens - 1,
                    found: *t,
                });
            }
            m_new = max(*t, m_new);
        }
        let alpha = exp2(m - m_new);
        let mut sums = [0.0f32; 16];
        for (j, t) in t.iter_mut().enumerate().take(valid) {
            *t = exp2(*t - m_new);
            sums[j % 16] += *t;
        }
        l = fma(l, alpha, tree_sum(sums));
        m = m_new;
        for o in out.iter_mut() {
            *o *= alpha;
        }
        for (j, p) in t.iter().enumerate().take(valid) {
            let v = &values[(start + j) * stride..][..dim];
            for (o, v) in out.iter_mut().zip(v) {
                *o = fma(*p, *v, *o);
            }
        }
    }
    let inverse = 1.0 / l;
    for o in out {
        *o *= inverse;
    }
    Ok(())
}
