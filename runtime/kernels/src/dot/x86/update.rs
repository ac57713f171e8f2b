//! Attention's second product on AVX-512 VNNI: the values of a kv tile go from the registers of their sums into the output. By way of
//! memory that takes a sixth of the time of the product.

use core::arch::x86_64::{
    __m512i, _mm512_cvtepi32_ps, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_mul_ps, _mm512_set1_ps,
    _mm512_setzero_si512, _mm512_storeu_ps,
};

use super::avx512vnni::{LANES, LAYOUT, whole};
use crate::dot::Layout;
use crate::isa::Isa;

/// Whether this is for `isa`, of heads of `dim` whole panels.
pub(crate) const fn fits(isa: Isa, dim: usize) -> bool {
    matches!(isa, Isa::Avx512Vnni) && dim.is_multiple_of(LAYOUT.nr)
}

/// What becomes of a row of output: `o * alpha + sum * scale`.
pub(crate) struct Factors<'a> {
    /// One a row.
    pub(crate) alpha: &'a [f32],
    pub(crate) scale: &'a [f32],
}

/// `o = fma(sum, scale, o * alpha)` for all rows of a panel of weights `p` and the columns of a panel of values `v`, of their first
/// `k_groups` groups; rows of `o` are `ldo` apart. `ahead` is what is wanted next, as of [`Tile`](crate::dot::Tile).
///
/// # Safety
/// This machine must have AVX-512 VNNI.
#[target_feature(enable = "avx512f,avx512vnni")]
pub(crate) unsafe fn update(
    k_groups: usize,
    p: &[u8],
    v: &[u8],
    factors: &Factors<'_>,
    o: &mut [f32],
    ldo: usize,
    ahead: &[u8],
) {
    let Layout { mr, nr, kr, .. } = LAYOUT;
    assert!(p.len() >= k_groups * mr * kr && v.len() >= k_groups * nr * kr);
    assert!(ldo >= nr && o.len() >= (mr - 1) * ldo + nr);
    let alpha: &[f32; LAYOUT.mr] = factors.alpha.first_chunk().expect("one a row");
    let scale: &[f32; LAYOUT.mr] = factors.scale.first_chunk().expect("one a row");
    let zeros = [_mm512_setzero_si512(); 2];
    let (p, v, ahead) = (p.as_ptr(), v.as_ptr().cast(), ahead.as_ptr());
    let finish = |sums: [[__m512i; 2]; LAYOUT.mr]| {
        for (i, sums) in sums.into_iter().enumerate() {
            // SAFETY: nr numbers of row i < mr, which `o` has, as was checked above.
            let o = unsafe { &mut *o.as_mut_ptr().add(i * ldo).cast() };
            add(sums, (alpha[i], scale[i]), o);
        }
    };
    // SAFETY: the panels are long enough, as was checked above.
    unsafe { whole::<false>(k_groups, p, v, zeros, ahead, finish) };
}

/// The same for one row, whose sums are these.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn add(sums: [__m512i; 2], (alpha, scale): (f32, f32), o: &mut [f32; LAYOUT.nr]) {
    let (alpha, scale) = (_mm512_set1_ps(alpha), _mm512_set1_ps(scale));
    for (half, sum) in sums.into_iter().enumerate() {
        // SAFETY: a half of nr = 2 * LANES numbers.
        unsafe {
            let o = o.as_mut_ptr().add(half * LANES);
            let kept = _mm512_mul_ps(_mm512_loadu_ps(o), alpha);
            _mm512_storeu_ps(o, _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum), scale, kept));
        }
    }
}
