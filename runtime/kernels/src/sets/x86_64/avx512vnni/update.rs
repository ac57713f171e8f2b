//! Attention's second product on AVX-512 VNNI: the values of a kv tile go from the registers of their sums into the output. By way of
//! memory that takes a sixth of the time of the product.

use core::arch::x86_64::{
    __m512i, _mm512_cvtepi32_ps, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_mul_ps, _mm512_set1_ps,
    _mm512_setzero_si512, _mm512_storeu_ps,
};

use super::tile::{LANES, LAYOUT, whole};
use crate::arithmetic::online::Factors;
use crate::layout::Layout;
use crate::set::{Tile, Values};

/// Whether this is for heads of `dim`: whole panels.
pub(super) const fn fits(dim: usize) -> bool {
    dim.is_multiple_of(LAYOUT.nr)
}

/// See [`InstructionSet::update`](crate::set::InstructionSet::update).
///
/// # Safety
/// As there.
#[inline(always)]
pub(super) unsafe fn update(values: &Values<'_>, output: &mut [f32], ldo: usize) -> bool {
    let Layout { mr, nr, kr, .. } = LAYOUT;
    if !fits(values.dim) {
        return false;
    }
    for panel in 0..values.dim / nr {
        let product = Tile {
            rows: mr,
            k_groups: values.span.div_ceil(kr),
            a: values.p,
            w: values.panels.values(panel),
            correction: &[],
            ahead: values.after.values(panel),
        };
        // SAFETY: the caller's.
        unsafe { update_panel(&product, &values.factors, &mut output[panel * nr..], ldo) };
    }
    true
}

/// `o = fma(sum, scale, o * alpha)` for all rows of a panel of weights and the columns of a panel of values; rows of `o` are `ldo` apart.
///
/// # Safety
/// This machine must have AVX-512 VNNI.
#[target_feature(enable = "avx512f,avx512vnni")]
unsafe fn update_panel(product: &Tile<'_>, factors: &Factors<'_>, o: &mut [f32], ldo: usize) {
    let k_groups = product.k_groups;
    let Layout { mr, nr, kr, .. } = LAYOUT;
    assert!(product.a.len() >= k_groups * mr * kr && product.w.len() >= k_groups * nr * kr);
    assert!(ldo >= nr && o.len() >= (mr - 1) * ldo + nr);
    let alpha: &[f32; LAYOUT.mr] = factors.alpha.first_chunk().expect("one a row");
    let scale: &[f32; LAYOUT.mr] = factors.scale.first_chunk().expect("one a row");
    let zeros = [_mm512_setzero_si512(); 2];
    let finish = |sums: [[__m512i; 2]; LAYOUT.mr]| {
        for (i, sums) in sums.into_iter().enumerate() {
            // SAFETY: nr numbers of row i < mr, which `o` has, as was checked above.
            let o = unsafe { &mut *o.as_mut_ptr().add(i * ldo).cast() };
            add(sums, (alpha[i], scale[i]), o);
        }
    };
    // SAFETY: the panels are long enough, as was checked above.
    unsafe { whole::<false>(product, zeros, finish) };
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
