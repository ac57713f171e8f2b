//! The products of attention, by the shared text (`common::products`).

use super::linear::TURN;
use super::tile::LAYOUT;
use crate::arithmetic::lanes::Line;
use crate::layout::{KV_TILE, MAX_MR};
use crate::sets::aarch64::common::arm::Update;
use crate::sets::aarch64::common::attention::back;
use crate::sets::aarch64::common::linear::ZEROS;

scores_fn!(scores_64, dotprod, "neon,dotprod", dotprod_turn!(64));
scores_fn!(scores_any, dotprod, "neon,dotprod", turns!(dotprod_turn!()));
update_fn!(update, dotprod, "neon,dotprod", dotprod_turn!(64));
finish_fn!(dotprod, "neon");

/// # Safety
/// As of [`scores`](crate::sets::aarch64::common::arm::Arm::scores).
#[inline(always)]
pub(super) unsafe fn scores(dim: usize, panels: usize, q: *const u8, k: *const u8, out: *mut i32) {
    let turns = dim / TURN;
    // SAFETY: the caller's.
    unsafe {
        match dim {
            64 => scores_64(turns, panels, q, k, out),
            _ => scores_any(turns, panels, q, k, out),
        }
    }
}

/// # Safety
/// As of [`values`](crate::sets::aarch64::common::arm::Arm::values).
#[inline(always)]
pub(super) unsafe fn values(panels: usize, update: &Update<'_>, o: *mut f32) {
    // SAFETY: the caller's.
    unsafe { self::update(1, panels, update, o) }
}
