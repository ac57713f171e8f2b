//! A whole panel of queries against all kv tiles that they see, by the products of `attention`.

use super::arm::{Arm, Update};
use super::attention::{finish, fits, scores, update};
use crate::arithmetic::online::Online;
use crate::arithmetic::softmax::{QueryRows, RowStats, Scores};
use crate::jobs::{AttentionScratch, NonFinite};
use crate::layout::{KV_TILE, Layout};
use crate::operands::kv::HeadPanels;
use crate::set::QueryPanel;

/// See [`InstructionSet::attend_panel`](crate::set::InstructionSet::attend_panel): for heads of whole panels and turns.
///
/// # Safety
/// As there.
#[inline(always)]
pub(crate) unsafe fn attend_panel<A: Arm>(
    panel: &QueryPanel<'_>,
    scratch: &mut AttentionScratch,
    out: &mut [f32],
    ldo: usize,
) -> Option<Result<(), NonFinite>> {
    let QueryPanel { heads, head, .. } = *panel;
    if !fits::<A>(heads.dim) {
        return None;
    }
    let layout = A::LAYOUT;
    let Layout { mr, nr, .. } = layout;
    let mut stats = RowStats::EMPTY;
    let mut online = Online::new();
    let mut query_rows = QueryRows::of(panel.c);
    let output = &mut scratch.output[..];
    output.fill(0.0);
    for (t, tile) in panel.tiles.iter().enumerate() {
        // Of this tile and those that follow, the keys that a number of rows see.
        let keys = |rows: usize| panel.visible.keys(rows) - t * KV_TILE;
        let span = KV_TILE.min(keys(mr));
        let HeadPanels { k, v, .. } = tile.panels(layout, heads, head);
        let whole = keys(1) >= KV_TILE;
        if !whole {
            for (row, valid) in query_rows.valid[..mr].iter_mut().enumerate() {
                *valid = KV_TILE.min(keys(row + 1));
            }
        }
        let panels = span.div_ceil(nr);
        // SAFETY: the caller's.
        unsafe { scores::<A>(heads.dim, panel.q, k, panels, &mut scratch.scores) };
        let of = Scores {
            rows: mr,
            whole,
            signed: !A::UNSIGNED,
            scores: scratch.scores.as_chunks().0,
            keys: tile.keys(layout, heads, head),
            query_rows: &query_rows,
        };
        // SAFETY: the caller's; `scores` has checked that there are mr rows of scores, `update` does so for weights.
        unsafe { A::softmax(&of, &mut stats, &mut scratch.p) };
        online.take(mr, &stats, panel.c, 0);
        let what = Update {
            p: &scratch.p,
            span,
            v,
            v_correction: tile.v_correction(layout, heads, head),
            factors: online.factors(mr).both,
        };
        // SAFETY: the caller's.
        unsafe { update::<A>(heads.dim, &what, output) };
    }
    if let Some((row, found)) = online.non_finite(mr) {
        return Some(Err(NonFinite { row, found }));
    }
    // SAFETY: the caller's.
    unsafe { finish::<A>(heads.dim, output, &online.l, out, ldo) };
    Some(Ok(()))
}
