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
//!
//! The loop of a full tile is written out, four groups of k a turn: the operands of one group load while another's multiply,
//! so that all 32 registers are in use, and each `ld1` moves its pointer on.

use core::arch::aarch64::{
    int8x16_t, int32x4_t, vdupq_n_s32, vld1q_s8_x4, vreinterpretq_s32_s64, vreinterpretq_s64_s32,
    vst1q_s32, vzip1q_s64, vzip2q_s64,
};
use core::arch::asm;

use crate::isa::Isa;
use crate::layout::Layout;
use crate::set::Tile;

const MR: usize = LAYOUT.mr;
const NR: usize = LAYOUT.nr;
const KR: usize = LAYOUT.kr;

/// Registers that hold a group of columns.
const COLUMN_PAIRS: usize = NR / 2;

/// Registers that hold a group of rows.
const ROW_PAIRS: usize = MR / 2;

/// Groups of k that a turn of the full tile's loop takes.
const TURN: usize = 4;

pub(super) const LAYOUT: Layout = Layout::of(Isa::I8mm);

/// See [`InstructionSet::tile`](crate::set::InstructionSet::tile).
///
/// # Safety
/// As there.
#[inline]
#[target_feature(enable = "neon,i8mm")]
pub(super) unsafe fn tile(tile: &Tile<'_>, acc: &mut [i32], ldc: usize) {
    let Tile { rows, k_groups, .. } = *tile;
    let (a, w): (*const i8, *const i8) = (tile.a.as_ptr().cast(), tile.w.as_ptr().cast());
    let acc = acc.as_mut_ptr();
    // SAFETY: the caller vouches for panels of `MR` rows and `NR` columns, and for an accumulator of `MR` rows.
    unsafe {
        match rows {
            1..=2 => grid::<1>(k_groups, a, w, acc, ldc),
            3..=4 => grid::<2>(k_groups, a, w, acc, ldc),
            _ => full(k_groups, a, w, acc, ldc),
        }
    }
}

/// All rows of a tile.
///
/// # Safety
/// As [`tile`].
#[inline]
#[target_feature(enable = "neon,i8mm")]
unsafe fn full(k_groups: usize, a: *const i8, w: *const i8, acc: *mut i32, ldc: usize) {
    let mut sums = [[vdupq_n_s32(0); COLUMN_PAIRS]; ROW_PAIRS];
    let turns = k_groups / TURN;
    // SAFETY: `turns * TURN` groups are within the panels, and so are those that are left.
    unsafe {
        if turns > 0 {
            full_turns(&mut sums, turns, a, w);
        }
        for group in turns * TURN..k_groups {
            step(&mut sums, a.add(group * MR * KR), w.add(group * NR * KR));
        }
        store(sums, acc, ldc);
    }
}

/// The `smmla`s of a group of eight k: all rows and columns. `$w0..` are the numbers of the registers with the columns,
/// `$a0..` of those with the rows; the sums are operands of the `asm!` around.
macro_rules! smmlas {
    ($w0:literal $w1:literal $w2:literal $w3:literal, $a0:literal $a1:literal $a2:literal $a3:literal) => {
        concat!(
            smmlas!(rows "s00", "s01", "s02", "s03", $w0 $w1 $w2 $w3, $a0),
            smmlas!(rows "s10", "s11", "s12", "s13", $w0 $w1 $w2 $w3, $a1),
            smmlas!(rows "s20", "s21", "s22", "s23", $w0 $w1 $w2 $w3, $a2),
            smmlas!(rows "s30", "s31", "s32", "s33", $w0 $w1 $w2 $w3, $a3),
        )
    };
    (rows $s0:literal, $s1:literal, $s2:literal, $s3:literal,
     $w0:literal $w1:literal $w2:literal $w3:literal, $a:literal) => {
        concat!(
            "smmla {", $s0, ":v}.4s, v", $a, ".16b, v", $w0, ".16b\n",
            "smmla {", $s1, ":v}.4s, v", $a, ".16b, v", $w1, ".16b\n",
            "smmla {", $s2, ":v}.4s, v", $a, ".16b, v", $w2, ".16b\n",
            "smmla {", $s3, ":v}.4s, v", $a, ".16b, v", $w3, ".16b\n",
        )
    };
}

/// `turns` times `TURN` groups of all rows and columns.
///
/// # Safety
/// `turns` must not be 0; `a` and `w` must point at `turns * TURN` groups each.
#[inline]
#[target_feature(enable = "neon,i8mm")]
unsafe fn full_turns(
    sums: &mut [[int32x4_t; COLUMN_PAIRS]; ROW_PAIRS],
    turns: usize,
    a: *const i8,
    w: *const i8,
) {
    // SAFETY: it reads `TURN * 64` bytes a turn from each pointer, which the caller vouches for, and writes registers only.
    unsafe {
        asm!(
            "2:",
            "ld1 {{v0.16b-v3.16b}}, [{w}], #64",
            "ld1 {{v4.16b-v7.16b}}, [{a}], #64",
            "subs {turns}, {turns}, #1",
            "ld1 {{v8.16b-v11.16b}}, [{w}], #64",
            "ld1 {{v12.16b-v15.16b}}, [{a}], #64",
            smmlas!(0 1 2 3, 4 5 6 7),
            "ld1 {{v0.16b-v3.16b}}, [{w}], #64",
            "ld1 {{v4.16b-v7.16b}}, [{a}], #64",
            smmlas!(8 9 10 11, 12 13 14 15),
            "ld1 {{v8.16b-v11.16b}}, [{w}], #64",
            "ld1 {{v12.16b-v15.16b}}, [{a}], #64",
            smmlas!(0 1 2 3, 4 5 6 7),
            smmlas!(8 9 10 11, 12 13 14 15),
            "b.ne 2b",
            a = inout(reg) a => _,
            w = inout(reg) w => _,
            turns = inout(reg) turns => _,
            s00 = inout(vreg) sums[0][0],
            s01 = inout(vreg) sums[0][1],
            s02 = inout(vreg) sums[0][2],
            s03 = inout(vreg) sums[0][3],
            s10 = inout(vreg) sums[1][0],
            s11 = inout(vreg) sums[1][1],
            s12 = inout(vreg) sums[1][2],
            s13 = inout(vreg) sums[1][3],
            s20 = inout(vreg) sums[2][0],
            s21 = inout(vreg) sums[2][1],
            s22 = inout(vreg) sums[2][2],
            s23 = inout(vreg) sums[2][3],
            s30 = inout(vreg) sums[3][0],
            s31 = inout(vreg) sums[3][1],
            s32 = inout(vreg) sums[3][2],
            s33 = inout(vreg) sums[3][3],
            out("v0") _, out("v1") _, out("v2") _, out("v3") _,
            out("v4") _, out("v5") _, out("v6") _, out("v7") _,
            out("v8") _, out("v9") _, out("v10") _, out("v11") _,
            out("v12") _, out("v13") _, out("v14") _, out("v15") _,
            options(readonly, nostack),
        );
    }
}

/// The first `2 * PAIRS` rows of a tile.
///
/// # Safety
/// As [`tile`].
#[inline(never)]
#[target_feature(enable = "neon,i8mm")]
unsafe fn grid<const PAIRS: usize>(
    k_groups: usize,
    a: *const i8,
    w: *const i8,
    acc: *mut i32,
    ldc: usize,
) {
    const { assert!(PAIRS <= ROW_PAIRS) };
    let mut sums = [[vdupq_n_s32(0); COLUMN_PAIRS]; PAIRS];
    for group in 0..k_groups {
        // SAFETY: the group is within the panels.
        unsafe { step(&mut sums, a.add(group * MR * KR), w.add(group * NR * KR)) };
    }
    // SAFETY: as this function's.
    unsafe { store(sums, acc, ldc) };
}

/// Writes the first `2 * PAIRS` rows of the accumulator.
///
/// # Safety
/// As [`tile`] for `acc` and `ldc`.
#[inline]
#[target_feature(enable = "neon,i8mm")]
unsafe fn store<const PAIRS: usize>(
    sums: [[int32x4_t; COLUMN_PAIRS]; PAIRS],
    acc: *mut i32,
    ldc: usize,
) {
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
