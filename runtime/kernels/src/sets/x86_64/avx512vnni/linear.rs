//! Whole tiles of an int8 linear layer on AVX-512 VNNI, whose sums get scale, bias and residual in registers. By way of memory that takes
//! a fifteenth of the time of the products at k = 512.

use core::arch::x86_64::{
    __m512, __m512i, _mm512_add_epi32, _mm512_add_ps, _mm512_cvtepi32_ps, _mm512_fmadd_ps,
    _mm512_loadu_ps, _mm512_loadu_si512, _mm512_mul_ps, _mm512_mullo_epi32, _mm512_set1_epi32,
    _mm512_set1_ps, _mm512_storeu_ps,
};
use core::array;

use super::tile::{LANES, LAYOUT, whole};
use crate::arithmetic::epilogue::{Channels, Output};
use crate::layout::Layout;
use crate::set::Tile;

/// See [`InstructionSet::linear_tile`](crate::set::InstructionSet::linear_tile): for whole tiles.
///
/// # Safety
/// As there.
#[inline(always)]
pub(super) unsafe fn tile(
    tile: &Tile<'_>,
    alone: bool,
    channels: &Channels<'_>,
    output: &mut Output<'_>,
) -> bool {
    if tile.rows != LAYOUT.mr || channels.w_scale.len() != LAYOUT.nr {
        return false;
    }
    let finished = match (output.asymmetric, output.add, alone) {
        (false, false, false) => finished::<false, false, false>,
        (false, true, false) => finished::<false, true, false>,
        (true, false, false) => finished::<true, false, false>,
        (true, true, false) => finished::<true, true, false>,
        (false, false, true) => finished::<false, false, true>,
        (false, true, true) => finished::<false, true, true>,
        (true, false, true) => finished::<true, false, true>,
        (true, true, true) => finished::<true, true, true>,
    };
    // SAFETY: the caller's.
    unsafe { finished(tile, channels, output) };
    true
}

/// `out = fma(sum + zero_point * w_sum, scale * w_scale, bias)`, or that added to `out` if `ADD`. Every zero point is 0 unless
/// `ASYMMETRIC`.
///
/// # Safety
/// This machine must have AVX-512 VNNI.
#[target_feature(enable = "avx512f,avx512vnni")]
unsafe fn finished<const ASYMMETRIC: bool, const ADD: bool, const ALONE: bool>(
    tile: &Tile<'_>,
    channels: &Channels<'_>,
    output: &mut Output<'_>,
) {
    let Layout { mr, nr, kr, .. } = LAYOUT;
    let (k_groups, ldo) = (tile.k_groups, output.ldo);
    assert!(tile.a.len() >= k_groups * mr * kr && tile.w.len() >= k_groups * nr * kr);
    assert!(ldo >= nr && output.out.len() >= (mr - 1) * ldo + nr);
    let scales: &[f32; LAYOUT.mr] = output.scales.first_chunk().expect("one a row");
    let zero_points: &[i32; LAYOUT.mr] = output.zero_points.first_chunk().expect("one a row");
    let (correction, w_sums) = (ints(tile.correction), ints(channels.w_sums));
    let (w_scale, bias) = (floats(channels.w_scale), floats(channels.bias));
    let finish = |sums: [[__m512i; 2]; LAYOUT.mr]| {
        for (i, sums) in sums.into_iter().enumerate() {
            let scale = _mm512_set1_ps(scales[i]);
            for (half, mut sum) in sums.into_iter().enumerate() {
                if ASYMMETRIC {
                    let more = _mm512_mullo_epi32(_mm512_set1_epi32(zero_points[i]), w_sums[half]);
                    sum = _mm512_add_epi32(sum, more);
                }
                let scale = _mm512_mul_ps(scale, w_scale[half]);
                let mut y = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum), scale, bias[half]);
                // SAFETY: a half of nr = 2 * LANES numbers of row i < mr, which `out` has, as was checked above.
                unsafe {
                    let out = output.out.as_mut_ptr().add(i * ldo + half * LANES);
                    if ADD {
                        y = _mm512_add_ps(_mm512_loadu_ps(out), y);
                    }
                    _mm512_storeu_ps(out, y);
                }
            }
        }
    };
    // SAFETY: the panels are long enough, as was checked above.
    unsafe { whole::<ALONE>(tile, correction, finish) };
}

#[inline]
#[target_feature(enable = "avx512f")]
fn ints(of: &[i32]) -> [__m512i; 2] {
    let of: &[i32; LAYOUT.nr] = of.first_chunk().expect("one a column");
    // SAFETY: half of nr = 2 * LANES numbers.
    array::from_fn(|half| unsafe { _mm512_loadu_si512(of.as_ptr().add(half * LANES).cast()) })
}

#[inline]
#[target_feature(enable = "avx512f")]
fn floats(of: &[f32]) -> [__m512; 2] {
    let of: &[f32; LAYOUT.nr] = of.first_chunk().expect("one a column");
    // SAFETY: half of nr = 2 * LANES numbers.
    array::from_fn(|half| unsafe { _mm512_loadu_ps(of.as_ptr().add(half * LANES)) })
}
