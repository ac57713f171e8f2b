//! The AVX-512 VNNI tile: `vpdpbusd` adds four products of an unsigned and a signed byte to each of 16 i32.
//!
//! One group of four k, all in registers (24 sums, 2 of W, 1 of A at a time: 27 of 32):
//!
//! ```text
//!                      w[0..16]   w[16..32]      zmm loads, 16 columns x 4 k each
//! a[0]  broadcast x16  sum 0,0    sum 0,1        vpbroadcastd from memory: no shuffle port
//! a[1]                 sum 1,0    sum 1,1
//!  ...                   ...        ...
//! a[11]                sum 11,0   sum 11,1       24 vpdpbusd
//! ```
//!
//! 24 independent chains hide a latency of five cycles on two ports with room to spare, and the 14 loads of a group need seven of
//! its twelve cycles. A tile with fewer rows has fewer chains, so it takes several groups at a time, each with sums of its own:
//! one row, the shape of generation, then runs at the speed at which weights arrive.

use core::arch::x86_64::{
    __m512i, _mm512_add_epi32, _mm512_dpbusd_epi32, _mm512_loadu_si512, _mm512_set1_epi32,
    _mm512_setzero_si512, _mm512_storeu_si512,
};
use core::array;

use crate::isa::Isa;
use crate::layout::Layout;
use crate::memory::prefetch::{AHEAD, FAR_AHEAD, prefetch, prefetch_far};
use crate::set::Tile;

pub(super) const LAYOUT: Layout = Layout::of(Isa::Avx512Vnni);

/// A tile of all rows prefetches one line every so many groups: a quarter of what it reads of W, so that four tiles fetch a panel.
const PREFETCH: usize = 2;

/// Columns of a register of sums; a panel is two registers wide.
pub(super) const LANES: usize = 16;

/// See [`InstructionSet::tile`](crate::set::InstructionSet::tile).
///
/// # Safety
/// As there.
#[target_feature(enable = "avx512f,avx512vnni")]
pub(super) unsafe fn tile(tile: &Tile<'_>, acc: &mut [i32], ldc: usize) {
    let acc = acc.as_mut_ptr();
    // SAFETY: each block computes at least `rows` and at most `mr` rows, for which the caller vouches.
    unsafe {
        let start = start(tile.correction.as_ptr());
        match tile.rows {
            1 => block::<1, 4>(tile, acc, ldc),
            2..=4 => block::<4, 2>(tile, acc, ldc),
            5..=8 => block::<8, 1>(tile, acc, ldc),
            _ if tile.ahead.as_ptr() == tile.w.as_ptr() => {
                whole::<true>(tile, start, |sums| store(sums, acc, ldc));
            }
            _ => whole::<false>(tile, start, |sums| store(sums, acc, ldc)),
        }
    }
}

/// The first `ROWS` rows of a tile, `UNROLL` groups of k at a time.
///
/// # Safety
/// As [`tile`], with `ROWS <= mr`.
#[target_feature(enable = "avx512f,avx512vnni")]
unsafe fn block<const ROWS: usize, const UNROLL: usize>(
    tile: &Tile<'_>,
    acc: *mut i32,
    ldc: usize,
) {
    let Layout { mr, kr, .. } = LAYOUT;
    let (a, w): (_, *const i8) = (tile.a.as_ptr(), tile.w.as_ptr().cast());
    let ahead = tile.ahead.as_ptr();
    // Weights that follow each other are fetched by the hardware. For one row that is not soon enough; for two to four it is faster than
    // we are; more take about as long as their weights, and the hardware falls behind.
    let next = match (ahead == w.cast(), ROWS) {
        (true, 1) => Some(ahead.wrapping_add(AHEAD)),
        (true, 2..=4) => None,
        (true, _) => Some(ahead.wrapping_add(FAR_AHEAD)),
        (false, _) => Some(ahead),
    };
    // SAFETY: the caller's.
    unsafe {
        let rows = Rows { a, lda: mr * kr };
        let start = start(tile.correction.as_ptr());
        let sums = products::<ROWS, UNROLL>(tile.k_groups, rows, w, start, next);
        store(sums, acc, ldc);
    }
}

/// Rows of which each group of k lies `lda` bytes from the one before.
#[derive(Clone, Copy)]
pub(super) struct Rows {
    pub(super) a: *const u8,
    pub(super) lda: usize,
}

/// The sums of `ROWS` rows, which begin with `start`. As many bytes as are read of `w` are asked for
/// from `next` on.
///
/// # Safety
/// As [`tile`] for the panel `w`, and for the rows of `a` wherever their groups are.
#[inline]
#[target_feature(enable = "avx512f,avx512vnni")]
pub(super) unsafe fn products<const ROWS: usize, const UNROLL: usize>(
    k_groups: usize,
    Rows { a, lda }: Rows,
    w: *const i8,
    start: [__m512i; 2],
    next: Option<*const u8>,
) -> [[__m512i; 2]; ROWS] {
    let Layout { nr, kr, .. } = LAYOUT;
    let mut sums = [[[_mm512_setzero_si512(); 2]; ROWS]; UNROLL];
    sums[0] = [start; ROWS];
    let whole = k_groups - k_groups % UNROLL;
    for group in (0..whole).step_by(UNROLL) {
        if let Some(next) = next {
            for line in 0..2 * UNROLL {
                prefetch_far(next.wrapping_add((group * 2 + line) * 64));
            }
        }
        for (u, sums) in sums.iter_mut().enumerate() {
            // SAFETY: group + u < k_groups, and the panels hold k_groups groups.
            unsafe { multiply(a.add((group + u) * lda), w.add((group + u) * nr * kr), sums) };
        }
    }
    for group in whole..k_groups {
        // SAFETY: group < k_groups, and the panels hold k_groups groups.
        unsafe { multiply(a.add(group * lda), w.add(group * nr * kr), &mut sums[0]) };
    }

    let total = |i: usize, half: usize| {
        sums.iter().fold(_mm512_setzero_si512(), |total, sums| {
            _mm512_add_epi32(total, sums[i][half])
        })
    };
    array::from_fn(|i| [total(i, 0), total(i, 1)])
}

/// What the sums of a row begin with.
///
/// # Safety
/// `correction` must hold nr = 2 * LANES values.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) unsafe fn start(correction: *const i32) -> [__m512i; 2] {
    // SAFETY: the caller's.
    array::from_fn(|half| unsafe { _mm512_loadu_si512(correction.add(half * LANES).cast()) })
}

/// The first `ROWS` rows of the accumulator.
///
/// # Safety
/// As [`tile`] for `acc` and `ldc`, with `ROWS <= mr`.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) unsafe fn store<const ROWS: usize>(
    sums: [[__m512i; 2]; ROWS],
    acc: *mut i32,
    ldc: usize,
) {
    for (i, sums) in sums.into_iter().enumerate() {
        for (half, sum) in sums.into_iter().enumerate() {
            // SAFETY: i < ROWS <= mr, and rows of the accumulator are nr = 2 * LANES wide or wider.
            unsafe { _mm512_storeu_si512(acc.add(i * ldc + half * LANES).cast(), sum) };
        }
    }
}

/// All rows of a tile, whose sums begin with `start` and go to `finish` in registers. If `FOLLOWS`, what is wanted next follows the panel
/// `w`, and this tile is the only one to ask for it.
///
/// # Safety
/// As [`tile`] for the panels `a` and `w`.
#[inline]
#[target_feature(enable = "avx512f,avx512vnni")]
pub(super) unsafe fn whole<const FOLLOWS: bool>(
    tile: &Tile<'_>,
    start: [__m512i; 2],
    finish: impl FnOnce([[__m512i; 2]; LAYOUT.mr]),
) {
    let (a, w): (_, *const i8) = (tile.a.as_ptr(), tile.w.as_ptr().cast());
    let (k_groups, ahead) = (tile.k_groups, tile.ahead.as_ptr());
    let Layout { mr, nr, kr, .. } = LAYOUT;
    let mut sums = [start; LAYOUT.mr];
    for group in 0..k_groups {
        if FOLLOWS {
            let line = w.wrapping_add(FAR_AHEAD + group * nr * kr);
            prefetch_far(line);
            prefetch_far(line.wrapping_add(64));
        } else if group % PREFETCH == 0 {
            prefetch(ahead.wrapping_add(group / PREFETCH * 64));
        }
        // SAFETY: group < k_groups, and the panels hold k_groups groups.
        unsafe { multiply(a.add(group * mr * kr), w.add(group * nr * kr), &mut sums) };
    }
    finish(sums);
}

/// Adds the products of one group of k to the sums of `ROWS` rows.
///
/// # Safety
/// `a` must hold `ROWS * kr` bytes and `w` `nr * kr`.
#[inline]
#[target_feature(enable = "avx512f,avx512vnni")]
unsafe fn multiply<const ROWS: usize>(a: *const u8, w: *const i8, sums: &mut [[__m512i; 2]; ROWS]) {
    // SAFETY: the caller vouches for nr * kr = 2 * 64 bytes of w.
    let w: [__m512i; 2] =
        array::from_fn(|half| unsafe { _mm512_loadu_si512(w.add(half * 64).cast()) });
    for (i, sums) in sums.iter_mut().enumerate() {
        // SAFETY: the caller vouches for ROWS groups of kr = 4 bytes of a.
        let a = _mm512_set1_epi32(unsafe { a.cast::<i32>().add(i).read_unaligned() });
        sums[0] = _mm512_dpbusd_epi32(sums[0], a, w[0]);
        sums[1] = _mm512_dpbusd_epi32(sums[1], a, w[1]);
    }
}
