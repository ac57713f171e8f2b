//! `vpdpbusd` on registers of 256 bits alone, with as many sums as the tile keeps.

use core::arch::x86_64::{_mm256_dpbusd_avx_epi32, _mm256_set1_epi32};
use core::array;
use core::hint::black_box;

/// Runs `rounds` rounds and gives the multiply-accumulates of one.
#[target_feature(enable = "avx2,avxvnni")]
pub(super) fn vpdpbusd(rounds: u64) -> u64 {
    const CHAINS: usize = 12;
    let a = _mm256_set1_epi32(black_box(0x0102_0304));
    let w = _mm256_set1_epi32(black_box(0x0403_0201));
    // Chains start from different values, lest the compiler keep only one of them.
    let mut sums: [_; CHAINS] = array::from_fn(|i| _mm256_set1_epi32(black_box(i as i32)));
    for _ in 0..rounds {
        for sum in &mut sums {
            *sum = _mm256_dpbusd_avx_epi32(*sum, a, w);
        }
    }
    black_box(sums);
    (CHAINS * 32) as u64
}
