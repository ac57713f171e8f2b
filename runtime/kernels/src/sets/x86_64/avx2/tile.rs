//! The AVX2 tile: `vpmaddubsw` multiplies unsigned by signed bytes, so the sign of A is moved to W first.
//!
//! One group of four k (8 sums, 2 of W, ones, A and |A|, and the term under way: 14 of 16):
//!
//! ```text
//!                     w[0..8]    w[8..16]       ymm loads, 8 columns x 4 k each
//! a[0]  broadcast x8  sum 0,0    sum 0,1        for each sum:
//! a[1]                sum 1,0    sum 1,1          s = vpsignb(w, a)        w with the sign of a
//! a[2]                sum 2,0    sum 2,1          p = vpmaddubsw(|a|, s)   16-bit sums of two products
//! a[3]                sum 3,0    sum 3,1          sum += vpmaddwd(p, 1)    32-bit sums of four
//! ```
//!
//! Exact: weights lie in [-127, 127] and activations in [-128, 127] (|-128| is 128 as an unsigned byte), so a sum of two
//! products is at most 2 * 128 * 127 = 32512, and `vpmaddubsw`, which saturates at 32767, never does. A weight of -128
//! would have no negative.

use core::arch::x86_64::{
    __m256i, _mm256_abs_epi8, _mm256_add_epi32, _mm256_loadu_si256, _mm256_madd_epi16,
    _mm256_maddubs_epi16, _mm256_set1_epi16, _mm256_set1_epi32, _mm256_setzero_si256,
    _mm256_sign_epi8, _mm256_storeu_si256,
};

use crate::isa::Isa;
use crate::layout::Layout;
use crate::set::Tile;

const LAYOUT: Layout = Layout::of(Isa::Avx2);

/// Columns of a register of sums; a panel is two registers wide.
const LANES: usize = 8;

/// See [`InstructionSet::tile`](crate::set::InstructionSet::tile).
///
/// # Safety
/// As there.
#[target_feature(enable = "avx2")]
pub(super) unsafe fn tile(tile: &Tile<'_>, acc: &mut [i32], ldc: usize) {
    let Tile { rows, k_groups, .. } = *tile;
    let (a, w, acc) = (tile.a.as_ptr(), tile.w.as_ptr().cast(), acc.as_mut_ptr());
    // SAFETY: each block computes at least `rows` and at most `mr` rows, for which the caller vouches.
    unsafe {
        match rows {
            1 => block::<1>(k_groups, a, w, acc, ldc),
            2 => block::<2>(k_groups, a, w, acc, ldc),
            _ => block::<4>(k_groups, a, w, acc, ldc),
        }
    }
}

/// The first `ROWS` rows of a tile. The chain from group to group is one addition, so even one row needs no unrolling.
///
/// # Safety
/// As [`tile`], with `ROWS <= mr`.
#[target_feature(enable = "avx2")]
unsafe fn block<const ROWS: usize>(
    k_groups: usize,
    a: *const u8,
    w: *const i8,
    acc: *mut i32,
    ldc: usize,
) {
    let Layout { mr, nr, kr, .. } = LAYOUT;
    let mut sums = [[_mm256_setzero_si256(); 2]; ROWS];
    for group in 0..k_groups {
        // SAFETY: group < k_groups, and the panel of w holds k_groups groups of nr * kr = 2 * 32 bytes.
        let w = unsafe {
            let w = w.add(group * nr * kr);
            [
                _mm256_loadu_si256(w.cast()),
                _mm256_loadu_si256(w.add(32).cast()),
            ]
        };
        for (i, sums) in sums.iter_mut().enumerate() {
            // SAFETY: group < k_groups and i < ROWS <= mr, and the panel of a holds k_groups groups of mr * kr bytes.
            let a = unsafe { a.add((group * mr + i) * kr).cast::<i32>().read_unaligned() };
            let a = _mm256_set1_epi32(a);
            sums[0] = _mm256_add_epi32(sums[0], dot4(a, w[0]));
            sums[1] = _mm256_add_epi32(sums[1], dot4(a, w[1]));
        }
    }
    for (i, sums) in sums.iter().enumerate() {
        // SAFETY: i < ROWS <= mr, and rows of the accumulator are nr = 2 * LANES wide or wider.
        unsafe {
            let acc = acc.add(i * ldc);
            _mm256_storeu_si256(acc.cast(), sums[0]);
            _mm256_storeu_si256(acc.add(LANES).cast(), sums[1]);
        }
    }
}

/// Sums of four products in each of 8 lanes.
#[inline]
#[target_feature(enable = "avx2")]
fn dot4(a: __m256i, w: __m256i) -> __m256i {
    let pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(a), _mm256_sign_epi8(w, a));
    _mm256_madd_epi16(pairs, _mm256_set1_epi16(1))
}
