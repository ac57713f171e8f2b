//! Values into a kv tile on NEON: a transposition of bytes in registers, where the compiler would move one at
//! a time.

use core::arch::aarch64::{
    int8x16_t, int16x8_t, vaddq_s32, vdupq_n_s8, vdupq_n_s16, vget_low_s8, vget_low_s16, vld1q_s8,
    vld1q_s32, vpaddq_s16, vshll_high_n_s16, vshll_n_s16, vst1q_s8, vst1q_s32, vsubl_high_s8,
    vsubl_s8, vzip1q_s8, vzip2q_s8,
};

use crate::layout::KV_TILE;
use crate::operands::packing::StoreValues;

/// Columns of a step.
const COLUMNS: usize = 16;

/// See [`Packing::store_values`](crate::operands::packing::Packing::store_values): whole groups of `KR` rows, in panels of `nr` columns.
///
/// # Safety
/// NEON must be there.
#[inline(always)]
pub(crate) unsafe fn store_values<const KR: usize>(nr: usize, job: &mut StoreValues<'_>) -> bool {
    let (dim, first, rows) = (job.dim, job.first, job.values.len() / job.dim);
    let whole = first.is_multiple_of(KR) && rows.is_multiple_of(KR);
    if !whole || !dim.is_multiple_of(COLUMNS) || !COLUMNS.is_multiple_of(nr) {
        return false;
    }
    // SAFETY: the caller's.
    unsafe { store::<KR>(nr, job) };
    true
}

/// [`store_values`] of those that fit; adds 128 times what each column has grown by to the sums.
#[inline]
#[target_feature(enable = "neon")]
fn store<const KR: usize>(nr: usize, job: &mut StoreValues<'_>) {
    let (dim, first, values) = (job.dim, job.first, job.values);
    let (tile, sums) = (&mut *job.tile, &mut *job.sums);
    let rows = values.len() / dim;
    assert!(first.is_multiple_of(KR) && rows.is_multiple_of(KR) && first + rows <= KV_TILE);
    assert!(dim.is_multiple_of(COLUMNS) && COLUMNS.is_multiple_of(nr));
    assert!(tile.len() >= dim * KV_TILE && sums.len() >= dim);
    for row in (0..rows).step_by(KR) {
        for column in (0..dim).step_by(COLUMNS) {
            // SAFETY: 16 of `dim` bytes of a row within `values`.
            let load = |r: usize| unsafe {
                vld1q_s8(values.as_ptr().add((row + r) * dim + column).cast())
            };
            let new: [int8x16_t; KR] = transpose(core::array::from_fn(load));
            // The panel's group of these rows, `nr * KR` bytes for every `nr` columns.
            let slot = |i: usize| {
                let c = i * COLUMNS / KR;
                let panel = (column + c) / nr;
                panel * KV_TILE * nr + (first + row) * nr + i * COLUMNS % (nr * KR)
            };
            let mut old = [vdupq_n_s8(0); KR];
            for (i, (old, new)) in old.iter_mut().zip(new).enumerate() {
                // SAFETY: 16 bytes of a group within the tile, which has `KV_TILE / KR` of them for every
                // `nr` of `dim` columns.
                unsafe {
                    let at = tile.as_mut_ptr().add(slot(i)).cast();
                    *old = vld1q_s8(at);
                    vst1q_s8(at, new);
                }
            }
            let [low, high] = growth(new, old);
            let grown = [
                vshll_n_s16::<7>(vget_low_s16(low)),
                vshll_high_n_s16::<7>(low),
                vshll_n_s16::<7>(vget_low_s16(high)),
                vshll_high_n_s16::<7>(high),
            ];
            for (sums, grown) in sums[column..][..COLUMNS]
                .as_chunks_mut::<4>()
                .0
                .iter_mut()
                .zip(grown)
            {
                // SAFETY: four numbers.
                unsafe {
                    vst1q_s32(
                        sums.as_mut_ptr(),
                        vaddq_s32(vld1q_s32(sums.as_ptr()), grown),
                    )
                };
            }
        }
    }
}

/// `KR` rows of 16 columns as 16 columns of `KR` rows: each round brings rows that are half of them apart
/// together.
#[inline]
#[target_feature(enable = "neon")]
pub(crate) fn transpose<const KR: usize>(mut rows: [int8x16_t; KR]) -> [int8x16_t; KR] {
    for _ in 0..KR.ilog2() {
        rows = core::array::from_fn(|i| {
            let (a, b) = (rows[i / 2], rows[i / 2 + KR / 2]);
            if i % 2 == 0 {
                vzip1q_s8(a, b)
            } else {
                vzip2q_s8(a, b)
            }
        });
    }
    rows
}

/// The sum of each of 16 columns of `KR` rows of `new`, less that of `old`.
#[inline]
#[target_feature(enable = "neon")]
fn growth<const KR: usize>(new: [int8x16_t; KR], old: [int8x16_t; KR]) -> [int16x8_t; 2] {
    let mut sums = [vdupq_n_s16(0); KR];
    for ((sum, new), old) in sums.iter_mut().zip(new).zip(old) {
        let low = vsubl_s8(vget_low_s8(new), vget_low_s8(old));
        *sum = vpaddq_s16(low, vsubl_high_s8(new, old));
    }
    let mut left = KR;
    while left > 2 {
        left /= 2;
        for i in 0..left {
            sums[i] = vpaddq_s16(sums[2 * i], sums[2 * i + 1]);
        }
    }
    [sums[0], sums[1]]
}
