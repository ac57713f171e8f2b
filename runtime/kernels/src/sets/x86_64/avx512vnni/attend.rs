//! Attention of one query on AVX-512 VNNI, several heads at a time.
//!
//! One query of one head is a chain: scores, reductions over them, weights, output, tile after tile. Heads know nothing of each other,
//! so several side by side fill each other's waiting, and share the reductions.
//!
//! All of a tile is read once, in the order in which it lies there (see [`KvInt8`](crate::operands::kv::KvInt8)), and asked for a little ahead. The
//! hardware's own prefetching joins in only with that: with the scales of a tile read after the keys of all its heads, memory gave two
//! thirds as many bytes a second.

use core::arch::x86_64::{
    __m512, __m512i, _mm512_add_epi32, _mm512_cvtepi32_ps, _mm512_loadu_ps, _mm512_loadu_si512,
    _mm512_mul_ps, _mm512_setzero_ps, _mm512_setzero_si512,
};
use core::f32::consts::LOG2_E;

use super::softmax_heads::{Heads, softmax};
use super::softmax_weights::Values;
use super::tile::{self, LANES, LAYOUT, products};
use super::update::add;
use crate::arithmetic::lanes::Line;
use crate::arithmetic::online::Online;
use crate::arithmetic::softmax::{Keys, QueryRows, RowStats};
use crate::jobs::{AttentionRow, NonFinite};
use crate::layout::{KV_TILE, Layout, MAX_MR};

/// How far ahead of itself it asks for keys and values, in bytes. 1 to 3 KiB are alike, a page or more is a tenth slower: there is more to
/// do with a byte than in a layer, and the hardware has found the stream by then.
const AHEAD: usize = 2560;

/// Attention of one query, of heads for which [`update::fits`](super::update::fits) is true.
///
/// # Safety
/// This machine must have AVX-512 VNNI.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
pub(super) unsafe fn attend_row(job: &mut AttentionRow<'_>) -> Result<(), NonFinite> {
    let (mut first, mut queries, mut out) = (job.first, job.q, &mut *job.out);
    let tiles = &job.kv[..=job.position / KV_TILE];
    while !queries.is_empty() {
        // Tiles of one sequence may differ in this: for want of room in a slab one may have memory of its own.
        let group = tiles.iter().map(|tile| tile.rest_of_group(first)).min();
        let count = match queries.len().min(group.unwrap_or(1)) {
            4.. => 4,
            2.. => 2,
            _ => 1,
        };
        let (here, rest) = out.split_at_mut(count * job.heads.dim);
        let q = queries;
        (queries, out) = (&queries[count..], rest);
        let job = AttentionRow {
            heads: job.heads,
            first,
            q,
            kv: job.kv,
            position: job.position,
            scale: job.scale,
            out: here,
        };
        match count {
            4 => attend_heads::<4>(job)?,
            2 => attend_heads::<2>(job)?,
            _ => attend_heads::<1>(job)?,
        }
        first += count;
    }
    Ok(())
}

/// The first `R` heads of a job, which are of one group. If there are more, their first keys are asked for in the end.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn attend_heads<const R: usize>(job: AttentionRow<'_>) -> Result<(), NonFinite> {
    let Layout { mr, nr, kr, .. } = LAYOUT;
    let AttentionRow {
        heads,
        first,
        q: queries,
        kv,
        position,
        scale,
        out,
    } = job;
    let dim = heads.dim;
    let tiles = &kv[..=position / KV_TILE];
    let then = (queries.len() > R).then(|| tiles[0].of_heads(first + R..first + R + 1)[0]);
    let queries = &queries[..R];
    let factor = scale * LOG2_E;
    let mut c = [0.0; MAX_MR];
    for (c, q) in c.iter_mut().zip(queries) {
        *c = q.scales()[0] * factor;
    }
    let mut query_rows = QueryRows::of(&c);
    let mut stats = RowStats::EMPTY;
    let mut online = Online::new();
    let mut p = Line([[0; KV_TILE]; R]);
    out.fill(0.0);
    for (t, tile) in tiles.iter().enumerate() {
        let seen = KV_TILE.min(position + 1 - t * KV_TILE);
        let [keys, values] = tile.of_heads(first..first + R);
        let mut scored = Heads::<R>::zero();
        for (r, q) in queries.iter().enumerate() {
            let mut sums = [[_mm512_setzero_si512(); 2]; KV_TILE / LAYOUT.nr];
            let panels = tile.panels(LAYOUT, heads, first + r);
            for (panel, sums) in sums.iter_mut().enumerate().take(seen.div_ceil(nr)) {
                let (k, _) = panels.keys(panel);
                *sums = product(dim / kr, q.panel(0), mr * kr, k, ahead(k, keys, values));
            }
            let of = tile.keys(LAYOUT, heads, first + r);
            scored.a[r] = scaled(sums, panels.correction, &of);
            scored.values[r] = Values::load(of.v_mantissa, of.v_shift);
        }
        query_rows.valid = [seen; MAX_MR];
        softmax(seen == KV_TILE, &scored, &query_rows, &mut stats, &mut p.0);
        online.take(mr, &stats, &c, 0);
        let after = tiles
            .get(t + 1)
            .map(|after| after.of_heads(first..first + R)[0]);
        let after = after.or(then).unwrap_or(values);
        for (r, (p, o)) in p.0.iter().zip(out.chunks_exact_mut(dim)).enumerate() {
            let factors = online.factors_of(mr, r);
            let panels = tile.panels(LAYOUT, heads, first + r);
            for (panel, o) in o.chunks_exact_mut(nr).enumerate() {
                let v = panels.values(panel);
                let sums = product(seen.div_ceil(kr), p, kr, v, ahead(v, values, after));
                let o = o.first_chunk_mut().expect("a panel of the output");
                add(sums, factors, o);
            }
        }
    }
    if let Some((_, found)) = online.non_finite(R) {
        return Err(NonFinite { row: 0, found });
    }
    for (r, o) in out.chunks_exact_mut(dim).enumerate() {
        let inverse = 1.0 / online.l[r];
        for o in o {
            *o *= inverse;
        }
    }
    Ok(())
}

/// What will be read [`AHEAD`] of `panel`, a part of `here`, which `next` follows.
#[inline(always)]
fn ahead(panel: &[u8], here: &[u8], next: &[u8]) -> *const u8 {
    let at = panel.as_ptr().addr() - here.as_ptr().addr() + AHEAD;
    match at.checked_sub(here.len()) {
        None => here.as_ptr().wrapping_add(at),
        Some(at) => next.as_ptr().wrapping_add(at),
    }
}

/// A row `a`, whose groups are `lda` bytes apart, times a panel `w`.
#[inline]
#[target_feature(enable = "avx512f,avx512vnni")]
fn product(k_groups: usize, a: &[u8], lda: usize, w: &[u8], next: *const u8) -> [__m512i; 2] {
    let Layout { nr, kr, .. } = LAYOUT;
    assert!(w.len() >= k_groups * nr * kr && a.len() + lda >= k_groups * lda + kr);
    let zeros = [_mm512_setzero_si512(); 2];
    // SAFETY: as was checked just above.
    let [sums] = unsafe {
        let rows = tile::Rows { a: a.as_ptr(), lda };
        products::<1, 4>(k_groups, rows, w.as_ptr().cast(), zeros, Some(next))
    };
    sums
}

/// Scores of the keys of a tile; of a panel that is not seen anything finite. Where sums should have started is added in the end, because it
/// lies behind the keys.
#[inline]
#[target_feature(enable = "avx512f")]
fn scaled(
    sums: [[__m512i; 2]; KV_TILE / LAYOUT.nr],
    correction: &[i32],
    keys: &Keys<'_>,
) -> [__m512; 4] {
    let correction: &[i32; KV_TILE] = correction.first_chunk().expect("one a key");
    let mut a = [_mm512_setzero_ps(); 4];
    for (i, (a, sum)) in a.iter_mut().zip(sums.as_flattened()).enumerate() {
        // SAFETY: i < 4, and a quarter of as many numbers as a tile has keys fills a vector.
        unsafe {
            let correction = _mm512_loadu_si512(correction.as_ptr().add(i * LANES).cast());
            let scale = _mm512_loadu_ps(keys.k_scale.as_ptr().add(i * LANES));
            *a = _mm512_mul_ps(
                _mm512_cvtepi32_ps(_mm512_add_epi32(*sum, correction)),
                scale,
            );
        }
    }
    a
}
