//! One row by nibbles with `vpdpbusd`.
//!
//! The two nibbles of a byte become signed bytes of 16 times their value by a mask, one after a shift, with no sign to extend. The sums of
//! 32 rows are 16 times too large, then: a shift to the right, exact, takes that back before the multiplier is applied.
//!
//! ```text
//! 16 bytes   & 0xf0           16 q of columns 4..8, 4 k each     the upper half of a register
//!            << 4, & 0xf0     16 q of columns 0..4               the lower       1 vpdpbusd a group of four k
//! ```

use core::arch::x86_64::{
    __m256i, _mm_cvtsi32_si128, _mm_loadu_si128, _mm_slli_epi16, _mm_srli_epi16,
    _mm_unpacklo_epi32, _mm256_add_epi32, _mm256_and_si256, _mm256_cvtepu8_epi32,
    _mm256_dpbusd_avx_epi32, _mm256_loadu_si256, _mm256_mullo_epi32, _mm256_set_m128i,
    _mm256_set1_epi8, _mm256_set1_epi32, _mm256_setzero_si256, _mm256_srai_epi32,
    _mm256_storeu_si256,
};

use crate::isa::Isa;
use crate::layout::Layout;
use crate::operands::int4::INT4_GROUP;
use crate::set::NibbleRow;

const LAYOUT: Layout = Layout::of(Isa::AvxVnni);

/// Groups of `kr` rows that share multipliers.
const STEPS: usize = INT4_GROUP / LAYOUT.kr;

/// See [`InstructionSet::one_row`](crate::set::InstructionSet::one_row).
///
/// # Safety
/// As there.
#[target_feature(enable = "avx2,avxvnni")]
pub(super) unsafe fn one_row(row: &NibbleRow<'_>, acc: &mut [i32]) {
    let Layout { mr, nr, kr, .. } = LAYOUT;
    let NibbleRow { k_groups, a, w, .. } = *row;
    let (a, values, multipliers) = (a.as_ptr(), w.values.as_ptr(), w.multipliers.as_ptr());
    // SAFETY: one number a column.
    let mut sums = unsafe { _mm256_loadu_si256(row.correction.as_ptr().cast()) };
    for first in (0..k_groups).step_by(STEPS) {
        let mut products = [_mm256_setzero_si256(); 2];
        for step in first..k_groups.min(first + STEPS) {
            // SAFETY: step < k_groups, for which the caller vouches; a group of columns is nr * kr / 2 = 16 bytes.
            let (row, bytes) = unsafe {
                (
                    a.add(step * mr * kr).cast::<i32>().read_unaligned(),
                    _mm_loadu_si128(values.add(step * nr * kr / 2).cast()),
                )
            };
            let both = _mm256_set_m128i(bytes, _mm_slli_epi16::<4>(bytes));
            let upper = _mm256_and_si256(both, _mm256_set1_epi8(0xf0_u8 as i8));
            let product = &mut products[step % 2];
            *product = _mm256_dpbusd_avx_epi32(*product, _mm256_set1_epi32(row), upper);
        }
        let product = _mm256_srai_epi32::<4>(_mm256_add_epi32(products[0], products[1]));
        // SAFETY: the caller vouches for multipliers of each 32 rows.
        let m = unsafe { load(multipliers.add(first / STEPS * nr / 2)) };
        sums = _mm256_add_epi32(sums, _mm256_mullo_epi32(product, m));
    }
    // SAFETY: the accumulator has nr = 8 columns.
    unsafe { _mm256_storeu_si256(acc.as_mut_ptr().cast(), sums) };
}

/// The multipliers of a group of rows, one a column.
///
/// # Safety
/// `multipliers` must hold nr / 2 = 4 bytes.
#[inline]
#[target_feature(enable = "avx2,avxvnni")]
unsafe fn load(multipliers: *const u8) -> __m256i {
    // SAFETY: the caller's.
    let bytes = _mm_cvtsi32_si128(unsafe { multipliers.cast::<i32>().read_unaligned() });
    let m = _mm256_cvtepu8_epi32(_mm_unpacklo_epi32(bytes, _mm_srli_epi16::<4>(bytes)));
    _mm256_add_epi32(
        _mm256_and_si256(m, _mm256_set1_epi32(0x0f)),
        _mm256_set1_epi32(1),
    )
}
