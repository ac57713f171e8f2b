//! What the loop of split weights reads: rows column by column, a panel of kept weights, the products of remainders.

use core::arch::aarch64::{
    int8x16_t, int16x8_t, int16x8x4_t, vdupq_n_s16, vget_low_s8, vld1q_dup_s8, vld1q_s8,
    vld1q_s8_x2, vmlal_high_s8, vmlal_s8, vst1q_s8, vst4q_s16,
};
use core::arch::asm;

use crate::isa::Isa;
use crate::jobs::Rearranged;
use crate::layout::Layout;
use crate::operands::rows::PackedRows;
use crate::operands::split_weights::{CHAIN, KR, NR, Remainder, TURN};
use crate::sets::aarch64::common::kv::transpose;

/// Rows of a panel.
pub(super) const MR: usize = Layout::of(Isa::Neon).mr;

/// Rows that are multiplied by a remainder at once.
pub(super) const BLOCK: usize = 32;

/// Takes in rows, a multiple of [`BLOCK`] with a k of whole turns, column by column.
///
/// # Safety
/// NEON must be there.
#[target_feature(enable = "neon")]
pub(super) unsafe fn turn(to: &mut Rearranged, a: &PackedRows) {
    let (rows, k) = (a.rows(), a.k());
    assert!(rows.is_multiple_of(BLOCK) && k.is_multiple_of(TURN));
    to.count = rows;
    to.rows.resize(k * rows);
    for first in (0..rows).step_by(KR) {
        let panels: [&[u8]; KR / MR] = core::array::from_fn(|i| a.panel(first / MR + i));
        assert!(panels.iter().all(|panel| panel.len() == k * MR));
        for group in 0..k / KR {
            // SAFETY: 16 bytes of a row's group in a panel of `k / 16` groups.
            let load = |row: usize| unsafe {
                let panel = panels[row / MR].as_ptr();
                vld1q_s8(panel.add((group * MR + row % MR) * KR).cast())
            };
            let columns: [int8x16_t; KR] = transpose(core::array::from_fn(load));
            for (i, column) in columns.into_iter().enumerate() {
                // SAFETY: 16 of `rows` bytes of one of `k` columns.
                unsafe {
                    let at = to.rows.as_mut_ptr().add((group * KR + i) * rows + first);
                    vst1q_s8(at.cast(), column);
                }
            }
        }
    }
}

/// A panel of weights in the loop's order, without the remainders.
///
/// # Safety
/// NEON must be there.
#[inline]
#[target_feature(enable = "neon")]
pub(super) unsafe fn keep(to: &mut Rearranged, weights: &[u8], remainders: [&[Remainder]; NR]) {
    to.weights.resize(weights.len());
    let kept = to.weights.as_mut_slice();
    assert!(weights.len().is_multiple_of(NR * TURN) && !weights.is_empty());
    // SAFETY: it reads and writes whole turns.
    unsafe {
        asm!(
            "2:",
            chain_copy!(),
            "subs {turns}, {turns}, #1",
            chain_copy!(),
            chain_copy!(),
            chain_copy!(),
            "b.ne 2b",
            from = inout(reg) weights.as_ptr() => _,
            to = inout(reg) kept.as_mut_ptr() => _,
            turns = inout(reg) weights.len() / (NR * TURN) => _,
            out("v0") _, out("v1") _, out("v2") _, out("v3") _,
            out("v4") _, out("v5") _, out("v6") _, out("v7") _,
            options(nostack),
        );
    }
    for (column, remainders) in remainders.into_iter().enumerate() {
        for remainder in remainders {
            let k = usize::from(remainder.k);
            kept[k / CHAIN * (NR * CHAIN) + column * CHAIN + k % CHAIN] = remainder.kept as u8;
        }
    }
}

/// What the remainders of a panel add to all rows' sums.
///
/// # Safety
/// The remainders must be of columns that there are; those of a column of the panel add up to at most 255.
#[inline]
#[target_feature(enable = "neon")]
pub(super) unsafe fn multiply(to: &mut Rearranged, remainders: [&[Remainder]; NR]) {
    let rows = to.count;
    to.products.resize(rows * NR);
    for first in (0..rows).step_by(BLOCK) {
        // SAFETY: the caller's; `rows` is a multiple of the block.
        let sums = unsafe {
            [
                products(to, first, remainders[0]),
                products(to, first, remainders[1]),
                products(to, first, remainders[2]),
                products(to, first, remainders[3]),
            ]
        };
        for i in 0..BLOCK / 8 {
            let rows = int16x8x4_t(sums[0][i], sums[1][i], sums[2][i], sums[3][i]);
            // SAFETY: eight rows of four.
            unsafe { vst4q_s16(to.products.as_mut_ptr().add((first + 8 * i) * NR), rows) };
        }
    }
}

/// Of one column of a panel, for the block of rows from `first` on.
///
/// # Safety
/// As [`multiply`].
#[inline]
#[target_feature(enable = "neon")]
unsafe fn products(
    to: &Rearranged,
    first: usize,
    remainders: &[Remainder],
) -> [int16x8_t; BLOCK / 8] {
    let mut sums = [vdupq_n_s16(0); BLOCK / 8];
    for remainder in remainders {
        // SAFETY: 32 of the rows of a column that there is.
        let a = unsafe {
            vld1q_s8_x2(
                to.rows
                    .as_ptr()
                    .add(usize::from(remainder.k) * to.count + first)
                    .cast(),
            )
        };
        // SAFETY: one byte.
        let remainder = unsafe { vld1q_dup_s8(&remainder.remainder) };
        sums[0] = vmlal_s8(sums[0], vget_low_s8(a.0), vget_low_s8(remainder));
        sums[1] = vmlal_high_s8(sums[1], a.0, remainder);
        sums[2] = vmlal_s8(sums[2], vget_low_s8(a.1), vget_low_s8(remainder));
        sums[3] = vmlal_high_s8(sums[3], a.1, remainder);
    }
    sums
}
