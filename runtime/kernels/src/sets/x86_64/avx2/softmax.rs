//! The softmax on AVX2: four rows at a time, 8 scores and then 16 weights a vector.
//!
//! As on AVX-512 the packs interleave by 128-bit lanes and nothing is shuffled back: the scales of the values are loaded in
//! the same order, and a dword of bytes, a group of four keys, is stored to where it belongs.
//!
//! ```text
//! scores   A = keys 0..8, B = 8.., C = 16.., D = 24..
//! words    A0-3 B0-3 | A4-7 B4-7                 and the same of C and D
//! bytes    A0-3 B0-3 C0-3 D0-3 | A4-7 ...        dword s of lane l is group 2 s + l
//! ```
//!
//! AVX2 shifts no word by a number of its own. [`shift_right`] multiplies by a power of two instead, stats in a table of 16.

use core::arch::x86_64::{
    __m128i, __m256, __m256i, _mm_and_si128, _mm_cmpgt_epi32, _mm_cvtepi32_ps, _mm_cvttps_epi32,
    _mm_div_ps, _mm_set1_epi32, _mm_set1_ps, _mm_setzero_si128, _mm_storeu_si128, _mm256_add_epi16,
    _mm256_add_epi32, _mm256_and_si256, _mm256_blendv_epi8, _mm256_blendv_ps, _mm256_castps_si256,
    _mm256_castsi256_ps, _mm256_castsi256_si128, _mm256_cmpgt_epi16, _mm256_cmpgt_epi32,
    _mm256_cvtepi32_ps, _mm256_cvttps_epi32, _mm256_loadu_ps, _mm256_loadu_si256,
    _mm256_madd_epi16, _mm256_max_epi16, _mm256_max_ps, _mm256_min_epi16, _mm256_min_epu16,
    _mm256_mul_ps, _mm256_mulhi_epu16, _mm256_mulhrs_epi16, _mm256_or_si256, _mm256_packs_epi32,
    _mm256_packus_epi16, _mm256_permute4x64_epi64, _mm256_set1_epi8, _mm256_set1_epi16,
    _mm256_set1_epi32, _mm256_set1_ps, _mm256_setr_epi8, _mm256_setzero_ps, _mm256_setzero_si256,
    _mm256_shuffle_epi8, _mm256_slli_epi16, _mm256_slli_epi32, _mm256_srai_epi32,
    _mm256_srli_epi32, _mm256_storeu_si256, _mm256_sub_epi16, _mm256_sub_ps, _mm256_unpackhi_epi32,
    _mm256_unpackhi_epi64, _mm256_unpacklo_epi32, _mm256_unpacklo_epi64, _mm256_xor_si256,
};

use crate::arithmetic::interleave::scatter;
use crate::arithmetic::softmax::{C, FRACTION, FULL, INTEGER, Keys, QueryRows, RowStats, Scores};
use crate::isa::Isa;
use crate::layout::{GROUP, KV_TILE, Layout, MAX_MR};

/// f32 in a vector.
const LANES: usize = 8;
/// Vectors of the scores of a row.
const SCORES: usize = KV_TILE / LANES;
/// Vectors of its weights in 16 bits.
const WORDS: usize = SCORES / 2;
/// And of its bytes.
const BYTES: usize = WORDS / 2;

/// Of the tile for which the bytes are meant.
const LAYOUT: Layout = Layout::of(Isa::Avx2);

/// See [`InstructionSet::softmax`](crate::set::InstructionSet::softmax).
///
/// # Safety
/// As there.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) unsafe fn softmax(of: &Scores<'_>, stats: &mut RowStats, p: &mut [u8]) {
    let Scores {
        rows,
        whole,
        scores,
        keys,
        query_rows,
        ..
    } = *of;
    assert!(of.signed && p.len() >= LAYOUT.mr * KV_TILE);
    // All rows of a panel are one group of them.
    const { assert!(LAYOUT.mr == GROUP && LAYOUT.kr == 4) };
    if rows == 1 {
        let [bytes] = match whole {
            true => weigh::<1, false>(scores, keys, query_rows, stats),
            false => weigh::<1, true>(scores, keys, query_rows, stats),
        };
        let mut row = [[0u8; LAYOUT.kr]; KV_TILE / LAYOUT.kr];
        for (bytes, row) in bytes.into_iter().zip(row.as_chunks_mut::<LANES>().0) {
            let mut dwords = [[0u8; LAYOUT.kr]; LANES];
            // SAFETY: a vector is 32 bytes.
            unsafe { _mm256_storeu_si256(dwords.as_mut_ptr().cast(), bytes) };
            for (i, group) in row.iter_mut().enumerate() {
                *group = dwords[i % 2 * 4 + i / 2];
            }
        }
        scatter(row.as_flattened(), p, LAYOUT.mr, 0, LAYOUT.kr);
        return;
    }
    let bytes = match whole {
        true => weigh::<GROUP, false>(scores, keys, query_rows, stats),
        false => weigh::<GROUP, true>(scores, keys, query_rows, stats),
    };
    for half in 0..BYTES {
        store(bytes.map(|row| row[half]), half, p);
    }
}

/// The bytes of the first `R` rows, and what it finds of them beside.
#[inline]
#[target_feature(enable = "avx2")]
fn weigh<const R: usize, const MASKED: bool>(
    scores: &[[i32; KV_TILE]],
    keys: Keys<'_>,
    query_rows: &QueryRows,
    stats: &mut RowStats,
) -> [[__m256i; BYTES]; R] {
    let scores: &[[i32; KV_TILE]; R] = scores.first_chunk().expect("a row of scores for each");
    let mut a = [[_mm256_setzero_ps(); SCORES]; R];
    let mut tops = [_mm256_setzero_si256(); GROUP];
    for r in 0..R {
        let mut top = _mm256_set1_ps(f32::NEG_INFINITY);
        for (i, a) in a[r].iter_mut().enumerate() {
            // SAFETY: i < SCORES, and as many vectors hold 64 numbers.
            let (acc, k_scale) = unsafe {
                (
                    _mm256_loadu_si256(scores[r].as_ptr().add(i * LANES).cast()),
                    _mm256_loadu_ps(keys.k_scale.as_ptr().add(i * LANES)),
                )
            };
            *a = _mm256_mul_ps(_mm256_cvtepi32_ps(acc), k_scale);
            let mut seen = *a;
            if MASKED {
                let valid = _mm256_set1_epi32(query_rows.valid[r] as i32);
                let mask = _mm256_castsi256_ps(_mm256_cmpgt_epi32(valid, numbers_i32(i)));
                seen = _mm256_blendv_ps(_mm256_set1_ps(f32::NEG_INFINITY), seen, mask);
            }
            top = _mm256_max_ps(seen, top);
        }
        tops[r] = _mm256_castps_si256(top);
    }
    let max = |x, y| _mm256_max_ps(_mm256_castsi256_ps(x), _mm256_castsi256_ps(y));
    let tops = fold(tops, |x, y| _mm256_castps_si256(max(x, y)));
    keep(tops, &mut stats.top);

    let mut sums = [_mm256_setzero_si256(); GROUP];
    let mut least = [_mm256_setzero_si256(); GROUP];
    let mut y = [[_mm256_setzero_si256(); WORDS]; R];
    let mut e = [[_mm256_setzero_si256(); WORDS]; R];
    for r in 0..R {
        let (top, c) = (
            _mm256_set1_ps(stats.top[r]),
            _mm256_set1_ps(query_rows.c[r]),
        );
        least[r] = _mm256_set1_epi16(i16::MAX);
        let z = |a: __m256| {
            // Past its range the conversion gives the least number there is, which is right.
            let z = _mm256_cvttps_epi32(_mm256_mul_ps(_mm256_sub_ps(a, top), c));
            _mm256_srai_epi32::<16>(z)
        };
        for i in 0..WORDS {
            let z = _mm256_packs_epi32(z(a[r][2 * i]), z(a[r][2 * i + 1]));
            let b = exp2(z);
            // A shift to the right that rounds.
            let n = _mm256_mulhrs_epi16(z, _mm256_set1_epi16(1 << (15 - FRACTION)));
            let n = _mm256_sub_epi16(_mm256_setzero_si256(), n);
            let mut p = shift_right(b, n);
            let mut shift = _mm256_add_epi16(n, words(keys.v_shift, i));
            if MASKED {
                let valid = _mm256_set1_epi16(query_rows.valid[r] as i16);
                let seen = _mm256_cmpgt_epi16(valid, words(&NUMBERS, i));
                p = _mm256_and_si256(p, seen);
                shift = _mm256_blendv_epi8(_mm256_set1_epi16(i16::MAX), shift, seen);
            }
            let ones = _mm256_set1_epi16(1);
            sums[r] = _mm256_add_epi32(sums[r], _mm256_madd_epi16(p, ones));
            y[r][i] = _mm256_mulhrs_epi16(b, words(keys.v_mantissa, i));
            e[r][i] = shift;
            least[r] = _mm256_min_epi16(least[r], shift);
        }
    }
    keep(fold(sums, |x, y| _mm256_add_epi32(x, y)), &mut stats.sum);
    let least = least.map(|x| _mm256_min_epi16(x, swap(x)));
    let word = _mm_set1_epi32(0xffff);
    let least = fold(least, |x, y| _mm256_min_epi16(x, y));
    keep(_mm_and_si128(least, word), &mut stats.e);

    let mut peaks = [_mm256_setzero_si256(); GROUP];
    for r in 0..R {
        let least = _mm256_set1_epi16(stats.e[r] as i16);
        for i in 0..WORDS {
            y[r][i] = shift_right(y[r][i], _mm256_sub_epi16(e[r][i], least));
            peaks[r] = _mm256_max_epi16(peaks[r], y[r][i]);
        }
        peaks[r] = _mm256_max_epi16(peaks[r], swap(peaks[r]));
    }
    let peaks = _mm_and_si128(fold(peaks, |x, y| _mm256_max_epi16(x, y)), word);
    let inverse = _mm_cvttps_epi32(_mm_div_ps(_mm_set1_ps(FULL), _mm_cvtepi32_ps(peaks)));
    let some = _mm_cmpgt_epi32(peaks, _mm_setzero_si128());
    keep(_mm_and_si128(inverse, some), &mut stats.inverse);

    let mut bytes = [[_mm256_setzero_si256(); BYTES]; R];
    for r in 0..R {
        let inverse = _mm256_set1_epi16(stats.inverse[r] as i16);
        let u = y[r].map(|w| _mm256_mulhrs_epi16(w, inverse));
        for i in 0..BYTES {
            let u = _mm256_packus_epi16(u[2 * i], u[2 * i + 1]);
            // The tile multiplies signed bytes.
            bytes[r][i] = _mm256_xor_si256(u, _mm256_set1_epi8(i8::MIN));
        }
    }
    bytes
}

/// [`exp2`](crate::arithmetic::softmax_portable::exp2).
#[inline]
#[target_feature(enable = "avx2")]
fn exp2(z: __m256i) -> __m256i {
    let s = _mm256_slli_epi16::<{ INTEGER as i32 }>(z);
    let c = C.map(|c| _mm256_set1_epi16(c));
    let b = _mm256_add_epi16(_mm256_mulhrs_epi16(s, c[3]), c[2]);
    let b = _mm256_add_epi16(_mm256_mulhrs_epi16(s, b), c[1]);
    _mm256_add_epi16(_mm256_mulhrs_epi16(s, b), c[0])
}

/// `x >> n` in each word, for x from 0 to 2^15 - 1 and n from 0 on: `2x * 2^(15 - n) / 2^16`.
#[inline]
#[target_feature(enable = "avx2")]
fn shift_right(x: __m256i, n: __m256i) -> __m256i {
    // Past 15 nothing is left of x, as at 15.
    let n = _mm256_min_epu16(n, _mm256_set1_epi16(15));
    // Of 2^(15 - n) the low byte and the high one. A word's upper byte is 0, and finds entry 0: of the low bytes that is 0, and the
    // other is shifted out.
    let low = _mm256_setr_epi8(
        0, 0, 0, 0, 0, 0, 0, 0, -128, 64, 32, 16, 8, 4, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0, -128, 64, 32,
        16, 8, 4, 2, 1,
    );
    let high = _mm256_setr_epi8(
        -128, 64, 32, 16, 8, 4, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0, -128, 64, 32, 16, 8, 4, 2, 1, 0, 0,
        0, 0, 0, 0, 0, 0,
    );
    let (low, high) = (_mm256_shuffle_epi8(low, n), _mm256_shuffle_epi8(high, n));
    let power = _mm256_or_si256(low, _mm256_slli_epi16::<8>(high));
    _mm256_mulhi_epu16(_mm256_add_epi16(x, x), power)
}

/// The words of each dword exchanged.
#[inline]
#[target_feature(enable = "avx2")]
fn swap(x: __m256i) -> __m256i {
    _mm256_or_si256(_mm256_slli_epi32::<16>(x), _mm256_srli_epi32::<16>(x))
}

/// Numbers of the keys.
const NUMBERS: [i16; KV_TILE] = {
    let mut numbers = [0; KV_TILE];
    let mut j = 0;
    while j < KV_TILE {
        numbers[j] = j as i16;
        j += 1;
    }
    numbers
};

/// Those of the scores of vector `i`.
#[inline]
#[target_feature(enable = "avx2")]
fn numbers_i32(i: usize) -> __m256i {
    const LOCAL: [i32; LANES] = [0, 1, 2, 3, 4, 5, 6, 7];
    // SAFETY: eight numbers fill a vector.
    let local = unsafe { _mm256_loadu_si256(LOCAL.as_ptr().cast()) };
    _mm256_add_epi32(local, _mm256_set1_epi32((i * LANES) as i32))
}

/// The words of the keys of vector `i`, in the order that packing leaves.
#[inline]
#[target_feature(enable = "avx2")]
fn words(of: &[i16; KV_TILE], i: usize) -> __m256i {
    assert!(i < WORDS);
    // SAFETY: i < WORDS, and as many vectors hold 64 words.
    let natural = unsafe { _mm256_loadu_si256(of.as_ptr().add(i * 2 * LANES).cast()) };
    _mm256_permute4x64_epi64::<0b11_01_10_00>(natural)
}

/// Folds the 8 dwords of each of four vectors.
#[inline]
#[target_feature(enable = "avx2")]
fn fold(v: [__m256i; GROUP], op: impl Fn(__m256i, __m256i) -> __m256i) -> __m128i {
    let ab = op(
        _mm256_unpacklo_epi32(v[0], v[1]),
        _mm256_unpackhi_epi32(v[0], v[1]),
    );
    let cd = op(
        _mm256_unpacklo_epi32(v[2], v[3]),
        _mm256_unpackhi_epi32(v[2], v[3]),
    );
    let all = op(_mm256_unpacklo_epi64(ab, cd), _mm256_unpackhi_epi64(ab, cd));
    let all = op(all, _mm256_permute4x64_epi64::<0b01_00_11_10>(all));
    _mm256_castsi256_si128(all)
}

/// Writes the four results in `v` to the first four rows of what is stats.
#[inline]
#[target_feature(enable = "avx2")]
fn keep<T>(v: __m128i, to: &mut [T; MAX_MR]) {
    const { assert!(size_of::<T>() == 4 && GROUP <= MAX_MR) };
    // SAFETY: four numbers of four bytes, of a type that any bits are one of (f32 and i32 are all there are).
    unsafe { _mm_storeu_si128(to.as_mut_ptr().cast(), v) };
}

/// Stores the bytes of four rows, of half of the keys in the order of [`weigh`], to a panel.
#[inline]
#[target_feature(enable = "avx2")]
fn store(rows: [__m256i; GROUP], half: usize, p: &mut [u8]) {
    const VECTOR: usize = 32;
    let p: &mut [[u8; VECTOR]] = p.as_chunks_mut().0;
    let ab = [
        _mm256_unpacklo_epi32(rows[0], rows[1]),
        _mm256_unpackhi_epi32(rows[0], rows[1]),
    ];
    let cd = [
        _mm256_unpacklo_epi32(rows[2], rows[3]),
        _mm256_unpackhi_epi32(rows[2], rows[3]),
    ];
    // Vector s holds groups 2 s and 2 s + 1 of the half, one a lane.
    let groups = [
        _mm256_unpacklo_epi64(ab[0], cd[0]),
        _mm256_unpackhi_epi64(ab[0], cd[0]),
        _mm256_unpacklo_epi64(ab[1], cd[1]),
        _mm256_unpackhi_epi64(ab[1], cd[1]),
    ];
    for (to, group) in p[half * groups.len()..].iter_mut().zip(groups) {
        // SAFETY: a vector is 32 bytes.
        unsafe { _mm256_storeu_si256(to.as_mut_ptr().cast(), group) };
    }
}
