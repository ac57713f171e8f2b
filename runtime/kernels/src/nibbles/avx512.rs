//! One row by nibbles with `vpdpbusd`.
//!
//! The two nibbles of a byte become signed bytes of 16 times their value by a mask, one after a shift, with no sign to extend. The sums of
//! 32 rows are 16 times too large, then: a shift to the right, exact, takes that back before the multiplier is applied.
//!
//! ```text
//! 64 bytes   & 0xf0           16 q of columns 16..32, 4 k each        2 vpdpbusd a group of four k
//!            << 4, & 0xf0     16 q of columns 0..16                   2 vpmulld every eighth
//! ```

use core::arch::x86_64::{
    __m512i, _mm_and_si128, _mm_loadu_si128, _mm_set1_epi8, _mm_srli_epi16, _mm512_add_epi32,
    _mm512_and_si512, _mm512_cvtepu8_epi32, _mm512_dpbusd_epi32, _mm512_loadu_si512,
    _mm512_mullo_epi32, _mm512_set1_epi32, _mm512_setzero_si512, _mm512_slli_epi32,
    _mm512_srai_epi32, _mm512_storeu_si512,
};

use crate::dot::Layout;
use crate::int4::INT4_GROUP;
use crate::isa::Isa;

const LAYOUT: Layout = Layout::of(Isa::Avx512Vnni);

/// Groups of `kr` rows that share multipliers.
const STEPS: usize = INT4_GROUP / LAYOUT.kr;

/// Columns of a register of sums; a panel is two registers wide.
const LANES: usize = 16;

/// See [`OneRow`](super::OneRow).
///
/// # Safety
/// As [`OneRow`](super::OneRow).
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
pub(crate) unsafe fn one_row(
    k_groups: usize,
    a: *const u8,
    values: *const u8,
    multipliers: *const u8,
    comp: *const i32,
    acc: *mut i32,
) {
    let Layout { mr, nr, kr, .. } = LAYOUT;
    let (whole, rest) = (k_groups / STEPS, k_groups % STEPS);
    // SAFETY: the caller vouches for `k_groups` groups, multipliers for each 32 rows of them, and nr = 2 * LANES sums.
    unsafe {
        let mut sums = [
            _mm512_loadu_si512(comp.cast()),
            _mm512_loadu_si512(comp.add(LANES).cast()),
        ];
        let (mut a, mut values, mut multipliers) = (a, values, multipliers);
        for _ in 0..whole {
            add_group(&mut sums, STEPS, a, values, multipliers);
            a = a.add(STEPS * mr * kr);
            values = values.add(STEPS * nr * kr / 2);
            multipliers = multipliers.add(nr / 2);
        }
        if rest > 0 {
            add_group(&mut sums, rest, a, values, multipliers);
        }
        _mm512_storeu_si512(acc.cast(), sums[0]);
        _mm512_storeu_si512(acc.add(LANES).cast(), sums[1]);
    }
}

/// Adds the products of `steps` groups of four k that share multipliers.
///
/// # Safety
/// `a` must hold `steps` groups of rows, `values` of columns, `multipliers` nr / 2 bytes.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
unsafe fn add_group(
    sums: &mut [__m512i; 2],
    steps: usize,
    a: *const u8,
    values: *const u8,
    multipliers: *const u8,
) {
    let Layout { mr, nr, kr, .. } = LAYOUT;
    let upper = _mm512_set1_epi32(0xf0f0_f0f0_u32 as i32);
    let mut products = [_mm512_setzero_si512(); 2];
    for step in 0..steps {
        // SAFETY: step < steps, for which the caller vouches; a group of columns is nr * kr / 2 = 64 bytes.
        let (row, bytes) = unsafe {
            (
                a.add(step * mr * kr).cast::<i32>().read_unaligned(),
                _mm512_loadu_si512(values.add(step * nr * kr / 2).cast()),
            )
        };
        let row = _mm512_set1_epi32(row);
        let low = _mm512_and_si512(_mm512_slli_epi32::<4>(bytes), upper);
        let high = _mm512_and_si512(bytes, upper);
        products[0] = _mm512_dpbusd_epi32(products[0], row, low);
        products[1] = _mm512_dpbusd_epi32(products[1], row, high);
    }
    // SAFETY: the caller vouches for nr / 2 = 16 bytes.
    let bytes = unsafe { _mm_loadu_si128(multipliers.cast()) };
    let lower = _mm_set1_epi8(0x0f);
    let multipliers = [
        _mm_and_si128(bytes, lower),
        _mm_and_si128(_mm_srli_epi16::<4>(bytes), lower),
    ];
    for half in 0..2 {
        let m = _mm512_add_epi32(
            _mm512_cvtepu8_epi32(multipliers[half]),
            _mm512_set1_epi32(1),
        );
        let product = _mm512_mullo_epi32(_mm512_srai_epi32::<4>(products[half]), m);
        sums[half] = _mm512_add_epi32(sums[half], product);
    }
}
