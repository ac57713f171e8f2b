//! The products of attention, by the shared text (`common::products`).

use super::linear::TURN;
use super::tile::LAYOUT;
use crate::arithmetic::lanes::Line;
use crate::layout::{KV_TILE, MAX_MR};
use crate::sets::aarch64::common::arm::Update;
use crate::sets::aarch64::common::attention::back;
use crate::sets::aarch64::common::linear::ZEROS;

scores_fn!(scores_64, i8mm, "neon,i8mm", i8mm_groups!("smmla", 8));
scores_fn!(scores_any, i8mm, "neon,i8mm", turns!(i8mm_turn!()));
update_fn!(update, i8mm, "neon,i8mm", i8mm_groups!("usmmla", 8));
update_fn!(
    update_some,
    i8mm,
    "neon,i8mm",
    concat!(turns!(i8mm_turn!(unsigned)), "add {w}, {w}, {skip}\n")
);
finish_fn!(i8mm, "neon");

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
    unsafe {
        match update.span {
            KV_TILE => self::update(1, panels, update, o),
            span => update_some(span.div_ceil(LAYOUT.kr), panels, update, o),
        }
    }
}
