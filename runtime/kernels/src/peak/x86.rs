//! `vpdpbusd`, and the three instructions that take its place on AVX2.
//!
//! Each function runs `rounds` rounds and gives the multiply-accumulates of one. Operands pass through `black_box`, and where the
//! compiler could hoist a product out of the loop its operand is the chain's own last value.

use core::arch::x86_64::{
    _mm256_add_epi32, _mm256_madd_epi16, _mm256_maddubs_epi16, _mm256_set1_epi8, _mm256_set1_epi16,
    _mm256_set1_epi32, _mm512_dpbusd_epi32, _mm512_set1_epi32,
};
use core::array;
use core::hint::black_box;

/// As many sums as the tile keeps.
#[target_feature(enable = "avx512f,avx512vnni")]
pub(super) fn vpdpbusd(rounds: u64) -> u64 {
    const CHAINS: usize = 24;
    let a = _mm512_set1_epi32(black_box(0x0102_0304));
    let w = _mm512_set1_epi32(black_box(0x0403_0201));
    // Chains start from different values, lest the compiler keep only one of them.
    let mut sums: [_; CHAINS] = array::from_fn(|i| _mm512_set1_epi32(black_box(i as i32)));
    for _ in 0..rounds {
        for sum in &mut sums {
            *sum = _mm512_dpbusd_epi32(*sum, a, w);
        }
    }
    black_box(sums);
    (CHAINS * 64) as u64
}

/// 32 products take `vpmaddubsw`, `vpmaddwd` and `vpaddd`; 12 chains leave two registers for the constants.
#[target_feature(enable = "avx2")]
pub(super) fn vpmaddubsw(rounds: u64) -> u64 {
    const CHAINS: usize = 12;
    let w = _mm256_set1_epi8(black_box(1));
    let ones = _mm256_set1_epi16(black_box(1));
    let mut sums: [_; CHAINS] = array::from_fn(|i| _mm256_set1_epi32(black_box(i as i32)));
    for _ in 0..rounds {
        for sum in &mut sums {
            let pairs = _mm256_maddubs_epi16(*sum, w);
            *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(pairs, ones));
        }
    }
    black_box(sums);
    (CHAINS * 32) as u64
}
