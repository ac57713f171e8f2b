//! From scaled scores to bytes on AVX-512, for up to four rows at once: the formulas of the softmax, each step of which ends in a reduction
//! that the rows share.

use core::arch::x86_64::{
    __m512, __m512i, __mmask32, _mm_and_si128, _mm_cmpgt_epi32_mask, _mm_cvtepi32_ps, _mm_div_ps,
    _mm_maskz_cvttps_epi32, _mm_or_si128, _mm_set1_epi32, _mm_set1_ps, _mm_setzero_si128,
    _mm_slli_epi32, _mm512_add_epi16, _mm512_add_epi32, _mm512_broadcast_i32x4,
    _mm512_castps_si512, _mm512_castsi512_ps, _mm512_castsi512_si128, _mm512_cmplt_epi16_mask,
    _mm512_cvttps_epi32, _mm512_dpwssd_epi32, _mm512_loadu_si512, _mm512_mask_max_ps,
    _mm512_mask_mov_epi16, _mm512_maskz_mov_epi16, _mm512_max_epi16, _mm512_max_ps,
    _mm512_min_epi16, _mm512_mul_ps, _mm512_mulhrs_epi16, _mm512_packus_epi16, _mm512_rol_epi32,
    _mm512_set1_epi16, _mm512_set1_ps, _mm512_setzero_si512, _mm512_slli_epi16, _mm512_sub_epi16,
    _mm512_sub_ps,
};
use core::array;

use super::softmax_steps::{LANES, fold, high_words, keep, shift_right, spread};
use crate::arithmetic::softmax::{C, FRACTION, FULL, INTEGER, QueryRows, RowStats};
use crate::layout::{GROUP, KV_TILE};

/// The scales of its values.
#[derive(Clone, Copy)]
pub(crate) struct Values {
    mantissa: [__m512i; 2],
    shift: [__m512i; 2],
}

/// 64 words.
#[inline]
#[target_feature(enable = "avx512f")]
fn words(of: &[i16; KV_TILE]) -> [__m512i; 2] {
    // SAFETY: half of 64 words fills a vector.
    array::from_fn(|half| unsafe { _mm512_loadu_si512(of.as_ptr().add(half * 2 * LANES).cast()) })
}

impl Values {
    #[inline]
    #[target_feature(enable = "avx512f")]
    pub(super) fn zero() -> Self {
        Self {
            mantissa: [_mm512_setzero_si512(); 2],
            shift: [_mm512_setzero_si512(); 2],
        }
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    pub(crate) fn load(mantissa: &[i16; KV_TILE], shift: &[i16; KV_TILE]) -> Self {
        Self {
            mantissa: words(mantissa),
            shift: words(shift),
        }
    }
}

/// Which key each word of a row is of.
const KEY: [i16; KV_TILE] = {
    let mut key = [0; KV_TILE];
    let mut j = 0;
    while j < KV_TILE {
        key[j] = j as i16;
        j += 1;
    }
    key
};

/// z of `R` rows from row `at` of a panel on, of these scaled scores; their tops are stats.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
pub(super) fn below<const R: usize, const MASKED: bool>(
    a: [[__m512; 4]; R],
    query_rows: &QueryRows,
    stats: &mut RowStats,
    at: usize,
) -> [[__m512i; 2]; R] {
    let valid: &[usize; R] = query_rows.valid[at..]
        .first_chunk()
        .expect("a number for each");
    let c: &[f32; R] = query_rows.c[at..].first_chunk().expect("a factor for each");

    let mut tops = [_mm512_setzero_si512(); GROUP];
    for r in 0..R {
        let mut top = _mm512_set1_ps(f32::NEG_INFINITY);
        for (i, a) in a[r].iter().enumerate() {
            top = if MASKED {
                let seen = ((1u64 << valid[r].saturating_sub(i * LANES).min(LANES)) - 1) as u16;
                _mm512_mask_max_ps(top, seen, *a, top)
            } else {
                _mm512_max_ps(*a, top)
            };
        }
        tops[r] = _mm512_castps_si512(top);
    }
    let tops = fold(tops, |x, y| {
        _mm512_castps_si512(_mm512_max_ps(
            _mm512_castsi512_ps(x),
            _mm512_castsi512_ps(y),
        ))
    });
    keep(_mm512_castsi512_si128(tops), &mut stats.top, at);
    let tops = spread(tops);
    let mut z = [[_mm512_setzero_si512(); 2]; R];
    for r in 0..R {
        let (top, c) = (_mm512_castsi512_ps(tops[r]), _mm512_set1_ps(c[r]));
        // Past its range the conversion gives the least number there is, which is right.
        let [a, b, c, d] =
            a[r].map(|a| _mm512_cvttps_epi32(_mm512_mul_ps(_mm512_sub_ps(a, top), c)));
        z[r] = [high_words(a, b), high_words(c, d)];
    }
    z
}

/// What becomes of z on the way to bytes.
pub(super) struct Weights<const R: usize> {
    y: [[__m512i; 2]; R],
    e: [[__m512i; 2]; R],
    /// The least of `e`, of each row.
    least: [__m512i; GROUP],
}

/// From z to y and e; sums and least exponents are stats.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
pub(super) fn weigh<const R: usize, const MASKED: bool>(
    z: [[__m512i; 2]; R],
    values: [Values; R],
    query_rows: &QueryRows,
    stats: &mut RowStats,
    at: usize,
) -> Weights<R> {
    let valid: &[usize; R] = query_rows.valid[at..]
        .first_chunk()
        .expect("a number for each");
    let key = words(&KEY);
    let mut sums = [_mm512_setzero_si512(); GROUP];
    let mut least = [_mm512_setzero_si512(); GROUP];
    let mut y = [[_mm512_setzero_si512(); 2]; R];
    let mut e = [[_mm512_setzero_si512(); 2]; R];
    for r in 0..R {
        for half in 0..2 {
            let z = z[r][half];
            let b = exp2(z);
            // A shift to the right that rounds.
            let n = _mm512_mulhrs_epi16(z, _mm512_set1_epi16(1 << (15 - FRACTION)));
            let n = _mm512_sub_epi16(_mm512_setzero_si512(), n);
            let mut p = shift_right(b, n);
            let mut shift = _mm512_add_epi16(n, values[r].shift[half]);
            if MASKED {
                let seen: __mmask32 =
                    _mm512_cmplt_epi16_mask(key[half], _mm512_set1_epi16(valid[r] as i16));
                p = _mm512_maskz_mov_epi16(seen, p);
                shift = _mm512_mask_mov_epi16(_mm512_set1_epi16(i16::MAX), seen, shift);
            }
            sums[r] = _mm512_dpwssd_epi32(sums[r], p, _mm512_set1_epi16(1));
            y[r][half] = _mm512_mulhrs_epi16(b, values[r].mantissa[half]);
            e[r][half] = shift;
        }
        least[r] = _mm512_min_epi16(e[r][0], e[r][1]);
    }
    let sums = fold(sums, |x, y| _mm512_add_epi32(x, y));
    keep(_mm512_castsi512_si128(sums), &mut stats.sum, at);
    let least = fold(least, |x, y| _mm512_min_epi16(x, y));
    let least = _mm512_min_epi16(least, _mm512_rol_epi32::<16>(least));
    keep(
        _mm_and_si128(_mm512_castsi512_si128(least), _mm_set1_epi32(0xffff)),
        &mut stats.e,
        at,
    );
    Weights {
        y,
        e,
        least: spread(least),
    }
}

/// From y and e to bytes; the factors to them are stats.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
pub(super) fn quantize<const R: usize>(
    weights: Weights<R>,
    stats: &mut RowStats,
    at: usize,
) -> [__m512i; R] {
    let Weights { mut y, e, least } = weights;
    let mut peaks = [_mm512_setzero_si512(); GROUP];
    for r in 0..R {
        for half in 0..2 {
            let shift = _mm512_sub_epi16(e[r][half], least[r]);
            y[r][half] = shift_right(y[r][half], shift);
        }
        peaks[r] = _mm512_max_epi16(y[r][0], y[r][1]);
    }
    let peaks = fold(peaks, |x, y| _mm512_max_epi16(x, y));
    let peaks = _mm512_max_epi16(peaks, _mm512_rol_epi32::<16>(peaks));
    let peaks = _mm_and_si128(_mm512_castsi512_si128(peaks), _mm_set1_epi32(0xffff));
    let inverse = _mm_maskz_cvttps_epi32(
        _mm_cmpgt_epi32_mask(peaks, _mm_setzero_si128()),
        _mm_div_ps(_mm_set1_ps(FULL), _mm_cvtepi32_ps(peaks)),
    );
    keep(inverse, &mut stats.inverse, at);
    let inverse = _mm_or_si128(inverse, _mm_slli_epi32::<16>(inverse));
    let inverse = spread(_mm512_broadcast_i32x4(inverse));

    let mut bytes = [_mm512_setzero_si512(); R];
    for r in 0..R {
        bytes[r] = _mm512_packus_epi16(
            _mm512_mulhrs_epi16(y[r][0], inverse[r]),
            _mm512_mulhrs_epi16(y[r][1], inverse[r]),
        );
    }
    bytes
}

/// [`exp2`](crate::arithmetic::softmax_portable::exp2).
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn exp2(z: __m512i) -> __m512i {
    let s = _mm512_slli_epi16::<INTEGER>(z);
    let c = C.map(|c| _mm512_set1_epi16(c));
    let b = _mm512_add_epi16(_mm512_mulhrs_epi16(s, c[3]), c[2]);
    let b = _mm512_add_epi16(_mm512_mulhrs_epi16(s, b), c[1]);
    _mm512_add_epi16(_mm512_mulhrs_epi16(s, b), c[0])
}
