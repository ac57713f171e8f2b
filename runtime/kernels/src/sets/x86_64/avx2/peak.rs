//! The three instructions that take the place of `vpdpbusd`, on registers alone.
//!
//! Operands pass through `black_box`, and as the compiler could hoist a product out of the loop its operand is the chain's own last value.

use core::arch::x86_64::{
    _mm256_add_epi32, _mm256_madd_epi16, _mm256_maddubs_epi16, _mm256_set1_epi8, _mm256_set1_epi16,
    _mm256_set1_epi32,
};
use core::array;
use core::hint::black_box;

/// Runs `rounds` rounds and gives the multiply-accumulates of one. 32 products take `vpmaddubsw`, `vpmaddwd` and `vpaddd`; 12 chains leave
/// two registers for the constants.
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
