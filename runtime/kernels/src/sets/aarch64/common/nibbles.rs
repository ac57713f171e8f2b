//! One row by nibbles with `sdot`: for the panels of the dot-product extension, and for those of i8mm, whose machines have it too.
//!
//! The two nibbles of a byte become signed bytes of 16 times their value, one by a shift and one by a mask, with no sign to extend. The
//! sums of 32 rows are 16 times too large, then: a shift to the right, exact, takes that back before the multiplier is applied.

use core::arch::aarch64::{
    int8x16_t, int32x4_t, vaddq_s32, vandq_s8, vandq_u32, vdup_n_u32, vdupq_n_s8, vdupq_n_s32,
    vdupq_n_s64, vdupq_n_u32, vget_low_u16, vld1q_s8, vmlaq_s32, vmovl_u8, vmovl_u16, vpaddq_s32,
    vreinterpret_u8_u32, vreinterpretq_s8_s32, vreinterpretq_s8_s64, vreinterpretq_s32_u32,
    vshlq_n_s8, vshrq_n_s32, vshrq_n_u32, vst1q_s32,
};
use core::arch::asm;

use crate::layout::Layout;
use crate::operands::int4::INT4_GROUP;
use crate::operands::packing::Packing;
use crate::set::NibbleRow;

/// Columns of the layouts, two registers of sums.
const NR: usize = 8;

/// The sums of a group of 32 rows, times 16.
type Products = [int32x4_t; 2];

/// See [`InstructionSet::one_row`](crate::set::InstructionSet::one_row), for panels of eight columns in groups of four or eight rows.
///
/// # Safety
/// As there; the machine must have `sdot`.
#[inline]
#[target_feature(enable = "neon,dotprod")]
pub(crate) unsafe fn one_row<P: Packing>(row: &NibbleRow<'_>, acc: &mut [i32]) {
    let Layout { mr, nr, kr, .. } = P::LAYOUT;
    const { assert!(P::LAYOUT.nr == NR && matches!(P::LAYOUT.kr, 4 | 8)) };
    let NibbleRow { k_groups, a, w, .. } = *row;
    let acc = acc.as_mut_ptr();
    let steps = INT4_GROUP / kr;
    let (whole, rest) = (k_groups / steps, k_groups % steps);
    let mut sums = [vdupq_n_s32(0); 2];
    // SAFETY: the caller vouches for `k_groups` groups, multipliers for each 32 rows of them, and `NR` sums.
    unsafe {
        let (mut a, mut values) = (a.as_ptr().cast(), w.values.as_ptr().cast());
        let mut multipliers = w.multipliers.as_ptr();
        for _ in 0..whole {
            scale(&mut sums, products::<P>(steps, a, values), multipliers);
            a = a.add(steps * mr * kr);
            values = values.add(steps * nr * kr / 2);
            multipliers = multipliers.add(nr / 2);
        }
        if rest > 0 {
            scale(&mut sums, products::<P>(rest, a, values), multipliers);
        }
        vst1q_s32(acc, sums[0]);
        vst1q_s32(acc.add(4), sums[1]);
    }
}

/// The products of `steps` groups of rows.
///
/// # Safety
/// As [`products_by_4`].
#[inline]
#[target_feature(enable = "neon,dotprod")]
unsafe fn products<P: Packing>(steps: usize, a: *const i8, values: *const i8) -> Products {
    // SAFETY: the caller's.
    unsafe {
        if P::LAYOUT.kr == 8 {
            products_by_8(P::LAYOUT, steps, a, values)
        } else {
            products_by_4(P::LAYOUT, steps, a, values)
        }
    }
}

/// Groups of four k: a register of rows holds the four of row 0 four times, one of columns those of four columns.
///
/// # Safety
/// `a` must hold `steps` groups of rows, `values` of columns. The machine must have `sdot`.
#[inline]
#[target_feature(enable = "neon,dotprod")]
unsafe fn products_by_4(layout: Layout, steps: usize, a: *const i8, values: *const i8) -> Products {
    let Layout { mr, nr, kr, .. } = layout;
    // Two chains each, or `sdot` would wait for the one before it.
    let mut products = [[vdupq_n_s32(0); 2]; 2];
    for step in 0..steps {
        // SAFETY: step < steps, for which the caller vouches; a group of columns is nr * kr / 2 = 16 bytes.
        let (row, bytes) = unsafe {
            (
                a.add(step * mr * kr).cast::<i32>().read_unaligned(),
                vld1q_s8(values.add(step * nr * kr / 2)),
            )
        };
        let row = vreinterpretq_s8_s32(vdupq_n_s32(row));
        let [low, high] = &mut products[step % 2];
        *low = sdot(*low, vshlq_n_s8::<4>(bytes), row);
        *high = sdot(*high, upper(bytes), row);
    }
    let [even, odd] = products;
    [vaddq_s32(even[0], odd[0]), vaddq_s32(even[1], odd[1])]
}

/// Groups of eight k: a register of rows holds the eight of row 0 twice, one of columns those of two columns, whose sums
/// come in halves.
///
/// # Safety
/// As [`products_by_4`].
#[inline]
#[target_feature(enable = "neon,dotprod")]
unsafe fn products_by_8(layout: Layout, steps: usize, a: *const i8, values: *const i8) -> Products {
    let Layout { mr, nr, kr, .. } = layout;
    let mut low = [vdupq_n_s32(0); 2];
    let mut high = [vdupq_n_s32(0); 2];
    for step in 0..steps {
        // SAFETY: step < steps, for which the caller vouches; a group of columns is nr * kr / 2 = 32 bytes.
        let (row, bytes) = unsafe {
            let values = values.add(step * nr * kr / 2);
            (
                a.add(step * mr * kr).cast::<i64>().read_unaligned(),
                [vld1q_s8(values), vld1q_s8(values.add(16))],
            )
        };
        let row = vreinterpretq_s8_s64(vdupq_n_s64(row));
        for (pair, bytes) in bytes.into_iter().enumerate() {
            low[pair] = sdot(low[pair], vshlq_n_s8::<4>(bytes), row);
            high[pair] = sdot(high[pair], upper(bytes), row);
        }
    }
    [vpaddq_s32(low[0], low[1]), vpaddq_s32(high[0], high[1])]
}

/// Adds a group's products times its multipliers to the sums.
///
/// # Safety
/// `multipliers` must point at `NR / 2` bytes.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn scale(sums: &mut [int32x4_t; 2], products: Products, multipliers: *const u8) {
    // SAFETY: the caller vouches for four bytes.
    let bytes = vdup_n_u32(unsafe { multipliers.cast::<u32>().read_unaligned() });
    let bytes = vmovl_u16(vget_low_u16(vmovl_u8(vreinterpret_u8_u32(bytes))));
    let multipliers = [vandq_u32(bytes, vdupq_n_u32(0x0f)), vshrq_n_u32::<4>(bytes)];
    for half in 0..2 {
        let m = vaddq_s32(vreinterpretq_s32_u32(multipliers[half]), vdupq_n_s32(1));
        sums[half] = vmlaq_s32(sums[half], vshrq_n_s32::<4>(products[half]), m);
    }
}

/// 16 times the upper nibbles.
#[inline]
#[target_feature(enable = "neon")]
fn upper(bytes: int8x16_t) -> int8x16_t {
    vandq_s8(bytes, vdupq_n_s8(0xf0_u8 as i8))
}

/// `sum[l] += w[4l..4l + 4] . a[4l..4l + 4]`: `vdotq_s32`, which stable Rust does not have yet.
#[inline]
#[target_feature(enable = "neon,dotprod")]
fn sdot(mut sum: int32x4_t, w: int8x16_t, a: int8x16_t) -> int32x4_t {
    // SAFETY: the instruction is there, as this function's target features say, and it touches only these registers.
    unsafe {
        asm!(
            "sdot {sum:v}.4s, {w:v}.16b, {a:v}.16b",
            sum = inout(vreg) sum,
            w = in(vreg) w,
            a = in(vreg) a,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    sum
}
