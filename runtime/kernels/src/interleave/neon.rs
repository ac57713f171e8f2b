//! Interleaving on NEON: 16 bytes of four rows at a time.

use core::arch::aarch64::{
    uint8x16_t, uint64x2_t, vld1q_u8, vreinterpretq_u32_u8, vreinterpretq_u64_u8,
    vreinterpretq_u64_u32, vst1q_u64, vzip1q_u32, vzip1q_u64, vzip2q_u32, vzip2q_u64,
};

use super::GROUP;
use crate::pack::scatter;

/// Bytes of a row in a vector.
const BLOCK: usize = 16;

/// See [`Interleave`](super::Interleave).
///
/// # Safety
/// As [`Interleave`](super::Interleave).
#[inline]
#[target_feature(enable = "neon")]
pub(crate) unsafe fn interleave(
    rows: &[u8],
    panel: &mut [u8],
    lanes: usize,
    lane: usize,
    kr: usize,
) {
    match kr {
        4 => interleave_groups::<4>(rows, panel, lanes, lane),
        8 => interleave_groups::<8>(rows, panel, lanes, lane),
        16 => interleave_groups::<16>(rows, panel, lanes, lane),
        _ => unreachable!("no layout has kr = {kr}"),
    }
}

/// [`interleave`] with the size of a group known.
#[inline]
#[target_feature(enable = "neon")]
fn interleave_groups<const KR: usize>(rows: &[u8], panel: &mut [u8], lanes: usize, lane: usize) {
    let len = rows.len() / GROUP;
    let whole = len - len % BLOCK;
    assert!(lane + GROUP <= lanes && panel.len() >= whole * lanes);
    for start in (0..whole).step_by(BLOCK) {
        let load = |row: usize| {
            // SAFETY: a block within row `row < 4` of `rows`.
            unsafe { vld1q_u8(rows.as_ptr().add(row * len + start)) }
        };
        let vectors = transpose([load(0), load(1), load(2), load(3)], KR);
        for (n, vector) in vectors.into_iter().enumerate() {
            // The 16 / KR groups take KR / 4 vectors each.
            let (group, part) = (n / (KR / 4), n % (KR / 4));
            // SAFETY: of `panel`'s `whole / KR` groups of `lanes * KR` bytes this is number `start / KR + group`, in which four lanes are
            // `4 * KR` bytes from `lane * KR` on.
            unsafe {
                let to = panel
                    .as_mut_ptr()
                    .add(start * lanes + (group * lanes + lane) * KR + part * BLOCK);
                vst1q_u64(to.cast(), vector);
            }
        }
    }
    if whole < len {
        let panel = &mut panel[whole * lanes..];
        for i in 0..GROUP {
            scatter(&rows[i * len..][whole..len], panel, lanes, lane + i, KR);
        }
    }
}

/// Groups of `kr` bytes of four rows, one row's after the other's.
#[inline]
#[target_feature(enable = "neon")]
fn transpose([a, b, c, d]: [uint8x16_t; GROUP], kr: usize) -> [uint64x2_t; GROUP] {
    if kr == 4 {
        let [a, b, c, d] = [a, b, c, d].map(|v| vreinterpretq_u32_u8(v));
        let [ab, cd, ab_high, cd_high] = [
            vzip1q_u32(a, b),
            vzip1q_u32(c, d),
            vzip2q_u32(a, b),
            vzip2q_u32(c, d),
        ]
        .map(|v| vreinterpretq_u64_u32(v));
        return [
            vzip1q_u64(ab, cd),
            vzip2q_u64(ab, cd),
            vzip1q_u64(ab_high, cd_high),
            vzip2q_u64(ab_high, cd_high),
        ];
    }
    let [a, b, c, d] = [a, b, c, d].map(|v| vreinterpretq_u64_u8(v));
    if kr == 8 {
        [
            vzip1q_u64(a, b),
            vzip1q_u64(c, d),
            vzip2q_u64(a, b),
            vzip2q_u64(c, d),
        ]
    } else {
        [a, b, c, d]
    }
}
