//! Both products of int8 attention for all rows of a panel: the scores of a kv tile, and its values into the
//! output.
//!
//! [`Tile`](crate::dot::Tile) starts anew for every panel of columns. Here one stretch of code walks all
//! panels of a kv tile, whose sums go from registers to where they are wanted: scores to memory, weighed
//! values into `o * alpha + sum * scale`.
//!
//! The output stays in the order of the registers until its last tile is in (`update`). i8mm multiplies
//! unsigned weights by signed values, so that keys which no row of the panel sees need not be multiplied.

use core::arch::asm;
use core::mem::MaybeUninit;

use super::linear::{ZEROS, turn};
use crate::dot::{Layout, MAX_MR};
use crate::isa::Isa;
use crate::kv::KV_TILE;
use crate::portable::lanes::Line;

/// Whether these products are here for `isa`, of heads of `dim` whole groups of k.
pub(crate) const fn fits(isa: Isa, dim: usize) -> bool {
    let Layout { nr, .. } = Layout::of(isa);
    let known = matches!(isa, Isa::Neon | Isa::Dotprod | Isa::I8mm);
    known && dim > 0 && dim.is_multiple_of(turn(isa)) && dim.is_multiple_of(nr)
}

/// Whether `update` wants weights as they are, not less 128.
pub(crate) const fn unsigned(isa: Isa) -> bool {
    matches!(isa, Isa::I8mm)
}

/// The scores of all rows of the panel `q` with the first keys of `k`, `panels` panels of them, to rows of
/// `scores`.
///
/// # Safety
/// This machine must have `isa`, for which `fits` said yes, and the operands must be laid out for it.
#[inline(always)]
pub(crate) unsafe fn scores(
    isa: Isa,
    dim: usize,
    q: &[u8],
    k: &[u8],
    panels: usize,
    scores: &mut [i32],
) {
    let Layout { mr, nr, .. } = Layout::of(isa);
    assert!(fits(isa, dim) && panels > 0 && panels * nr <= KV_TILE);
    assert!(q.len() >= mr * dim && k.len() >= panels * nr * dim && scores.len() >= mr * KV_TILE);
    let turns = dim / turn(isa);
    let (q, k, scores) = (q.as_ptr(), k.as_ptr(), scores.as_mut_ptr());
    // SAFETY: the lengths were checked just above; the caller vouches for the rest.
    unsafe {
        match (isa, dim) {
            (Isa::I8mm, 64) => i8mm::scores_64(turns, panels, q, k, scores),
            (Isa::I8mm, _) => i8mm::scores(turns, panels, q, k, scores),
            (Isa::Dotprod, 64) => dotprod::scores_64(turns, panels, q, k, scores),
            (Isa::Dotprod, _) => dotprod::scores(turns, panels, q, k, scores),
            (_, 64) => neon::scores_64(turns, panels, q, k, scores),
            _ => neon::scores(turns, panels, q, k, scores),
        }
    }
}

/// What a kv tile's values are to do to the output of a panel of rows.
pub(crate) struct Update<'a> {
    /// Weights of the tile's keys, less 128 if they are not `unsigned`.
    pub(crate) p: &'a [u8],
    /// How many keys from the first on may have weights that are not 0.
    pub(crate) span: usize,
    /// All panels of the values.
    pub(crate) v: &'a [u8],
    /// 128 times the sum of each column of `v`.
    pub(crate) v_comp: &'a [i32],
    /// alpha of each row, then scale of each.
    pub(crate) factors: &'a [f32],
}

/// `o = fma(sum, scale, o * alpha)` for all rows of a panel, `dim` wide each, of the weights themselves.
///
/// # Safety
/// As [`scores`].
#[inline(always)]
pub(crate) unsafe fn update(isa: Isa, dim: usize, update: &Update<'_>, output: &mut [f32]) {
    let Layout { mr, nr, kr, .. } = Layout::of(isa);
    let Update {
        p,
        span,
        v,
        v_comp,
        factors,
    } = *update;
    assert!(fits(isa, dim) && KV_TILE.is_multiple_of(turn(isa)) && 0 < span && span <= KV_TILE);
    assert!(p.len() >= mr * KV_TILE && v.len() >= dim * KV_TILE);
    assert!(v_comp.len() >= dim && factors.len() >= 2 * mr && output.len() >= mr * dim);
    let (panels, output) = (dim / nr, output.as_mut_ptr());
    // SAFETY: the lengths were checked just above; the caller vouches for the rest.
    unsafe {
        match isa {
            Isa::I8mm if span < KV_TILE => {
                i8mm::update_some(span.div_ceil(kr), panels, update, output);
            }
            Isa::I8mm => i8mm::update(1, panels, update, output),
            Isa::Dotprod => dotprod::update(1, panels, update, output),
            _ => neon::update(1, panels, update, output),
        }
    }
}

/// `out = o * (1 / l)` for all rows of a panel, `dim` wide each and `ldo` apart in `out`.
///
/// # Safety
/// As [`scores`].
#[inline(always)]
pub(crate) unsafe fn finish(
    isa: Isa,
    dim: usize,
    output: &[f32],
    l: &[f32; MAX_MR],
    out: &mut [f32],
    ldo: usize,
) {
    let Layout { mr, nr, .. } = Layout::of(isa);
    assert!(fits(isa, dim) && output.len() >= mr * dim);
    assert!(out.len() >= (mr - 1) * ldo + dim);
    let (panels, output, out) = (dim / nr, output.as_ptr(), out.as_mut_ptr());
    // SAFETY: the lengths were checked just above; the caller vouches for the rest.
    unsafe {
        match isa {
            Isa::I8mm => i8mm::finish(panels, output, l, out, ldo),
            Isa::Dotprod => dotprod::finish(panels, output, l, out, ldo),
            _ => neon::finish(panels, output, l, out, ldo),
        }
    }
}

/// How far it is from the last row of a panel of columns to the first of the next, `ldo` bytes between rows.
const fn back(layout: Layout, ldo: usize) -> usize {
    (layout.nr * size_of::<f32>()).wrapping_sub((layout.mr - 1) * ldo)
}

mod i8mm {
    use super::{Isa, KV_TILE, Layout, Line, MAX_MR, MaybeUninit, Update, ZEROS, asm, back};

    const LAYOUT: Layout = Layout::of(Isa::I8mm);
    scores_fn!(scores_64, i8mm, "neon,i8mm", i8mm_groups!("smmla", 8));
    scores_fn!(scores, i8mm, "neon,i8mm", turns!(i8mm_turn!()));
    update_fn!(update, i8mm, "neon,i8mm", i8mm_groups!("usmmla", 8));
    update_fn!(
        update_some,
        i8mm,
        "neon,i8mm",
        concat!(turns!(i8mm_turn!(unsigned)), "add {w}, {w}, {skip}\n")
    );
    finish_fn!(i8mm, "neon");
}

mod dotprod {
    use super::{Isa, KV_TILE, Layout, Line, MAX_MR, MaybeUninit, Update, ZEROS, asm, back};

    const LAYOUT: Layout = Layout::of(Isa::Dotprod);
    scores_fn!(scores_64, dotprod, "neon,dotprod", dotprod_turn!(64));
    scores_fn!(scores, dotprod, "neon,dotprod", turns!(dotprod_turn!()));
    update_fn!(update, dotprod, "neon,dotprod", dotprod_turn!(64));
    finish_fn!(dotprod, "neon");
}

mod neon {
    use super::{Isa, KV_TILE, Layout, Line, MAX_MR, MaybeUninit, Update, ZEROS, asm, back};

    const LAYOUT: Layout = Layout::of(Isa::Neon);
    scores_fn!(scores_64, neon, "neon", neon_turn!(64));
    scores_fn!(
        scores,
        neon,
        "neon",
        concat!(zeros!(), turns!(neon_turn!()))
    );
    update_fn!(update, neon, "neon", neon_turn!(64));
    finish_fn!(neon, "neon");
}
