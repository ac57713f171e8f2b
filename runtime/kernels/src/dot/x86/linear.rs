//! Whole tiles of an int8 linear layer on AVX-512 VNNI, whose sums get scale, bias and residual in registers. By way of memory that takes
//! a fifteenth of the time of the products at k = 512.

use core::arch::x86_64::{
    __m512, __m512i, _mm512_add_epi32, _mm512_add_ps, _mm512_cvtepi32_ps, _mm512_fmadd_ps,
    _mm512_loadu_ps, _mm512_loadu_si512, _mm512_mul_ps, _mm512_mullo_epi32, _mm512_set1_epi32,
    _mm512_set1_ps, _mm512_storeu_ps,
};
use core::array;

use super::avx512vnni::{LANES, LAYOUT, whole};
use crate::dot::Layout;
use crate::isa::Isa;

/// Whether this is for `isa` and tiles of so many rows and columns.
pub(crate) const fn fits(isa: Isa, rows: usize, columns: usize) -> bool {
    matches!(isa, Isa::Avx512Vnni) && rows == LAYOUT.mr && columns == LAYOUT.nr
}

/// What a panel of weights brings.
pub(crate) struct Columns<'a> {
    pub(crate) w: &'a [u8],
    /// What sums start from.
    pub(crate) comp: &'a [i32],
    pub(crate) w_sums: &'a [i32],
    pub(crate) w_scale: &'a [f32],
    pub(crate) bias: &'a [f32],
}

/// What a panel of rows brings.
pub(crate) struct Rows<'a> {
    pub(crate) a: &'a [u8],
    pub(crate) scales: &'a [f32],
    pub(crate) shifts: &'a [i32],
}

/// `out = fma(sum + shift * w_sum, scale * w_scale, bias)`, or that added to `out` if `ADD`. Every shift is 0 unless `SHIFTED`. Rows of
/// `out` are `ldo` apart; `ahead` is what is wanted next, as of [`Tile`](crate::dot::Tile). If `ALONE`, no other rows are multiplied by
/// these columns, and the tile asks for all that follows them.
///
/// # Safety
/// This machine must have AVX-512 VNNI.
#[target_feature(enable = "avx512f,avx512vnni")]
pub(crate) unsafe fn tile<const SHIFTED: bool, const ADD: bool, const ALONE: bool>(
    k_groups: usize,
    rows: &Rows<'_>,
    columns: &Columns<'_>,
    out: &mut [f32],
    ldo: usize,
    ahead: &[u8],
) {
    let Layout { mr, nr, kr, .. } = LAYOUT;
    assert!(rows.a.len() >= k_groups * mr * kr && columns.w.len() >= k_groups * nr * kr);
    assert!(ldo >= nr && out.len() >= (mr - 1) * ldo + nr);
    let scales: &[f32; LAYOUT.mr] = rows.scales.first_chunk().expect("one a row");
    let shifts: &[i32; LAYOUT.mr] = rows.shifts.first_chunk().expect("one a row");
    let (comp, w_sums) = (ints(columns.comp), ints(columns.w_sums));
    let (w_scale, bias) = (floats(columns.w_scale), floats(columns.bias));
    let finish = |sums: [[__m512i; 2]; LAYOUT.mr]| {
        for (i, sums) in sums.into_iter().enumerate() {
            let scale = _mm512_set1_ps(scales[i]);
            for (half, mut sum) in sums.into_iter().enumerate() {
                if SHIFTED {
                    let more = _mm512_mullo_epi32(_mm512_set1_epi32(shifts[i]), w_sums[half]);
                    sum = _mm512_add_epi32(sum, more);
                }
                let scale = _mm512_mul_ps(scale, w_scale[half]);
                let mut y = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum), scale, bias[half]);
                // SAFETY: a half of nr = 2 * LANES numbers of row i < mr, which `out` has, as was checked above.
                unsafe {
                    let out = out.as_mut_ptr().add(i * ldo + half * LANES);
                    if ADD {
                        y = _mm512_add_ps(_mm512_loadu_ps(out), y);
                    }
                    _mm512_storeu_ps(out, y);
                }
            }
        }
    };
    let (a, w, ahead) = (rows.a.as_ptr(), columns.w.as_ptr().cast(), ahead.as_ptr());
    // SAFETY: the panels are long enough, as was checked above.
    unsafe { whole::<ALONE>(k_groups, a, w, comp, ahead, finish) };
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
