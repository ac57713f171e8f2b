//! A row of a picture through the windows of its columns, two target pixels at a time, on AVX2.
//!
//! The multipliers of x86 take 16-bit numbers in pairs: each coefficient is two of them, whose sums are put together in the end.

use core::arch::x86_64::{
    __m128i, __m256i, _mm_loadu_si128, _mm_set_epi64x, _mm_storeu_si32, _mm256_add_epi32,
    _mm256_castsi128_si256, _mm256_castsi256_si128, _mm256_extracti128_si256,
    _mm256_inserti128_si256, _mm256_madd_epi16, _mm256_packs_epi32, _mm256_packus_epi16,
    _mm256_set1_epi32, _mm256_setr_epi8, _mm256_setzero_si256, _mm256_shuffle_epi8,
    _mm256_shuffle_epi32, _mm256_slli_epi32, _mm256_sra_epi32,
};

use crate::operands::axis::{LOW, ResampleAxis, STEP};

/// Bytes of a pixel.
const CHANNELS: usize = 3;

/// Bytes that are read at a time, of which pixels of a step are the first.
const READ: usize = 16;

/// Numbers of a step's coefficients in [`ResampleAxis::pairs`].
const NUMBERS: usize = 2 * STEP;

/// See [`InstructionSet::resample_row`](crate::set::InstructionSet::resample_row).
///
/// # Safety
/// This machine must have AVX2.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) unsafe fn row(axis: &ResampleAxis, source: &[u8], out: &mut [u8]) -> usize {
    let steps = axis.steps();
    // Windows only move on, which the axis has checked: those of the first so many target pixels may be read a vector at a time, and a pixel's store may write the
    // next pixel's first byte.
    let reach = (steps * STEP * CHANNELS + READ).saturating_sub(STEP * CHANNELS);
    let last = (source.len().saturating_sub(reach - 1)).div_ceil(CHANNELS);
    let fits = axis.first.partition_point(|first| *first < last);
    let targets = fits.min((out.len() / CHANNELS).saturating_sub(1)) / 2 * 2;
    assert!(axis.pairs.len() >= targets * steps * NUMBERS && axis.first.len() >= targets);
    let bits = _mm_set_epi64x(0, i64::from(axis.bits()));
    let half = _mm256_set1_epi32(1 << (axis.bits() - 1));
    // Pairs of pixels, channel by channel, each byte in 16 bits: of taps 0 and 1, and of 2 and 3.
    #[rustfmt::skip]
    let front = _mm256_setr_epi8(
        0, -1, 3, -1, 1, -1, 4, -1, 2, -1, 5, -1, -1, -1, -1, -1,
        0, -1, 3, -1, 1, -1, 4, -1, 2, -1, 5, -1, -1, -1, -1, -1,
    );
    #[rustfmt::skip]
    let back = _mm256_setr_epi8(
        6, -1, 9, -1, 7, -1, 10, -1, 8, -1, 11, -1, -1, -1, -1, -1,
        6, -1, 9, -1, 7, -1, 10, -1, 8, -1, 11, -1, -1, -1, -1, -1,
    );
    for target in (0..targets).step_by(2) {
        let [a, b] = [axis.first[target], axis.first[target + 1]].map(|first| first * CHANNELS);
        debug_assert!(a.max(b) + reach <= source.len());
        let (mut low, mut high) = (_mm256_setzero_si256(), _mm256_setzero_si256());
        for step in 0..steps {
            // SAFETY: 16 bytes from each window's step on, which are there for the first `fits` windows; and the coefficients of both.
            let (pixels, k) = unsafe {
                let at = step * STEP * CHANNELS;
                let pixels = both(
                    source.as_ptr().add(a + at).cast(),
                    source.as_ptr().add(b + at).cast(),
                );
                let k = axis.pairs.as_ptr().add((target * steps + step) * NUMBERS);
                (pixels, both(k.cast(), k.add(steps * NUMBERS).cast()))
            };
            let (front, back) = (
                _mm256_shuffle_epi8(pixels, front),
                _mm256_shuffle_epi8(pixels, back),
            );
            low = _mm256_add_epi32(low, _mm256_madd_epi16(front, of_pair::<0b00_00_00_00>(k)));
            high = _mm256_add_epi32(high, _mm256_madd_epi16(front, of_pair::<0b01_01_01_01>(k)));
            low = _mm256_add_epi32(low, _mm256_madd_epi16(back, of_pair::<0b10_10_10_10>(k)));
            high = _mm256_add_epi32(high, _mm256_madd_epi16(back, of_pair::<0b11_11_11_11>(k)));
        }
        let high = _mm256_slli_epi32::<{ LOW as i32 }>(high);
        let sums = _mm256_add_epi32(_mm256_add_epi32(low, half), high);
        let pixels = _mm256_sra_epi32(sums, bits);
        let pixels = _mm256_packs_epi32(pixels, pixels);
        let pixels = _mm256_packus_epi16(pixels, pixels);
        // SAFETY: four bytes from a target pixel on that is not the last.
        unsafe {
            let out = out.as_mut_ptr().add(target * CHANNELS);
            _mm_storeu_si32(out.cast(), _mm256_castsi256_si128(pixels));
            let second = _mm256_extracti128_si256::<1>(pixels);
            _mm_storeu_si32(out.add(CHANNELS).cast(), second);
        }
    }
    targets
}

/// Two halves of a vector.
///
/// # Safety
/// Both are there.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn both(a: *const __m128i, b: *const __m128i) -> __m256i {
    // SAFETY: the caller's.
    let (a, b) = unsafe { (_mm_loadu_si128(a), _mm_loadu_si128(b)) };
    _mm256_inserti128_si256::<1>(_mm256_castsi128_si256(a), b)
}

/// 32 bits of each half, everywhere in that half: a pair of coefficients.
#[inline]
#[target_feature(enable = "avx2")]
fn of_pair<const PAIR: i32>(k: __m256i) -> __m256i {
    _mm256_shuffle_epi32::<PAIR>(k)
}
