//! Both products of int8 attention for all rows of a panel: the scores of a kv tile, and its values into the
//! output.
//!
//! [`Tile`](crate::dot::Tile) starts anew for every panel of columns. Here one stretch of code walks all
//! panels of a kv tile, whose sums go from registers to where they are wanted: scores to memory, weighed
//! values into `o * alpha + sum * scale`.
//!
//! After the loop (`loops`) v0-v5 hold rows, v12 and v13 alpha, v14 and v15 scale.

use core::arch::asm;

use super::linear::{ZEROS, turn};
use crate::dot::{Layout, MAX_MR};
use crate::isa::Isa;
use crate::kv::KV_TILE;

/// Whether these products are here for `isa`, of heads of `dim` whole groups of k.
pub(crate) const fn fits(isa: Isa, dim: usize) -> bool {
    let Layout { nr, .. } = Layout::of(isa);
    let known = matches!(isa, Isa::Neon | Isa::Dotprod | Isa::I8mm);
    known && dim > 0 && dim.is_multiple_of(turn(isa)) && dim.is_multiple_of(nr)
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
        match isa {
            Isa::I8mm => i8mm::scores(turns, panels, q, k, scores),
            Isa::Dotprod => dotprod::scores(turns, panels, q, k, scores),
            _ => neon::scores(turns, panels, q, k, scores),
        }
    }
}

/// What a kv tile's values are to do to the output of a panel of rows.
pub(crate) struct Update<'a> {
    /// Weights of the tile's keys, `u - 128`.
    pub(crate) p: &'a [u8],
    /// All panels of the values.
    pub(crate) v: &'a [u8],
    /// 128 times the sum of each column of `v`.
    pub(crate) v_comp: &'a [i32],
    pub(crate) alpha: &'a [f32; MAX_MR],
    pub(crate) scale: &'a [f32; MAX_MR],
}

/// `o = fma(sum + v_comp, scale, o * alpha)` for all rows of a panel, `dim` wide each.
///
/// # Safety
/// As [`scores`].
#[inline(always)]
pub(crate) unsafe fn update(isa: Isa, dim: usize, update: &Update<'_>, output: &mut [f32]) {
    let Layout { mr, nr, .. } = Layout::of(isa);
    let Update { p, v, v_comp, .. } = update;
    assert!(fits(isa, dim) && KV_TILE.is_multiple_of(turn(isa)));
    assert!(p.len() >= mr * KV_TILE && v.len() >= dim * KV_TILE);
    assert!(v_comp.len() >= dim && output.len() >= mr * dim);
    let turns = KV_TILE / turn(isa);
    let output = output.as_mut_ptr();
    // SAFETY: the lengths were checked just above; the caller vouches for the rest.
    unsafe {
        match isa {
            Isa::I8mm => i8mm::update(turns, dim / nr, update, output, dim),
            Isa::Dotprod => dotprod::update(turns, dim / nr, update, output, dim),
            _ => neon::update(turns, dim / nr, update, output, dim),
        }
    }
}

/// Both products of an instruction set.
macro_rules! products {
    ($isa:ident, $named:ident, $features:literal, $turn:ident) => {
        mod $isa {
            use super::{Isa, KV_TILE, Layout, Update, ZEROS, asm};

            const LAYOUT: Layout = Layout::of(Isa::$named);

            /// # Safety
            /// As the function of this name around, whose lengths have been checked; `turns` and `panels`
            /// must not be 0.
            #[inline]
            #[target_feature(enable = $features)]
            pub(super) unsafe fn scores(turns: usize, panels: usize, q: *const u8, k: *const u8, out: *mut i32) {
                const LDO: usize = KV_TILE * size_of::<i32>();
                // SAFETY: it reads a panel of `q` and `panels` of `k`, and writes as many columns of a
                // panel's rows.
                unsafe {
                    asm!(
                        "3:",
                        "mov {a}, {q}",
                        "mov {turns}, {all}",
                        zeros!(),
                        "2:",
                        $turn!(),
                        "b.ne 2b",
                        ends!($isa scores),
                        "subs {panels}, {panels}, #1",
                        "sub {out}, {out}, #{back}",
                        "b.ne 3b",
                        a = out(reg) _,
                        w = inout(reg) k => _,
                        q = in(reg) q,
                        turns = out(reg) _,
                        all = in(reg) turns,
                        panels = inout(reg) panels => _,
                        out = inout(reg) out => _,
                        ldo = in(reg) LDO,
                        back = const LAYOUT.mr * LDO - LAYOUT.nr * size_of::<i32>(),
                        zeros = in(reg) ZEROS.0.as_ptr(),
                        out("v0") _, out("v1") _, out("v2") _, out("v3") _,
                        out("v4") _, out("v5") _, out("v6") _, out("v7") _,
                        out("v8") _, out("v9") _, out("v10") _, out("v11") _,
                        out("v12") _, out("v13") _, out("v14") _, out("v15") _,
                        out("v16") _, out("v17") _, out("v18") _, out("v19") _,
                        out("v20") _, out("v21") _, out("v22") _, out("v23") _,
                        out("v24") _, out("v25") _, out("v26") _, out("v27") _,
                        out("v28") _, out("v29") _, out("v30") _, out("v31") _,
                        options(nostack),
                    );
                }
            }

            /// # Safety
            /// Likewise.
            #[inline]
            #[target_feature(enable = $features)]
            pub(super) unsafe fn update(
                turns: usize, panels: usize, update: &Update<'_>, out: *mut f32, ldo: usize,
            ) {
                let ldo = ldo * size_of::<f32>();
                // SAFETY: it reads a panel of `p`, `panels` of `v` and of `v_comp`, and `alpha` and `scale`;
                // it reads and writes as many columns of a panel's rows.
                unsafe {
                    asm!(
                        "3:",
                        "mov {a}, {p}",
                        "mov {turns}, {all}",
                        ends!($isa start),
                        "2:",
                        $turn!(),
                        "b.ne 2b",
                        "ld1 {{v12.4s, v13.4s}}, [{alpha}]",
                        "ld1 {{v14.4s, v15.4s}}, [{scale}]",
                        ends!($isa update),
                        "subs {panels}, {panels}, #1",
                        "sub {out}, {out}, {back}",
                        "b.ne 3b",
                        "/* {zeros} */",
                        a = out(reg) _,
                        w = inout(reg) update.v.as_ptr() => _,
                        p = in(reg) update.p.as_ptr(),
                        turns = out(reg) _,
                        all = in(reg) turns,
                        panels = inout(reg) panels => _,
                        comp = inout(reg) update.v_comp.as_ptr() => _,
                        alpha = in(reg) update.alpha.as_ptr(),
                        scale = in(reg) update.scale.as_ptr(),
                        out = inout(reg) out => _,
                        ldo = in(reg) ldo,
                        back = in(reg) LAYOUT.mr * ldo - LAYOUT.nr * size_of::<f32>(),
                        zeros = in(reg) ZEROS.0.as_ptr(),
                        out("v0") _, out("v1") _, out("v2") _, out("v3") _,
                        out("v4") _, out("v5") _, out("v6") _, out("v7") _,
                        out("v8") _, out("v9") _, out("v10") _, out("v11") _,
                        out("v12") _, out("v13") _, out("v14") _, out("v15") _,
                        out("v16") _, out("v17") _, out("v18") _, out("v19") _,
                        out("v20") _, out("v21") _, out("v22") _, out("v23") _,
                        out("v24") _, out("v25") _, out("v26") _, out("v27") _,
                        out("v28") _, out("v29") _, out("v30") _, out("v31") _,
                        options(nostack),
                    );
                }
            }
        }
    };
}

products!(neon, Neon, "neon", neon_turn);
products!(dotprod, Dotprod, "neon,dotprod", dotprod_turn);
products!(i8mm, I8mm, "neon,i8mm", i8mm_turn);
