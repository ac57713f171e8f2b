//! The AVX-VNNI tile: `vpdpbusd` adds four products of an unsigned and a signed byte to each of 8 i32.
//!
//! One group of four k, all in registers (12 sums, 1 of W, 1 of A at a time: 14 of 16):
//!
//! ```text
//!                     w: 8 columns x 4 k
//! a[0]  broadcast x8  sum 0             vpbroadcastd from memory: no shuffle port
//! a[1]                sum 1
//!  ...                 ...
//! a[11]               sum 11            12 vpdpbusd
//! ```
//!
//! The instruction takes five cycles and two begin in each, so that ten chains are needed and 4 rows by 16 columns, which load less, wait.
//! A tile of fewer rows takes several groups at a time, each with sums of its own.

use core::arch::x86_64::{
    __m256i, _mm256_add_epi32, _mm256_dpbusd_avx_epi32, _mm256_loadu_si256, _mm256_set1_epi32,
    _mm256_setzero_si256, _mm256_storeu_si256,
};

use crate::isa::Isa;
use crate::layout::Layout;
use crate::memory::prefetch::{AHEAD, prefetch, prefetch_far};
use crate::set::Tile;

const LAYOUT: Layout = Layout::of(Isa::AvxVnni);

/// A tile of all rows prefetches a line every so many groups, a quarter of what it reads of W; others every second group, all of it.
const PREFETCH: usize = 8;

/// See [`InstructionSet::tile`](crate::set::InstructionSet::tile).
///
/// # Safety
/// As there.
#[target_feature(enable = "avx2,avxvnni")]
pub(super) unsafe fn tile(tile: &Tile<'_>, acc: &mut [i32], ldc: usize) {
    // SAFETY: each block computes at least `rows` and at most `mr` rows, for which the caller vouches.
    unsafe {
        match tile.rows {
            1 => block::<1, 8>(tile, acc, ldc),
            2..=4 => block::<4, 3>(tile, acc, ldc),
            5..=8 => block::<8, 1>(tile, acc, ldc),
            _ => block::<12, 1>(tile, acc, ldc),
        }
    }
}

/// The first `ROWS` rows of a tile, `UNROLL` groups of k at a time.
///
/// # Safety
/// As [`tile`], with `ROWS <= mr`.
#[target_feature(enable = "avx2,avxvnni")]
unsafe fn block<const ROWS: usize, const UNROLL: usize>(
    tile: &Tile<'_>,
    acc: &mut [i32],
    ldc: usize,
) {
    const { assert!(ROWS <= LAYOUT.mr) };
    let Layout { mr, nr, kr, .. } = LAYOUT;
    let (a, w): (_, *const i8) = (tile.a.as_ptr(), tile.w.as_ptr().cast());
    let ahead = tile.ahead.as_ptr();
    // Weights that follow each other are asked for at a distance.
    let next = match ahead == tile.w.as_ptr() {
        true => ahead.wrapping_add(AHEAD),
        false => ahead,
    };
    let mut sums = [[_mm256_setzero_si256(); ROWS]; UNROLL];
    // SAFETY: one number a column.
    sums[0] = [unsafe { _mm256_loadu_si256(tile.correction.as_ptr().cast()) }; ROWS];
    let whole = tile.k_groups - tile.k_groups % UNROLL;
    for group in (0..whole).step_by(UNROLL) {
        if ROWS < LAYOUT.mr {
            for line in 0..UNROLL.div_ceil(2) {
                prefetch_far(next.wrapping_add(group * nr * kr + line * 64));
            }
        } else if group % PREFETCH == 0 {
            prefetch(next.wrapping_add(group / PREFETCH * 64));
        }
        for (u, sums) in sums.iter_mut().enumerate() {
            // SAFETY: group + u < k_groups, and the panels hold k_groups groups.
            unsafe {
                let group = group + u;
                multiply(a.add(group * mr * kr), w.add(group * nr * kr), sums);
            }
        }
    }
    for group in whole..tile.k_groups {
        // SAFETY: group < k_groups, and the panels hold k_groups groups.
        unsafe { multiply(a.add(group * mr * kr), w.add(group * nr * kr), &mut sums[0]) };
    }
    let acc = acc.as_mut_ptr();
    for i in 0..ROWS {
        let mut total = sums[0][i];
        for sums in &sums[1..] {
            total = _mm256_add_epi32(total, sums[i]);
        }
        // SAFETY: i < ROWS <= mr, and rows of the accumulator are nr = 8 wide or wider.
        unsafe { _mm256_storeu_si256(acc.add(i * ldc).cast(), total) };
    }
}

/// Adds the products of one group of k to the sums of `ROWS` rows.
///
/// # Safety
/// `a` must hold `ROWS * kr` bytes and `w` `nr * kr`.
#[inline]
#[target_feature(enable = "avx2,avxvnni")]
unsafe fn multiply<const ROWS: usize>(a: *const u8, w: *const i8, sums: &mut [__m256i; ROWS]) {
    // SAFETY: the caller vouches for nr * kr = 32 bytes of w.
    let w = unsafe { _mm256_loadu_si256(w.cast()) };
    for (i, sum) in sums.iter_mut().enumerate() {
        // SAFETY: the caller vouches for ROWS groups of kr = 4 bytes of a.
        let a = _mm256_set1_epi32(unsafe { a.cast::<i32>().add(i).read_unaligned() });
        *sum = _mm256_dpbusd_avx_epi32(*sum, a, w);
    }
}
