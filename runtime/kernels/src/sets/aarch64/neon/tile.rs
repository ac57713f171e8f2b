//! The tile for plain ARMv8.0 (Cortex-A53, A72): widening multiplies to 16 bits, pairwise sums to 32.
//!
//! `smull` and `smlal2` add the products of both halves of 16 k in 16 bits, and `sadalp` adds neighbours of that into four
//! 32-bit partial sums. Two products fit: weights are never -128, so |a * w| <= 128 * 127 and twice that is 32512 < 2^15.
//! Of most weights four fit, which whole panels of a linear layer make use of (`split`).
//!
//! ```text
//!               w0   w1   w2   w3      one at a time: 16 k of one column each
//! a0  16 k      s00  s01  s02  s03     s: four partial sums each, added up after the last k
//! a1            s10  s11  s12  s13
//! a2            s20  s21  s22  s23     16 sums + 4 a + 1 w leave 11 of the 32 registers for products in flight
//! a3            s30  s31  s32  s33
//! ```

use core::arch::aarch64::{
    int8x16_t, int32x4_t, vdupq_n_s32, vget_low_s8, vld1q_s8, vmlal_high_s8, vmull_s8, vpadalq_s16,
    vpaddq_s32, vst1q_s32,
};

use crate::isa::Isa;
use crate::layout::Layout;
use crate::set::Tile;

const MR: usize = LAYOUT.mr;
const NR: usize = LAYOUT.nr;
const KR: usize = LAYOUT.kr;

pub(super) const LAYOUT: Layout = Layout::of(Isa::Neon);

/// See [`InstructionSet::tile`](crate::set::InstructionSet::tile).
///
/// # Safety
/// As there.
#[target_feature(enable = "neon")]
pub(super) unsafe fn tile(tile: &Tile<'_>, acc: &mut [i32], ldc: usize) {
    let Tile { rows, k_groups, .. } = *tile;
    let (a, w): (*const i8, *const i8) = (tile.a.as_ptr().cast(), tile.w.as_ptr().cast());
    let acc = acc.as_mut_ptr();
    // SAFETY: the caller vouches for panels of `MR` rows and `NR` columns, and for an accumulator of `MR` rows.
    unsafe {
        if rows == 1 {
            grid::<1>(k_groups, a, w, acc, ldc);
        } else {
            grid::<MR>(k_groups, a, w, acc, ldc);
        }
    }
}

/// The first `ROWS <= MR` rows of a tile.
///
/// # Safety
/// As [`tile`].
#[inline]
#[target_feature(enable = "neon")]
unsafe fn grid<const ROWS: usize>(
    k_groups: usize,
    mut a: *const i8,
    mut w: *const i8,
    acc: *mut i32,
    ldc: usize,
) {
    const { assert!(ROWS <= MR) };
    let mut sums = [[vdupq_n_s32(0); NR]; ROWS];
    for _ in 0..k_groups {
        // SAFETY: the panel holds `MR * KR` bytes a group, and `ROWS <= MR`.
        let rows: [int8x16_t; ROWS] = core::array::from_fn(|i| unsafe { vld1q_s8(a.add(i * KR)) });
        for j in 0..NR {
            // SAFETY: the panel holds `NR * KR` bytes a group.
            let column = unsafe { vld1q_s8(w.add(j * KR)) };
            for i in 0..ROWS {
                sums[i][j] = multiply_add(sums[i][j], rows[i], column);
            }
        }
        // SAFETY: to the next group, or one past the end of the panel after the last.
        (a, w) = unsafe { (a.add(MR * KR), w.add(NR * KR)) };
    }
    for (i, [s0, s1, s2, s3]) in sums.into_iter().enumerate() {
        let row = vpaddq_s32(vpaddq_s32(s0, s1), vpaddq_s32(s2, s3));
        // SAFETY: row `i < MR` of the accumulator has `NR` columns.
        unsafe { vst1q_s32(acc.add(i * ldc), row) };
    }
}

/// Adds the 16 products of `a` and `w` to the four partial sums: `sum[l] += a[x] * w[x]` for x = 2l, 2l + 1, 2l + 8, 2l + 9.
#[inline]
#[target_feature(enable = "neon")]
fn multiply_add(sum: int32x4_t, a: int8x16_t, w: int8x16_t) -> int32x4_t {
    let products = vmull_s8(vget_low_s8(a), vget_low_s8(w));
    vpadalq_s16(sum, vmlal_high_s8(products, a, w))
}
