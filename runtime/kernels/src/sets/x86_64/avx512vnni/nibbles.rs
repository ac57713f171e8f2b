//! One row, or a few, by nibbles with `vpdpbusd`.
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
    _mm512_mullo_epi16, _mm512_mullo_epi32, _mm512_or_si512, _mm512_set1_epi32,
    _mm512_setzero_si512, _mm512_slli_epi32, _mm512_srai_epi32, _mm512_srli_epi16,
    _mm512_storeu_si512, _mm512_sub_epi8, _mm512_xor_si512,
};

use super::tile::Rows;
use crate::isa::Isa;
use crate::layout::Layout;
use crate::operands::int4::INT4_GROUP;
use crate::operands::nibbles::NibblePanel;
use crate::set::NibbleRow;

const LAYOUT: Layout = Layout::of(Isa::Avx512Vnni);

/// Groups of `kr` rows that share multipliers.
const STEPS: usize = INT4_GROUP / LAYOUT.kr;

/// Columns of a register of sums; a panel is two registers wide.
const LANES: usize = 16;

/// See [`InstructionSet::one_row`](crate::set::InstructionSet::one_row). Layers go to [`gemv`] without it.
///
/// # Safety
/// As there.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
pub(super) unsafe fn one_row(row: &NibbleRow<'_>, acc: &mut [i32]) {
    let rows = Rows {
        a: row.a.as_ptr(),
        lda: LAYOUT.mr * LAYOUT.kr,
    };
    let correction = row.correction.as_ptr();
    // SAFETY: the caller's.
    unsafe { gemv::<1>(row.k_groups, rows, row.w, correction, acc.as_mut_ptr()) };
}

/// `R` rows, up to four: a nibble is taken apart once for all of them.
///
/// # Safety
/// As [`one_row`], but that the rows must be `R` for each of `k_groups`, and `acc` `R` rows of `nr`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
pub(super) unsafe fn gemv<const R: usize>(
    k_groups: usize,
    Rows { a, lda }: Rows,
    w: NibblePanel<'_>,
    correction: *const i32,
    acc: *mut i32,
) {
    let Layout { nr, kr, .. } = LAYOUT;
    let (whole, rest) = (k_groups / STEPS, k_groups % STEPS);
    // SAFETY: the caller vouches for `k_groups` groups, multipliers for each 32 rows of them, and nr = 2 * LANES sums a row.
    unsafe {
        let start = [
            _mm512_loadu_si512(correction.cast()),
            _mm512_loadu_si512(correction.add(LANES).cast()),
        ];
        let mut sums = [start; R];
        let (mut a, mut values) = (a, w.values.as_ptr());
        let mut multipliers = w.multipliers.as_ptr();
        for _ in 0..whole {
            add_group(&mut sums, STEPS, Rows { a, lda }, values, multipliers);
            a = a.add(STEPS * lda);
            values = values.add(STEPS * nr * kr / 2);
            multipliers = multipliers.add(nr / 2);
        }
        if rest > 0 {
            add_group(&mut sums, rest, Rows { a, lda }, values, multipliers);
        }
        for (r, sums) in sums.into_iter().enumerate() {
            _mm512_storeu_si512(acc.add(r * nr).cast(), sums[0]);
            _mm512_storeu_si512(acc.add(r * nr + LANES).cast(), sums[1]);
        }
    }
}

/// Adds the products of `steps` groups of four k that share multipliers.
///
/// # Safety
/// there must be `steps` groups of `R` rows, `values` of columns, `multipliers` nr / 2 bytes.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
unsafe fn add_group<const R: usize>(
    sums: &mut [[__m512i; 2]; R],
    steps: usize,
    Rows { a, lda }: Rows,
    values: *const u8,
    multipliers: *const u8,
) {
    let Layout { nr, kr, .. } = LAYOUT;
    let upper = _mm512_set1_epi32(0xf0f0_f0f0_u32 as i32);
    let mut products = [[_mm512_setzero_si512(); 2]; R];
    for step in 0..steps {
        // SAFETY: step < steps, for which the caller vouches; a group of columns is nr * kr / 2 = 64 bytes.
        let bytes = unsafe { _mm512_loadu_si512(values.add(step * nr * kr / 2).cast()) };
        let low = _mm512_and_si512(_mm512_slli_epi32::<4>(bytes), upper);
        let high = _mm512_and_si512(bytes, upper);
        for (r, products) in products.iter_mut().enumerate() {
            // SAFETY: step < steps and r < R, for which the caller vouches.
            let row = unsafe { a.add(step * lda + r * kr).cast::<i32>().read_unaligned() };
            let row = _mm512_set1_epi32(row);
            products[0] = _mm512_dpbusd_epi32(products[0], row, low);
            products[1] = _mm512_dpbusd_epi32(products[1], row, high);
        }
    }
    // SAFETY: the caller's.
    let m = unsafe { load(multipliers) };
    for (sums, products) in sums.iter_mut().zip(products) {
        for half in 0..2 {
            let product = _mm512_mullo_epi32(_mm512_srai_epi32::<4>(products[half]), m[half]);
            sums[half] = _mm512_add_epi32(sums[half], product);
        }
    }
}

/// The multipliers of a group of rows, one a lane.
///
/// # Safety
/// `multipliers` must hold nr / 2 = 16 bytes.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
unsafe fn load(multipliers: *const u8) -> [__m512i; 2] {
    // SAFETY: the caller's.
    let bytes = unsafe { _mm_loadu_si128(multipliers.cast()) };
    let lower = _mm_set1_epi8(0x0f);
    let (low, high) = (bytes, _mm_srli_epi16::<4>(bytes));
    [low, high].map(|bytes| {
        let m = _mm512_cvtepu8_epi32(_mm_and_si128(bytes, lower));
        _mm512_add_epi32(m, _mm512_set1_epi32(1))
    })
}

/// See [`Packing::unpack`](crate::operands::packing::Packing::unpack). There is no product of bytes, but there is one of words: q + 8 is in 1..=15, so that (q + 8) m fits a byte
/// and nothing is carried from one byte of a word to the other. Then 8 m is subtracted byte by byte.
///
/// # Safety
/// As there.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
pub(super) unsafe fn unpack(w: NibblePanel<'_>, out: &mut [u8]) {
    const HALF: usize = LAYOUT.nr * LAYOUT.kr / 2;
    let signs = _mm512_set1_epi32(0x8888_8888_u32 as i32);
    let lower = _mm512_set1_epi32(0x0f0f_0f0f);
    let (values, _) = w.values.as_chunks::<HALF>();
    let (out, _) = out.as_chunks_mut::<HALF>();
    let groups = values.chunks(STEPS).zip(out.chunks_mut(2 * STEPS));
    for ((values, out), multipliers) in groups.zip(w.multipliers.chunks_exact(LAYOUT.nr / 2)) {
        // SAFETY: they are nr / 2 bytes.
        let m = unsafe { load(multipliers.as_ptr()) };
        let words = m.map(|m| _mm512_or_si512(m, _mm512_slli_epi32::<16>(m)));
        let eights =
            words.map(|m| _mm512_or_si512(_mm512_slli_epi32::<3>(m), _mm512_slli_epi32::<11>(m)));
        for (values, out) in values.iter().zip(out.as_chunks_mut::<2>().0) {
            // SAFETY: they are `HALF` = 64 bytes.
            let bytes = unsafe { _mm512_loadu_si512(values.as_ptr().cast()) };
            // A nibble of two's complement with its sign turned over is its value plus 8.
            let bytes = _mm512_xor_si512(bytes, signs);
            let (low, high) = (bytes, _mm512_srli_epi16::<4>(bytes));
            for (half, biased) in [low, high].into_iter().enumerate() {
                let product = _mm512_mullo_epi16(_mm512_and_si512(biased, lower), words[half]);
                let weights = _mm512_sub_epi8(product, eights[half]);
                // SAFETY: they are `HALF` = 64 bytes.
                unsafe { _mm512_storeu_si512(out[half].as_mut_ptr().cast(), weights) };
            }
        }
    }
}
