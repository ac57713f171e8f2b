//! One row by nibbles with `vpmaddubsw`, which wants one side unsigned: q + 8, in 1..=15.
//!
//! So small a factor leaves room for all 32 rows of a group in 16 bits: a lane adds 16 products of at most 15 * 128. What the 8 adds,
//! the same for every column, is summed up beside them and taken off again; `vpmaddwd` then multiplies by the
//! multipliers and widens at once.
//!
//! ```text
//! 32 bytes ^ 0x88   & 0x0f         q + 8 of columns 0..8, 4 k each     p += vpmaddubsw(q + 8, a)     2 a group of four k
//!                   >> 4, & 0x0f   of columns 8..16                    b += vpmaddubsw(8, a)         1
//!                                                                      sum += vpmaddwd(p - b, m)     2 every eighth
//! ```

use core::arch::x86_64::{
    __m256i, _mm_cvtsi64_si128, _mm256_add_epi16, _mm256_add_epi32, _mm256_and_si256,
    _mm256_cvtepu8_epi32, _mm256_loadu_si256, _mm256_madd_epi16, _mm256_maddubs_epi16,
    _mm256_mullo_epi16, _mm256_or_si256, _mm256_set1_epi8, _mm256_set1_epi32, _mm256_setzero_si256,
    _mm256_slli_epi16, _mm256_slli_epi32, _mm256_srli_epi16, _mm256_srli_epi32,
    _mm256_storeu_si256, _mm256_sub_epi8, _mm256_sub_epi16, _mm256_xor_si256,
};

use crate::isa::Isa;
use crate::layout::Layout;
use crate::operands::int4::INT4_GROUP;
use crate::operands::nibbles::NibblePanel;
use crate::set::NibbleRow;

const LAYOUT: Layout = Layout::of(Isa::Avx2);

/// Groups of `kr` rows that share multipliers.
const STEPS: usize = INT4_GROUP / LAYOUT.kr;

/// Columns of a register of sums; a panel is two registers wide.
const LANES: usize = 8;

/// See [`InstructionSet::one_row`](crate::set::InstructionSet::one_row).
///
/// # Safety
/// As there.
#[target_feature(enable = "avx2")]
pub(super) unsafe fn one_row(row: &NibbleRow<'_>, acc: &mut [i32]) {
    let NibbleRow { k_groups, a, w, .. } = *row;
    let (a, acc) = (a.as_ptr(), acc.as_mut_ptr());
    let (values, multipliers) = (w.values.as_ptr(), w.multipliers.as_ptr());
    let Layout { mr, nr, kr, .. } = LAYOUT;
    let (whole, rest) = (k_groups / STEPS, k_groups % STEPS);
    let mut sums = [_mm256_setzero_si256(); 2];
    // SAFETY: the caller vouches for `k_groups` groups, multipliers for each 32 rows of them, and nr = 2 * LANES sums.
    unsafe {
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
        _mm256_storeu_si256(acc.cast(), sums[0]);
        _mm256_storeu_si256(acc.add(LANES).cast(), sums[1]);
    }
}

/// Adds the products of `steps` groups of four k that share multipliers.
///
/// # Safety
/// `a` must hold `steps` groups of rows, `values` of columns, `multipliers` nr / 2 bytes.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn add_group(
    sums: &mut [__m256i; 2],
    steps: usize,
    a: *const u8,
    values: *const u8,
    multipliers: *const u8,
) {
    let Layout { mr, nr, kr, .. } = LAYOUT;
    let (lower, eights) = (_mm256_set1_epi8(0x0f), _mm256_set1_epi8(8));
    let signs = _mm256_set1_epi8(0x88_u8 as i8);
    let mut products = [_mm256_setzero_si256(); 2];
    let mut bias = _mm256_setzero_si256();
    for step in 0..steps {
        // SAFETY: step < steps, for which the caller vouches; a group of columns is nr * kr / 2 = 32 bytes.
        let (row, bytes) = unsafe {
            (
                a.add(step * mr * kr).cast::<i32>().read_unaligned(),
                _mm256_loadu_si256(values.add(step * nr * kr / 2).cast()),
            )
        };
        let row = _mm256_set1_epi32(row);
        // A nibble of two's complement with its sign turned over is its value plus 8.
        let bytes = _mm256_xor_si256(bytes, signs);
        let low = _mm256_and_si256(bytes, lower);
        let high = _mm256_and_si256(_mm256_srli_epi16::<4>(bytes), lower);
        products[0] = _mm256_add_epi16(products[0], _mm256_maddubs_epi16(low, row));
        products[1] = _mm256_add_epi16(products[1], _mm256_maddubs_epi16(high, row));
        bias = _mm256_add_epi16(bias, _mm256_maddubs_epi16(eights, row));
    }
    // SAFETY: the caller's.
    let words = unsafe { load(multipliers) };
    for half in 0..2 {
        let product = _mm256_madd_epi16(_mm256_sub_epi16(products[half], bias), words[half]);
        sums[half] = _mm256_add_epi32(sums[half], product);
    }
}

/// The multipliers of a group of rows, each twice in a lane of its column.
///
/// # Safety
/// `multipliers` must hold nr / 2 = 8 bytes.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn load(multipliers: *const u8) -> [__m256i; 2] {
    // SAFETY: the caller's.
    let bytes = _mm_cvtsi64_si128(unsafe { multipliers.cast::<i64>().read_unaligned() });
    let bytes = _mm256_cvtepu8_epi32(bytes);
    let (low, high) = (
        _mm256_and_si256(bytes, _mm256_set1_epi32(0x0f)),
        _mm256_srli_epi32::<4>(bytes),
    );
    [low, high].map(|m| {
        let m = _mm256_add_epi32(m, _mm256_set1_epi32(1));
        _mm256_or_si256(m, _mm256_slli_epi32::<16>(m))
    })
}

/// See [`Packing::unpack`](crate::operands::packing::Packing::unpack). There is no product of bytes, but there is one of words: q + 8 is in 1..=15, so that (q + 8) m fits a byte
/// and nothing is carried from one byte of a word to the other. Then 8 m is subtracted byte by byte.
///
/// # Safety
/// As there.
#[target_feature(enable = "avx2")]
pub(super) unsafe fn unpack(w: NibblePanel<'_>, out: &mut [u8]) {
    const HALF: usize = LAYOUT.nr * LAYOUT.kr / 2;
    let (signs, lower) = (_mm256_set1_epi8(0x88_u8 as i8), _mm256_set1_epi8(0x0f));
    let (values, _) = w.values.as_chunks::<HALF>();
    let (out, _) = out.as_chunks_mut::<HALF>();
    let groups = values.chunks(STEPS).zip(out.chunks_mut(2 * STEPS));
    for ((values, out), multipliers) in groups.zip(w.multipliers.chunks_exact(LAYOUT.nr / 2)) {
        // SAFETY: they are nr / 2 bytes.
        let words = unsafe { load(multipliers.as_ptr()) };
        let eights =
            words.map(|m| _mm256_or_si256(_mm256_slli_epi16::<3>(m), _mm256_slli_epi16::<11>(m)));
        for (values, out) in values.iter().zip(out.as_chunks_mut::<2>().0) {
            // SAFETY: they are `HALF` = 32 bytes.
            let bytes = unsafe { _mm256_loadu_si256(values.as_ptr().cast()) };
            // A nibble of two's complement with its sign turned over is its value plus 8.
            let bytes = _mm256_xor_si256(bytes, signs);
            let (low, high) = (bytes, _mm256_srli_epi16::<4>(bytes));
            for (half, biased) in [low, high].into_iter().enumerate() {
                let product = _mm256_mullo_epi16(_mm256_and_si256(biased, lower), words[half]);
                let weights = _mm256_sub_epi8(product, eights[half]);
                // SAFETY: they are `HALF` = 32 bytes.
                unsafe { _mm256_storeu_si256(out[half].as_mut_ptr().cast(), weights) };
            }
        }
    }
}
