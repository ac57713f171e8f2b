//! Whole tiles of a linear layer, by the shared text (`common::linear`).

use super::tile::LAYOUT;
use crate::sets::aarch64::common::arm::Job;

/// Bytes of k of a turn.
pub(super) const TURN: usize = 32;

/// And of the loop for many k, which counts less often.
const LONG_TURN: usize = 128;

kinds!(
    turns, "neon,dotprod", super::TURN, dotprod_turn!(),
    [two dotprod_finish], [two dotprod_finish]
);
kinds!(
    long_turns, "neon,dotprod", super::LONG_TURN, dotprod_turn!(long),
    [two dotprod_finish], [two dotprod_finish]
);

/// # Safety
/// As of [`panels`](crate::sets::aarch64::common::arm::Arm::panels).
#[inline(always)]
pub(super) unsafe fn panels(k: usize, job: &mut Job<'_>) {
    // SAFETY: the caller's.
    unsafe {
        match k.is_multiple_of(LONG_TURN) {
            true => long_turns::panels(k, job),
            false => turns::panels(k, job),
        }
    }
}
