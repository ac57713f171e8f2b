//! The tile for ARMv8.6 or the i8mm extension (Cortex-A510, A710, Neoverse N2): `smmla`, a 2 x 8 by 8 x 2 product at a time.
//!
//! ```text
//!                w0: cols 0, 1   w1: cols 2, 3   w2: cols 4, 5   w3: cols 6, 7     8 k each
//! a0  rows 0, 1  s00             s01             s02             s03
//! a1  rows 2, 3  s10             s11             s12             s13
//! a2  rows 4, 5  s20             s21             s22             s23               16 sums + 4 a + 4 w:
//! a3  rows 6, 7  s30             s31             s32             s33               24 of the 32 registers
//! ```
//!
//! A sum holds two columns of the even row, then the same of the odd row; the last step zips the 64-bit halves of neighbours.

use core::arch::aarch64::{
    int8x16_t, int32x4_t, vdupq_n_s32, vld1q_s8_x4, vreinterpretq_s32_s64, vreinterpretq_s64_s32,
    vst1q_s32, vzip1q_s64, vzip2q_s64,
};
use core::arch::asm;

use crate::dot::Layout;
use crate::isa::Isa;

const MR: usize = LAYOUT.mr;
const NR: usize = LAYOUT.nr;
const KR: usize = LAYOUT.kr;

/// Registers that hold a group of columns.
const COLUMN_PAIRS: usize = NR / 2;

pub(in crate::dot) const LAYOUT: Layout = Layout::of(Isa::I8mm);

/// See `Tile`.
///
/// # Safety
/// As `Tile`.
#[allow(clippy::too_many_arguments, reason = "the signature of every tile")]
#[target_feature(enable = "neon,i8mm")]
pub(in crate::dot) unsafe fn tile(
    rows: usize,
    k_groups: usize,
    a: *const u8,
    w: *const i8,
    _comp: *const i32,
    acc: *mut i32,
    ldc: usize,
    _ahead: *const u8,
) {
    // SAFETY: the caller vouches for panels of `MR` rows and `NR` columns, and for an accumulator of `MR` rows.
    unsafe {
        match rows {
            1..=2 => grid::<1>(k_groups, a.cast(), w, acc, ldc),
            3..=4 => grid::<2>(k_groups, a.cast(), w, acc, ldc),
            _ => grid::<4>(k_groups, a.cast(), w, acc, ldc),
        }
    }
}

/// The first `2 * PAIRS` rows of a tile.
///
/// # Safety
/// As `Tile`.
#[inline]
#[target_feature(enable = "neon,i8mm")]
unsafe fn grid<const PAIRS: usize>(
    k_groups: usize,
    mut a: *const i8,
    mut w: *const i8,
    acc: *mut i32,
    ldc: usize,
) {
    const { assert!(PAIRS * 2 <= MR) };
    let mut sums = [[vdupq_n_s32(0); COLUMN_PAIRS]; PAIRS];
    for _ in 0..k_groups / 2 {
        // SAFETY: two groups are within the panels, and the pointers end one past them at most.
        unsafe {
            step(&mut sums, a, w);
            step(&mut sums, a.add(MR * KR), w.add(NR * KR));
            (a, w) = (a.add(2 * MR * KR), w.add(2 * NR * KR));
        }
    }
    if !k_groups.is_multiple_of(2) {
        // SAFETY: the last group is within the panels.
        unsafe { step(&mut sums, a, w) };
    }
    for (i, [s0, s1, s2, s3]) in sums.into_iter().enumerate() {
        let ((even0, odd0), (even1, odd1)) = (split_rows(s0, s1), split_rows(s2, s3));
        // SAFETY: rows `2i` and `2i + 1 < MR` of the accumulator have `NR` columns each.
        unsafe {
            let even = acc.add(2 * i * ldc);
            vst1q_s32(even, even0);
            vst1q_s32(even.add(4), even1);
            let odd = even.add(ldc);
            vst1q_s32(odd, odd0);
            vst1q_s32(odd.add(4), odd1);
        }
    }
}

/// Eight k of the first `2 * PAIRS` rows and all columns, read by one instruction an operand.
///
/// # Safety
/// `a` and `w` must point at a group each: `MR * KR` and `NR * KR` bytes.
#[inline]
#[target_feature(enable = "neon,i8mm")]
unsafe fn step<const PAIRS: usize>(
    sums: &mut [[int32x4_t; COLUMN_PAIRS]; PAIRS],
    a: *const i8,
    w: *const i8,
) {
    // SAFETY: a group is 64 bytes, four registers.
    let (w, a) = unsafe { (vld1q_s8_x4(w), vld1q_s8_x4(a)) };
    for (sums, rows) in sums.iter_mut().zip([a.0, a.1, a.2, a.3]) {
        for (sum, column) in sums.iter_mut().zip([w.0, w.1, w.2, w.3]) {
            *sum = smmla(*sum, rows, column);
        }
    }
}

/// Two neighbouring 2 x 2 results as four columns of the even row and four of the odd.
#[inline]
#[target_feature(enable = "neon")]
fn split_rows(left: int32x4_t, right: int32x4_t) -> (int32x4_t, int32x4_t) {
    let (left, right) = (vreinterpretq_s64_s32(left), vreinterpretq_s64_s32(right));
    (
        vreinterpretq_s32_s64(vzip1q_s64(left, right)),
        vreinterpretq_s32_s64(vzip2q_s64(left, right)),
    )
}

/// `sum[2i + j] += a[8i..8i + 8] . w[8j..8j + 8]`: `vmmlaq_s32`, which stable Rust does not have yet.
#[inline]
#[target_feature(enable = "neon,i8mm")]
fn smmla(mut sum: int32x4_t, a: int8x16_t, w: int8x16_t) -> int32x4_t {
    // SAFETY: the instruction is there, as this function's target features say, and it touches only these registers.
    unsafe {
        asm!(
            "smmla {sum:v}.4s, {a:v}.16b, {w:v}.16b",
            sum = inout(vreg) sum,
            a = in(vreg) a,
            w = in(vreg) w,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    sum
}
