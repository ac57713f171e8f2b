//! Whole tiles of a linear layer, by the shared text (`common::linear`).

use super::tile::LAYOUT;
use crate::sets::aarch64::common::arm::Job;

/// Bytes of k of a turn.
pub(super) const TURN: usize = 64;

kinds!(turns, "neon", super::TURN, neon_turn!(), [one neon_finish], [one neon_finish]);

/// # Safety
/// As of [`panels`](crate::sets::aarch64::common::arm::Arm::panels).
#[inline(always)]
pub(super) unsafe fn panels(k: usize, job: &mut Job<'_>) {
    // SAFETY: the caller's.
    unsafe { turns::panels(k, job) };
}
