//! A whole panel of queries against all kv tiles that they see, by the products of `attention`.

use super::attention::{Update, scores, unsigned, update};
use crate::dot::{Dot, Layout, MAX_MR};
use crate::kernels::Heads;
use crate::kv::{HeadPanels, KV_TILE, KvInt8};
use crate::portable::online::Online;
use crate::softmax::{Found, Rows};

/// The queries of a panel, all of which see all of `tiles`: of the last tile as much as is not after them.
pub(crate) struct Panel<'a> {
    pub(crate) heads: Heads,
    pub(crate) head: usize,
    pub(crate) q: &'a [u8],
    /// What makes scores of each row's products.
    pub(crate) c: &'a [f32; MAX_MR],
    /// Where the first of them is.
    pub(crate) first: usize,
    pub(crate) tiles: &'a [KvInt8],
}

/// Working memory: scores and weights of a tile, and what the softmax found in it.
pub(crate) struct Tile<'a> {
    pub(crate) scores: &'a mut [i32],
    pub(crate) p: &'a mut [u8],
    pub(crate) found: &'a mut Found,
}

/// Takes all tiles into `online` and `output`, which `attention::finish` divides. The keys that rows see of the
/// last one are written to `told`.
///
/// # Safety
/// This machine must have the instruction set of `dot`, for which `attention::fits` said yes.
#[inline(always)]
pub(crate) unsafe fn attend(
    dot: &Dot,
    panel: &Panel<'_>,
    told: &mut Rows,
    online: &mut Online,
    work: Tile<'_>,
    output: &mut [f32],
) {
    let Panel { heads, head, .. } = *panel;
    let layout = dot.layout;
    let Layout { mr, nr, .. } = layout;
    let weights = Layout {
        offset: if unsigned(dot.isa) { 0x80 } else { 0 },
        ..layout
    };
    for (t, tile) in panel.tiles.iter().enumerate() {
        let before = panel.first - t * KV_TILE;
        let span = KV_TILE.min(before + mr);
        let HeadPanels { k, v, .. } = tile.panels(layout, heads, head);
        let whole = before >= KV_TILE - 1;
        if !whole {
            for (row, valid) in told.valid[..mr].iter_mut().enumerate() {
                *valid = KV_TILE.min(before + row + 1);
            }
        }
        // SAFETY: the caller's; `scores` checks that there are mr rows of scores, `update` that of weights.
        unsafe {
            scores(
                dot.isa,
                heads.dim,
                panel.q,
                k,
                span.div_ceil(nr),
                work.scores,
            );
            (dot.softmax)(
                weights,
                mr,
                whole,
                work.scores.as_chunks().0,
                tile.keys(layout, heads, head),
                told,
                work.found,
                work.p,
            );
        }
        online.take(mr, work.found, panel.c, 0);
        let what = Update {
            p: work.p,
            span,
            v,
            v_comp: tile.v_comp(layout, heads, head),
            factors: online.factors(mr),
        };
        // SAFETY: the caller's.
        unsafe { update(dot.isa, heads.dim, &what, output) };
    }
}
