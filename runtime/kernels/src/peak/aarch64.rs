//! `smull` with `smlal2` and `sadalp`, `sdot`, `smmla`.
//!
//! Each function runs `rounds` rounds and gives the multiply-accumulates of one. 16 chains hide the latency of every core that
//! has these instructions. `asm!` because stable Rust has no intrinsics for the last two, and so that none is hoisted.

use core::arch::aarch64::{int32x4_t, vdupq_n_s32};
use core::arch::asm;
use core::array;
use core::hint::black_box;

const CHAINS: usize = 16;

fn chains() -> [int32x4_t; CHAINS] {
    // SAFETY: NEON is part of the aarch64 baseline.
    array::from_fn(|i| unsafe { vdupq_n_s32(black_box(i as i32)) })
}

/// 16 products take three instructions.
#[target_feature(enable = "neon")]
pub(super) fn smull(rounds: u64) -> u64 {
    let mut sums = chains();
    let a = vdupq_n_s32(black_box(0x0102_0304));
    for _ in 0..rounds {
        for sum in &mut sums {
            // SAFETY: NEON is there, and only these registers are touched.
            unsafe {
                asm!(
                    "smull {p:v}.8h, {a:v}.8b, {a:v}.8b",
                    "smlal2 {p:v}.8h, {a:v}.16b, {a:v}.16b",
                    "sadalp {sum:v}.4s, {p:v}.8h",
                    p = out(vreg) _,
                    a = in(vreg) a,
                    sum = inout(vreg) *sum,
                    options(nomem, nostack, preserves_flags),
                );
            }
        }
    }
    black_box(sums);
    (CHAINS * 16) as u64
}

/// 16 products an instruction.
#[target_feature(enable = "neon,dotprod")]
pub(super) fn sdot(rounds: u64) -> u64 {
    let mut sums = chains();
    let a = vdupq_n_s32(black_box(0x0102_0304));
    for _ in 0..rounds {
        for sum in &mut sums {
            // SAFETY: the instruction is there, as this function's target features say, and only these registers are touched.
            unsafe {
                asm!(
                    "sdot {sum:v}.4s, {a:v}.16b, {a:v}.16b",
                    a = in(vreg) a,
                    sum = inout(vreg) *sum,
                    options(nomem, nostack, preserves_flags),
                );
            }
        }
    }
    black_box(sums);
    (CHAINS * 16) as u64
}

/// 32 products an instruction.
#[target_feature(enable = "neon,i8mm")]
pub(super) fn smmla(rounds: u64) -> u64 {
    let mut sums = chains();
    let a = vdupq_n_s32(black_box(0x0102_0304));
    for _ in 0..rounds {
        for sum in &mut sums {
            // SAFETY: the instruction is there, as this function's target features say, and only these registers are touched.
            unsafe {
                asm!(
                    "smmla {sum:v}.4s, {a:v}.16b, {a:v}.16b",
                    a = in(vreg) a,
                    sum = inout(vreg) *sum,
                    options(nomem, nostack, preserves_flags),
                );
            }
        }
    }
    black_box(sums);
    (CHAINS * 32) as u64
}
