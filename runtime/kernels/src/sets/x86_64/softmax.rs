//! The softmax on AVX2, for whoever has no wider vectors: four rows at a time, 8 scores and then 16 weights a vector.
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
    _mm256_cvtepi32_ps, _mm256_cvttps_epi32, _mm256_extracti128_si256, _mm256_loadu_ps,
    _mm256_loadu_si256, _mm256_madd_epi16, _mm256_max_epi16, _mm256_max_ps, _mm256_min_epi16,
    _mm256_min_epu16, _mm256_mul_ps, _mm256_mulhi_epu16, _mm256_mulhrs_epi16, _mm256_or_si256,
    _mm256_packs_epi32, _mm256_packus_epi16, _mm256_permute4x64_epi64, _mm256_set1_epi8,
    _mm256_set1_epi16, _mm256_set1_epi32, _mm256_set1_ps, _mm256_setr_epi8, _mm256_setzero_ps,
    _mm256_setzero_si256, _mm256_shuffle_epi8, _mm256_slli_epi16, _mm256_slli_epi32,
    _mm256_srai_epi32, _mm256_srli_epi32, _mm256_storeu_si256, _mm256_sub_epi16, _mm256_sub_ps,
    _mm256_unpackhi_epi32, _mm256_unpackhi_epi64, _mm256_unpacklo_epi32, _mm256_unpacklo_epi64,
    _mm256_xor_si256,
};

use crate::arithmetic::interleave::scatter;
use crate::arithmetic::softmax::{C, FRACTION, FULL, INTEGER, RowStats, Scores};
use crate::layout::{GROUP, KV_TILE, MAX_MR};

/// f32 in a vector.
const LANES: usize = 8;
/// Vectors of the scores of a row.
const SCORES: usize = KV_TILE / LANES;
/// Vectors of its weights in 16 bits.
const WORDS: usize = SCORES / 2;
/// And of its bytes.
const BYTES: usize = WORDS / 2;

/// Bytes of a group of keys, in every layout that this is for.
const KR: usize = 4;

/// See [`InstructionSet::softmax`](crate::set::InstructionSet::softmax), for panels of `MR` rows, of a tile that multiplies signed bytes or not.
///
/// # Safety
/// As there.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) unsafe fn softmax<const MR: usize, const SIGNED: bool>(
    of: &Scores<'_>,
    stats: &mut RowStats,
    p: &mut [u8],
) {
    const { assert!(MR.is_multiple_of(GROUP) && MR <= MAX_MR) };
    assert!(of.signed == SIGNED && of.rows <= MR && p.len() >= MR * KV_TILE);
    match of.whole {
        true => panel::<MR, SIGNED, false>(of, stats, p),
        false => panel::<MR, SIGNED, true>(of, stats, p),
    }
}

/// [`softmax`]; some keys are not seen by some rows only if `MASKED`.
#[inline]
#[target_feature(enable = "avx2")]
fn panel<const MR: usize, const SIGNED: bool, const MASKED: bool>(
    of: &Scores<'_>,
    stats: &mut RowStats,
    p: &mut [u8],
) {
    if of.rows == 1 {
        let [bytes] = weigh::<1, SIGNED, MASKED>(of, stats, 0);
        let mut row = [[0u8; KR]; KV_TILE / KR];
        for (bytes, row) in bytes.into_iter().zip(row.as_chunks_mut::<LANES>().0) {
            let mut dwords = [[0u8; KR]; LANES];
            // SAFETY: a vector is 32 bytes.
            unsafe { _mm256_storeu_si256(dwords.as_mut_ptr().cast(), bytes) };
            for (i, group) in row.iter_mut().enumerate() {
                *group = dwords[i % 2 * 4 + i / 2];
            }
        }
        scatter(row.as_flattened(), p, MR, 0, KR);
        return;
    }
    for row in (0..of.rows).step_by(GROUP) {
        let bytes = weigh::<GROUP, SIGNED, MASKED>(of, stats, row);
        for half in 0..BYTES {
            store::<MR>(bytes.map(|bytes| bytes[half]), row, half, p);
        }
    }
}

/// The bytes of `R` rows from `row` on, and what it finds of them beside.
#[inline]
#[target_feature(enable = "avx2")]
fn weigh<const R: usize, const SIGNED: bool, const MASKED: bool>(
    of: &Scores<'_>,
    stats: &mut RowStats,
    row: usize,
) -> [[__m256i; BYTES]; R] {
    let Scores {
        scores,
        keys,
        query_rows,
        ..
    } = *of;
    let scores: &[[i32; KV_TILE]; R] = scores[row..]
        .first_chunk()
        .expect("a row of scores for each");
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
                let valid = _mm256_set1_epi32(query_rows.valid[row + r] as i32);
                let mask = _mm256_castsi256_ps(_mm256_cmpgt_epi32(valid, numbers_i32(i)));
                seen = _mm256_blendv_ps(_mm256_set1_ps(f32::NEG_INFINITY), seen, mask);
            }
            top = _mm256_max_ps(seen, top);
        }
        tops[r] = _mm256_castps_si256(top);
    }
    let max = |x, y| _mm256_max_ps(_mm256_castsi256_ps(x), _mm256_castsi256_ps(y));
    let tops = fold(tops, |x, y| _mm256_castps_si256(max(x, y)));
    keep(tops, &mut stats.top, row);

    let mut sums = [_mm256_setzero_si256(); GROUP];
    let mut least = [_mm256_setzero_si256(); GROUP];
    let mut y = [[_mm256_setzero_si256(); WORDS]; R];
    let mut e = [[_mm256_setzero_si256(); WORDS]; R];
    for r in 0..R {
        let (top, c) = (
            _mm256_set1_ps(stats.top[row + r]),
            _mm256_set1_ps(query_rows.c[row + r]),
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
                let valid = _mm256_set1_epi16(query_rows.valid[row + r] as i16);
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
    keep(
        fold(sums, |x, y| _mm256_add_epi32(x, y)),
        &mut stats.sum,
        row,
    );
    let least = least.map(|x| _mm256_min_epi16(x, swap(x)));
    let word = _mm_set1_epi32(0xffff);
    let least = fold(least, |x, y| _mm256_min_epi16(x, y));
    keep(_mm_and_si128(least, word), &mut stats.e, row);

    let mut peaks = [_mm256_setzero_si256(); GROUP];
    for r in 0..R {
        let least = _mm256_set1_epi16(stats.e[row + r] as i16);
        for i in 0..WORDS {
            y[r][i] = shift_right(y[r][i], _mm256_sub_epi16(e[r][i], least));
            peaks[r] = _mm256_max_epi16(peaks[r], y[r][i]);
        }
        peaks[r] = _mm256_max_epi16(peaks[r], swap(peaks[r]));
    }
    let peaks = _mm_and_si128(fold(peaks, |x, y| _mm256_max_epi16(x, y)), word);
    let inverse = _mm_cvttps_epi32(_mm_div_ps(_mm_set1_ps(FULL), _mm_cvtepi32_ps(peaks)));
    let some = _mm_cmpgt_epi32(peaks, _mm_setzero_si128());
    keep(_mm_and_si128(inverse, some), &mut stats.inverse, row);

    let mut bytes = [[_mm256_setzero_si256(); BYTES]; R];
    for r in 0..R {
        let inverse = _mm256_set1_epi16(stats.inverse[row + r] as i16);
        let u = y[r].map(|w| _mm256_mulhrs_epi16(w, inverse));
        for i in 0..BYTES {
            let u = _mm256_packus_epi16(u[2 * i], u[2 * i + 1]);
            bytes[r][i] = match SIGNED {
                true => _mm256_xor_si256(u, _mm256_set1_epi8(i8::MIN)),
                false => u,
            };
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

/// Writes the four results in `v` to rows `at..at + 4` of what is stats.
#[inline]
#[target_feature(enable = "avx2")]
fn keep<T>(v: __m128i, to: &mut [T; MAX_MR], at: usize) {
    const { assert!(size_of::<T>() == 4) };
    let to: &mut [T; GROUP] = to[at..].first_chunk_mut().expect("rows of a panel");
    // SAFETY: four numbers of four bytes, of a type that any bits are one of (f32 and i32 are all there are).
    unsafe { _mm_storeu_si128(to.as_mut_ptr().cast(), v) };
}

/// Stores the bytes of four rows, of half of the keys in the order of [`weigh`], as rows `row..row + 4` of a panel.
#[inline]
#[target_feature(enable = "avx2")]
fn store<const MR: usize>(rows: [__m256i; GROUP], row: usize, half: usize, p: &mut [u8]) {
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
    const { assert!(GROUP * KR == size_of::<__m128i>()) };
    let groups_of_half = 2 * groups.len();
    assert!(half < BYTES && row + GROUP <= MR && p.len() >= MR * KV_TILE);
    for (s, group) in groups.into_iter().enumerate() {
        let at = ((half * groups_of_half + 2 * s) * MR + row) * KR;
        // SAFETY: two groups of MR * KR bytes each, of a panel of KV_TILE / KR of them, in which four rows are a lane of a vector.
        unsafe {
            let to = p.as_mut_ptr().add(at);
            if MR == GROUP {
                _mm256_storeu_si256(to.cast(), group);
            } else {
                _mm_storeu_si128(to.cast(), _mm256_castsi256_si128(group));
                let next = to.add(MR * KR);
                _mm_storeu_si128(next.cast(), _mm256_extracti128_si256::<1>(group));
            }
        }
    }
}
