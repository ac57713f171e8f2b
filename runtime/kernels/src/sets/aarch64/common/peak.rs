//! Dot products on registers alone.
//!
//! Each function runs `rounds` rounds and gives the multiply-accumulates of one. 16 chains hide the latency of every core that
//! has these instructions. `asm!` because stable Rust has no intrinsics for `sdot` and `smmla`, and so that none is hoisted.

use core::arch::aarch64::{int32x4_t, vdupq_n_s32};
use core::array;
use core::hint::black_box;

pub(in crate::sets::aarch64) const CHAINS: usize = 16;

pub(in crate::sets::aarch64) fn chains() -> [int32x4_t; CHAINS] {
    // SAFETY: NEON is part of the aarch64 baseline.
    array::from_fn(|i| unsafe { vdupq_n_s32(black_box(i as i32)) })
}

/// A function `$name` of `$products` products a chain and round, by the instructions `$line`, which read `a` and add to `sum`.
macro_rules! chained {
    ($(#[$doc:meta])* $name:ident, $features:literal, $products:literal, $($line:literal),+ $(; $scratch:ident)?) => {
        $(#[$doc])*
        #[target_feature(enable = $features)]
        pub(super) fn $name(rounds: u64) -> u64 {
            let mut sums = $crate::sets::aarch64::common::peak::chains();
            let a = core::arch::aarch64::vdupq_n_s32(core::hint::black_box(0x0102_0304));
            for _ in 0..rounds {
                for sum in &mut sums {
                    // SAFETY: the instructions are there, as this function's target features say, and only these registers are
                    // touched.
                    unsafe {
                        core::arch::asm!(
                            $($line,)+
                            $($scratch = out(vreg) _,)?
                            a = in(vreg) a,
                            sum = inout(vreg) *sum,
                            options(nomem, nostack, preserves_flags),
                        );
                    }
                }
            }
            core::hint::black_box(sums);
            ($crate::sets::aarch64::common::peak::CHAINS * $products) as u64
        }
    };
}
