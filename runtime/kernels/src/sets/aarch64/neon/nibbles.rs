//! One row by nibbles on plain ARMv8.0 (Cortex-A53, A72).
//!
//! Weights of four bits leave room for all 32 rows of a group in 16 bits: a lane adds four products of at most 7 * 128. So a group
//! takes as many multiplications as the int8 tile: `smull`, `smlal2` and their like four times a column, and in place of two `sadalp`
//! two `smlal` by the column's multiplier.

use core::arch::aarch64::{
    int8x16_t, int16x8_t, int32x4_t, vadd_u16, vand_u16, vdup_n_u16, vdupq_n_s16, vdupq_n_s32,
    vget_low_s8, vget_low_s16, vld1_s16, vld1q_s8, vmlal_high_lane_s16, vmlal_high_s8,
    vmlal_lane_s16, vmlal_s8, vpaddq_s32, vreinterpret_s16_u16, vshl_u16, vshlq_n_s8, vshrq_n_s8,
    vst1q_s32,
};

use crate::isa::Isa;
use crate::layout::Layout;
use crate::operands::int4::INT4_GROUP;
use crate::set::NibbleRow;

const LAYOUT: Layout = Layout::of(Isa::Neon);
const NR: usize = LAYOUT.nr;
const KR: usize = LAYOUT.kr;

/// Groups of `KR` rows that share multipliers.
const STEPS: usize = INT4_GROUP / KR;

/// See [`InstructionSet::one_row`](crate::set::InstructionSet::one_row).
///
/// # Safety
/// As there.
#[target_feature(enable = "neon")]
pub(super) unsafe fn one_row(row: &NibbleRow<'_>, acc: &mut [i32]) {
    let NibbleRow { k_groups, a, w, .. } = *row;
    let acc = acc.as_mut_ptr();
    let (whole, rest) = (k_groups / STEPS, k_groups % STEPS);
    let mut sums = [vdupq_n_s32(0); NR];
    // SAFETY: the caller vouches for `k_groups` groups, multipliers for each 32 rows of them, and `NR` sums.
    unsafe {
        let (mut a, mut values) = (a.as_ptr().cast(), w.values.as_ptr().cast());
        let mut multipliers = w.multipliers.as_ptr();
        for _ in 0..whole {
            add_group(&mut sums, STEPS, a, values, multipliers);
            a = a.add(STEPS * LAYOUT.mr * KR);
            values = values.add(STEPS * NR * KR / 2);
            multipliers = multipliers.add(NR / 2);
        }
        if rest > 0 {
            add_group(&mut sums, rest, a, values, multipliers);
        }
        let [s0, s1, s2, s3] = sums;
        vst1q_s32(acc, vpaddq_s32(vpaddq_s32(s0, s1), vpaddq_s32(s2, s3)));
    }
}

/// Adds the products of `steps` groups of 16 k that share multipliers: partial sums, four a column.
///
/// # Safety
/// `a` must hold `steps` groups of rows, `values` of columns, `multipliers` `NR / 2` bytes.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn add_group(
    sums: &mut [int32x4_t; NR],
    steps: usize,
    a: *const i8,
    values: *const i8,
    multipliers: *const u8,
) {
    let mut products = [vdupq_n_s16(0); NR];
    for step in 0..steps {
        // SAFETY: step < steps, for which the caller vouches; a group of columns is NR * KR / 2 = 32 bytes.
        let (row, bytes) = unsafe {
            let values = values.add(step * NR * KR / 2);
            (
                vld1q_s8(a.add(step * LAYOUT.mr * KR)),
                [vld1q_s8(values), vld1q_s8(values.add(KR))],
            )
        };
        for (j, bytes) in bytes.into_iter().enumerate() {
            let low = vshrq_n_s8::<4>(vshlq_n_s8::<4>(bytes));
            products[j] = multiply_add(products[j], row, low);
            let high = vshrq_n_s8::<4>(bytes);
            products[j + NR / 2] = multiply_add(products[j + NR / 2], row, high);
        }
    }
    /// Where in two bytes the multipliers of columns 0 to 3 are: how far to shift them to the left.
    const SHIFTS: [i16; NR] = [0, -8, -4, -12];
    // SAFETY: the caller vouches for NR / 2 = 2 bytes, and the shifts are four.
    let (bytes, shifts) = unsafe {
        (
            multipliers.cast::<u16>().read_unaligned(),
            vld1_s16(SHIFTS.as_ptr()),
        )
    };
    let m = vand_u16(vshl_u16(vdup_n_u16(bytes), shifts), vdup_n_u16(0x0f));
    let m = vreinterpret_s16_u16(vadd_u16(m, vdup_n_u16(1)));
    macro_rules! scale {
        ($($j:literal)*) => {$(
            let sum = vmlal_lane_s16::<$j>(sums[$j], vget_low_s16(products[$j]), m);
            sums[$j] = vmlal_high_lane_s16::<$j>(sum, products[$j], m);
        )*};
    }
    scale!(0 1 2 3);
}

/// Adds the 16 products of `a` and `w` to eight lanes, two each.
#[inline]
#[target_feature(enable = "neon")]
fn multiply_add(sum: int16x8_t, a: int8x16_t, w: int8x16_t) -> int16x8_t {
    vmlal_high_s8(vmlal_s8(sum, vget_low_s8(a), vget_low_s8(w)), a, w)
}
