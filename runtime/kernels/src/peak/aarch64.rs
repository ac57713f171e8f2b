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

/// A function `$name` of `$products` products a chain and round, by the instructions `$line`, which read `a` and add to `sum`.
macro_rules! chained {
    ($(#[$doc:meta])* $name:ident, $features:literal, $products:literal, $($line:literal),+ $(; $scratch:ident)?) => {
        $(#[$doc])*
        #[target_feature(enable = $features)]
        pub(super) fn $name(rounds: u64) -> u64 {
            let mut sums = chains();
            let a = vdupq_n_s32(black_box(0x0102_0304));
            for _ in 0..rounds {
                for sum in &mut sums {
                    // SAFETY: the instructions are there, as this function's target features say, and only these registers are
                    // touched.
                    unsafe {
                        asm!(
                            $($line,)+
                            $($scratch = out(vreg) _,)?
                            a = in(vreg) a,
                            sum = inout(vreg) *sum,
                            options(nomem, nostack, preserves_flags),
                        );
                    }
                }
            }
            black_box(sums);
            (CHAINS * $products) as u64
        }
    };
}

chained!(
    /// 16 products take three instructions.
    smull, "neon", 16,
    "smull {p:v}.8h, {a:v}.8b, {a:v}.8b",
    "smlal2 {p:v}.8h, {a:v}.16b, {a:v}.16b",
    "sadalp {sum:v}.4s, {p:v}.8h"; p
);
chained!(
    /// 16 products an instruction.
    sdot, "neon,dotprod", 16,
    "sdot {sum:v}.4s, {a:v}.16b, {a:v}.16b"
);
chained!(
    /// 32 products an instruction.
    smmla, "neon,i8mm", 32,
    "smmla {sum:v}.4s, {a:v}.16b, {a:v}.16b"
);
