//! The tile for ARMv8.2 with the dot-product extension (Cortex-A55, A76): `sdot` by element.
//!
//! One `sdot` multiplies four columns of four k by the four k of one row, which it picks out of a register of four rows:
//! sums come out in the accumulator's order and need no shuffling.
//!
//! ```text
//!                    w0: columns 0..4   w1: columns 4..8     4 k each
//! a0[0]  row 0       s00                s01
//! a0[1]  row 1       s10                s11
//!  ...                                                       16 sums + 2 a + 2 w
//! a1[3]  row 7       s70                s71
//! ```
//!
//! The loop of a full tile is written out, four groups of k a turn and all 32 registers: one `ld1` reads two groups of an
//! operand and moves the pointer on, which LLVM would take apart again into eight loads and four additions.

use core::arch::aarch64::{
    int8x16_t, int32x4_t, vaddq_s32, vdupq_n_s32, vld1q_s8, vreinterpretq_s8_s32, vst1q_s32,
};
use core::arch::asm;

use crate::isa::Isa;
use crate::layout::Layout;
use crate::set::Tile;

const MR: usize = LAYOUT.mr;
const NR: usize = LAYOUT.nr;
const KR: usize = LAYOUT.kr;

/// Rows or columns in a register.
const LANES: usize = 4;

/// Groups of k that a turn of the full tile's loop takes.
const TURN: usize = 4;

/// Independent sums of the one-row tile: with fewer it would wait for `sdot`'s latency of four cycles.
const CHAINS: usize = 4;

pub(super) const LAYOUT: Layout = Layout::of(Isa::Dotprod);

/// See [`InstructionSet::tile`](crate::set::InstructionSet::tile).
///
/// # Safety
/// As there.
#[inline]
#[target_feature(enable = "neon,dotprod")]
pub(super) unsafe fn tile(tile: &Tile<'_>, acc: &mut [i32], ldc: usize) {
    let Tile { rows, k_groups, .. } = *tile;
    let (a, w): (*const i8, *const i8) = (tile.a.as_ptr().cast(), tile.w.as_ptr().cast());
    let acc = acc.as_mut_ptr();
    // SAFETY: the caller vouches for panels of `MR` rows and `NR` columns, and for an accumulator of `MR` rows.
    unsafe {
        match rows {
            1 => one_row(k_groups, a, w, acc),
            2..=LANES => grid::<1>(k_groups, a, w, acc, ldc),
            _ => full(k_groups, a, w, acc, ldc),
        }
    }
}

/// All rows of a tile.
///
/// # Safety
/// As [`tile`].
#[inline]
#[target_feature(enable = "neon,dotprod")]
unsafe fn full(k_groups: usize, a: *const i8, w: *const i8, acc: *mut i32, ldc: usize) {
    let mut sums = [[[vdupq_n_s32(0); 2]; LANES]; 2];
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

/// The `sdot`s of a group of four k: all rows and columns. `$w0` and `$w1` are the numbers of the registers with the
/// columns, `$a0` and `$a1` of those with the rows; the sums are operands of the `asm!` around.
macro_rules! sdots {
    ($w0:literal, $w1:literal, $a0:literal, $a1:literal) => {
        concat!(
            sdots!(row "s00", "s01", $w0, $w1, $a0, 0),
            sdots!(row "s10", "s11", $w0, $w1, $a0, 1),
            sdots!(row "s20", "s21", $w0, $w1, $a0, 2),
            sdots!(row "s30", "s31", $w0, $w1, $a0, 3),
            sdots!(row "s40", "s41", $w0, $w1, $a1, 0),
            sdots!(row "s50", "s51", $w0, $w1, $a1, 1),
            sdots!(row "s60", "s61", $w0, $w1, $a1, 2),
            sdots!(row "s70", "s71", $w0, $w1, $a1, 3),
        )
    };
    (row $left:literal, $right:literal, $w0:literal, $w1:literal, $a:literal, $lane:literal) => {
        concat!(
            "sdot {", $left, ":v}.4s, v", $w0, ".16b, v", $a, ".4b[", $lane, "]\n",
            "sdot {", $right, ":v}.4s, v", $w1, ".16b, v", $a, ".4b[", $lane, "]\n",
        )
    };
}

/// `turns` times `TURN` groups of all rows and columns.
///
/// # Safety
/// `turns` must not be 0; `a` and `w` must point at `turns * TURN` groups each.
#[inline]
#[target_feature(enable = "neon,dotprod")]
unsafe fn full_turns(
    sums: &mut [[[int32x4_t; 2]; LANES]; 2],
    turns: usize,
    a: *const i8,
    w: *const i8,
) {
    // SAFETY: it reads `TURN * 32` bytes a turn from each pointer, which the caller vouches for, and writes registers only.
    unsafe {
        asm!(
            "2:",
            "ld1 {{v0.16b-v3.16b}}, [{w}], #64",
            "ld1 {{v4.16b-v7.16b}}, [{a}], #64",
            "subs {turns}, {turns}, #1",
            sdots!(0, 1, 4, 5),
            "ld1 {{v8.16b-v11.16b}}, [{w}], #64",
            "ld1 {{v12.16b-v15.16b}}, [{a}], #64",
            sdots!(2, 3, 6, 7),
            sdots!(8, 9, 12, 13),
            sdots!(10, 11, 14, 15),
            "b.ne 2b",
            a = inout(reg) a => _,
            w = inout(reg) w => _,
            turns = inout(reg) turns => _,
            s00 = inout(vreg) sums[0][0][0],
            s01 = inout(vreg) sums[0][0][1],
            s10 = inout(vreg) sums[0][1][0],
            s11 = inout(vreg) sums[0][1][1],
            s20 = inout(vreg) sums[0][2][0],
            s21 = inout(vreg) sums[0][2][1],
            s30 = inout(vreg) sums[0][3][0],
            s31 = inout(vreg) sums[0][3][1],
            s40 = inout(vreg) sums[1][0][0],
            s41 = inout(vreg) sums[1][0][1],
            s50 = inout(vreg) sums[1][1][0],
            s51 = inout(vreg) sums[1][1][1],
            s60 = inout(vreg) sums[1][2][0],
            s61 = inout(vreg) sums[1][2][1],
            s70 = inout(vreg) sums[1][3][0],
            s71 = inout(vreg) sums[1][3][1],
            out("v0") _, out("v1") _, out("v2") _, out("v3") _,
            out("v4") _, out("v5") _, out("v6") _, out("v7") _,
            out("v8") _, out("v9") _, out("v10") _, out("v11") _,
            out("v12") _, out("v13") _, out("v14") _, out("v15") _,
            options(readonly, nostack),
        );
    }
}

/// The first `4 * QUADS` rows of a tile.
///
/// # Safety
/// As [`tile`].
#[inline(never)]
#[target_feature(enable = "neon,dotprod")]
unsafe fn grid<const QUADS: usize>(
    k_groups: usize,
    a: *const i8,
    w: *const i8,
    acc: *mut i32,
    ldc: usize,
) {
    const { assert!(QUADS * LANES <= MR) };
    let mut sums = [[[vdupq_n_s32(0); 2]; LANES]; QUADS];
    for group in 0..k_groups {
        // SAFETY: the group is within the panels.
        unsafe { step(&mut sums, a.add(group * MR * KR), w.add(group * NR * KR)) };
    }
    // SAFETY: as this function's.
    unsafe { store(sums, acc, ldc) };
}

/// Writes the first `4 * QUADS` rows of the accumulator.
///
/// # Safety
/// As [`tile`] for `acc` and `ldc`.
#[inline]
#[target_feature(enable = "neon,dotprod")]
unsafe fn store<const QUADS: usize>(
    sums: [[[int32x4_t; 2]; LANES]; QUADS],
    acc: *mut i32,
    ldc: usize,
) {
    for (quad, sums) in sums.into_iter().enumerate() {
        for (lane, [left, right]) in sums.into_iter().enumerate() {
            // SAFETY: row `quad * LANES + lane < MR` of the accumulator has `NR` columns.
            unsafe {
                let row = acc.add((quad * LANES + lane) * ldc);
                vst1q_s32(row, left);
                vst1q_s32(row.add(LANES), right);
            }
        }
    }
}

/// Four k of the first `4 * QUADS` rows and all columns.
///
/// # Safety
/// `a` and `w` must point at a group each: `MR * KR` and `NR * KR` bytes.
#[inline]
#[target_feature(enable = "neon,dotprod")]
unsafe fn step<const QUADS: usize>(
    sums: &mut [[[int32x4_t; 2]; LANES]; QUADS],
    a: *const i8,
    w: *const i8,
) {
    // SAFETY: a group of columns is `NR * KR` = 32 bytes.
    let columns = unsafe { [vld1q_s8(w), vld1q_s8(w.add(16))] };
    for (quad, sums) in sums.iter_mut().enumerate() {
        // SAFETY: a group of rows is `MR * KR` = 32 bytes, and `quad < QUADS <= 2`.
        let rows = unsafe { vld1q_s8(a.add(quad * 16)) };
        for (half, column) in columns.into_iter().enumerate() {
            sums[0][half] = sdot_lane::<0>(sums[0][half], column, rows);
            sums[1][half] = sdot_lane::<1>(sums[1][half], column, rows);
            sums[2][half] = sdot_lane::<2>(sums[2][half], column, rows);
            sums[3][half] = sdot_lane::<3>(sums[3][half], column, rows);
        }
    }
}

/// Row 0 alone, `CHAINS` groups at a time.
///
/// # Safety
/// As [`tile`].
#[inline(never)]
#[target_feature(enable = "neon,dotprod")]
unsafe fn one_row(k_groups: usize, a: *const i8, w: *const i8, acc: *mut i32) {
    let mut sums = [[vdupq_n_s32(0); 2]; CHAINS];
    let mut group = 0;
    while group + CHAINS <= k_groups {
        for (chain, sums) in sums.iter_mut().enumerate() {
            // SAFETY: group `group + chain < k_groups` is within the panels.
            unsafe {
                let group = group + chain;
                one_row_step(sums, a.add(group * MR * KR), w.add(group * NR * KR));
            }
        }
        group += CHAINS;
    }
    while group < k_groups {
        // SAFETY: `group < k_groups` is within the panels.
        unsafe { one_row_step(&mut sums[0], a.add(group * MR * KR), w.add(group * NR * KR)) };
        group += 1;
    }
    for half in 0..2 {
        let [s0, s1, s2, s3] = sums.map(|sums| sums[half]);
        let sum = vaddq_s32(vaddq_s32(s0, s1), vaddq_s32(s2, s3));
        // SAFETY: row 0 of the accumulator has `NR` columns.
        unsafe { vst1q_s32(acc.add(half * LANES), sum) };
    }
}

/// Four k of row 0 and all columns.
///
/// # Safety
/// `a` and `w` must point at a group each: `MR * KR` and `NR * KR` bytes.
#[inline]
#[target_feature(enable = "neon,dotprod")]
unsafe fn one_row_step(sums: &mut [int32x4_t; 2], a: *const i8, w: *const i8) {
    // SAFETY: row 0 of the group is its first `KR` = 4 bytes, which may lie at any address.
    let row = vreinterpretq_s8_s32(vdupq_n_s32(unsafe { a.cast::<i32>().read_unaligned() }));
    // SAFETY: a group of columns is `NR * KR` = 32 bytes.
    let columns = unsafe { [vld1q_s8(w), vld1q_s8(w.add(16))] };
    sums[0] = sdot_lane::<0>(sums[0], columns[0], row);
    sums[1] = sdot_lane::<0>(sums[1], columns[1], row);
}

/// `sum[l] += w[4l..4l + 4] . a[4 LANE..4 LANE + 4]`: `vdotq_laneq_s32`, which stable Rust does not have yet.
#[inline]
#[target_feature(enable = "neon,dotprod")]
fn sdot_lane<const LANE: u32>(mut sum: int32x4_t, w: int8x16_t, a: int8x16_t) -> int32x4_t {
    // SAFETY: the instruction is there, as this function's target features say, and it touches only these registers.
    unsafe {
        asm!(
            "sdot {sum:v}.4s, {w:v}.16b, {a:v}.4b[{lane}]",
            sum = inout(vreg) sum,
            w = in(vreg) w,
            a = in(vreg) a,
            lane = const LANE,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    sum
}
