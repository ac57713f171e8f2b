//! The softmax on AVX-512: four rows at a time, 16 scores and then 32 weights a vector, from the scores to the panel in registers.
//!
//! `vpackssdw` and `vpackuswb` interleave their operands by 128-bit lanes. Nothing is shuffled back: the scales of the values are
//! loaded in the same order, and the dwords of the last vector, one a group of four keys, are stored to where they belong.
//!
//! ```text
//! scores   A = keys 0..16, B = 16.., C = 32.., D = 48..
//! words    A0-3 B0-3 | A4-7 B4-7 | ...          and the same of C and D
//! bytes    A0-3 B0-3 C0-3 D0-3 | A4-7 ...       dword s of lane l is group 4 s + l
//! ```

use core::arch::x86_64::{
    __m128i, __m512, __m512i, __mmask32, _mm_and_si128, _mm_cmpgt_epi32_mask, _mm_cvtepi32_ps,
    _mm_div_ps, _mm_maskz_cvttps_epi32, _mm_or_si128, _mm_set1_epi32, _mm_set1_ps,
    _mm_setzero_si128, _mm_slli_epi32, _mm_storeu_si128, _mm512_add_epi16, _mm512_add_epi32,
    _mm512_broadcast_i32x4, _mm512_castps_si512, _mm512_castsi512_ps, _mm512_castsi512_si128,
    _mm512_cmplt_epi16_mask, _mm512_cvtepi32_ps, _mm512_cvttps_epi32, _mm512_dpwssd_epi32,
    _mm512_loadu_ps, _mm512_loadu_si512, _mm512_mask_max_ps, _mm512_mask_mov_epi16,
    _mm512_maskz_mov_epi16, _mm512_max_epi16, _mm512_max_ps, _mm512_min_epi16, _mm512_mul_ps,
    _mm512_mulhrs_epi16, _mm512_packs_epi32, _mm512_packus_epi16, _mm512_permutexvar_epi32,
    _mm512_permutexvar_epi64, _mm512_rol_epi32, _mm512_set1_epi16, _mm512_set1_ps,
    _mm512_setr_epi32, _mm512_setr_epi64, _mm512_setzero_ps, _mm512_setzero_si512,
    _mm512_shuffle_epi32, _mm512_shuffle_i64x2, _mm512_slli_epi16, _mm512_srai_epi32,
    _mm512_srlv_epi16, _mm512_storeu_si512, _mm512_sub_epi16, _mm512_sub_ps, _mm512_unpackhi_epi32,
    _mm512_unpackhi_epi64, _mm512_unpacklo_epi32, _mm512_unpacklo_epi64,
};

use super::{C, FRACTION, FULL, Found, INTEGER, Keys, Rows};
use crate::dot::{Layout, MAX_MR};
use crate::interleave::GROUP;
use crate::interleave::avx512::{quarters, transpose};
use crate::isa::Isa;
use crate::kv::KV_TILE;
use crate::pack::scatter;

/// f32 in a vector.
const LANES: usize = 16;

/// Of the tile for which the bytes are meant; weights are unsigned there, as they are here.
const LAYOUT: Layout = Layout::of(Isa::Avx512Vnni);

/// The keys of a tile in the order of the vectors.
struct Loaded {
    k_scale: [__m512; 4],
    v_mantissa: [__m512i; 2],
    v_shift: [__m512i; 2],
    /// Which key each word is of.
    key: [__m512i; 2],
}

/// See [`Softmax`](super::Softmax).
///
/// # Safety
/// As [`Softmax`](super::Softmax).
#[inline]
#[allow(clippy::too_many_arguments, reason = "the signature of every softmax")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
pub(crate) unsafe fn softmax(
    layout: Layout,
    rows: usize,
    whole: bool,
    scores: &[[i32; KV_TILE]],
    keys: Keys<'_>,
    told: &Rows,
    found: &mut Found,
    p: &mut [u8],
) {
    assert!(layout == LAYOUT && p.len() >= LAYOUT.mr * KV_TILE);
    let keys = load(keys);
    if rows == 1 {
        let bytes = match whole {
            true => weigh::<1, false>(&scores[0..], &keys, told, found, 0),
            false => weigh::<1, true>(&scores[0..], &keys, told, found, 0),
        };
        let natural = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
        let mut row = [0u8; KV_TILE];
        // SAFETY: a row is 64 bytes.
        unsafe {
            _mm512_storeu_si512(
                row.as_mut_ptr().cast(),
                _mm512_permutexvar_epi32(natural, bytes[0]),
            );
        }
        scatter(&row, p, LAYOUT.mr, 0, LAYOUT.kr);
        return;
    }
    for row in (0..rows).step_by(GROUP) {
        let scores = &scores[row..];
        let bytes = match whole {
            true => weigh::<GROUP, false>(scores, &keys, told, found, row),
            false => weigh::<GROUP, true>(scores, &keys, told, found, row),
        };
        store(bytes, row, p);
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn load(keys: Keys<'_>) -> Loaded {
    let words = |of: &[i16; KV_TILE], half: usize| {
        let order = _mm512_setr_epi64(0, 4, 1, 5, 2, 6, 3, 7);
        // SAFETY: half is 0 or 1, and a half of 64 words fills a vector.
        let natural = unsafe { _mm512_loadu_si512(of.as_ptr().add(half * 2 * LANES).cast()) };
        _mm512_permutexvar_epi64(order, natural)
    };
    let mut number = [0i16; KV_TILE];
    for (j, number) in number.iter_mut().enumerate() {
        *number = j as i16;
    }
    let k_scale = |i: usize| {
        // SAFETY: i < 4, and a quarter of 64 numbers fills a vector.
        unsafe { _mm512_loadu_ps(keys.k_scale.as_ptr().add(i * LANES)) }
    };
    Loaded {
        k_scale: [k_scale(0), k_scale(1), k_scale(2), k_scale(3)],
        v_mantissa: [words(keys.v_mantissa, 0), words(keys.v_mantissa, 1)],
        v_shift: [words(keys.v_shift, 0), words(keys.v_shift, 1)],
        key: [words(&number, 0), words(&number, 1)],
    }
}

/// The bytes of `R` rows from row `at` of a panel on, whose scores are the first of `scores`; what is found of them beside.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn weigh<const R: usize, const MASKED: bool>(
    scores: &[[i32; KV_TILE]],
    keys: &Loaded,
    told: &Rows,
    found: &mut Found,
    at: usize,
) -> [__m512i; R] {
    let scores: &[[i32; KV_TILE]; R] = scores.first_chunk().expect("a row of scores for each");
    let valid: &[usize; R] = told.valid[at..].first_chunk().expect("a number for each");
    let c: &[f32; R] = told.c[at..].first_chunk().expect("a factor for each");

    let mut a = [[_mm512_setzero_ps(); 4]; R];
    let mut tops = [_mm512_setzero_si512(); GROUP];
    for r in 0..R {
        let mut top = _mm512_set1_ps(f32::NEG_INFINITY);
        for (i, a) in a[r].iter_mut().enumerate() {
            // SAFETY: i < 4, and a quarter of 64 numbers fills a vector.
            let acc = unsafe { _mm512_loadu_si512(scores[r].as_ptr().add(i * LANES).cast()) };
            *a = _mm512_mul_ps(_mm512_cvtepi32_ps(acc), keys.k_scale[i]);
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
    keep(_mm512_castsi512_si128(tops), &mut found.top, at);
    let tops = spread(tops);

    let mut sums = [_mm512_setzero_si512(); GROUP];
    let mut least = [_mm512_setzero_si512(); GROUP];
    let mut y = [[_mm512_setzero_si512(); 2]; R];
    let mut e = [[_mm512_setzero_si512(); 2]; R];
    for r in 0..R {
        let (top, c) = (_mm512_castsi512_ps(tops[r]), _mm512_set1_ps(c[r]));
        let z = a[r].map(|a| {
            // Past its range the conversion gives the least number there is, which is right.
            let z = _mm512_cvttps_epi32(_mm512_mul_ps(_mm512_sub_ps(a, top), c));
            _mm512_srai_epi32::<16>(z)
        });
        for half in 0..2 {
            let z = _mm512_packs_epi32(z[2 * half], z[2 * half + 1]);
            let b = exp2(z);
            // A shift to the right that rounds.
            let n = _mm512_mulhrs_epi16(z, _mm512_set1_epi16(1 << (15 - FRACTION)));
            let n = _mm512_sub_epi16(_mm512_setzero_si512(), n);
            let mut p = _mm512_srlv_epi16(b, n);
            let mut shift = _mm512_add_epi16(n, keys.v_shift[half]);
            if MASKED {
                let seen: __mmask32 =
                    _mm512_cmplt_epi16_mask(keys.key[half], _mm512_set1_epi16(valid[r] as i16));
                p = _mm512_maskz_mov_epi16(seen, p);
                shift = _mm512_mask_mov_epi16(_mm512_set1_epi16(i16::MAX), seen, shift);
            }
            sums[r] = _mm512_dpwssd_epi32(sums[r], p, _mm512_set1_epi16(1));
            y[r][half] = _mm512_mulhrs_epi16(b, keys.v_mantissa[half]);
            e[r][half] = shift;
        }
        least[r] = _mm512_min_epi16(e[r][0], e[r][1]);
    }
    let sums = fold(sums, |x, y| _mm512_add_epi32(x, y));
    keep(_mm512_castsi512_si128(sums), &mut found.sum, at);
    let least = fold(least, |x, y| _mm512_min_epi16(x, y));
    let least = _mm512_min_epi16(least, _mm512_rol_epi32::<16>(least));
    let word = _mm_set1_epi32(0xffff);
    keep(
        _mm_and_si128(_mm512_castsi512_si128(least), word),
        &mut found.e,
        at,
    );
    let least = spread(least);

    let mut peaks = [_mm512_setzero_si512(); GROUP];
    for r in 0..R {
        for half in 0..2 {
            let shift = _mm512_sub_epi16(e[r][half], least[r]);
            y[r][half] = _mm512_srlv_epi16(y[r][half], shift);
        }
        peaks[r] = _mm512_max_epi16(y[r][0], y[r][1]);
    }
    let peaks = fold(peaks, |x, y| _mm512_max_epi16(x, y));
    let peaks = _mm512_max_epi16(peaks, _mm512_rol_epi32::<16>(peaks));
    let peaks = _mm_and_si128(_mm512_castsi512_si128(peaks), word);
    let inverse = _mm_maskz_cvttps_epi32(
        _mm_cmpgt_epi32_mask(peaks, _mm_setzero_si128()),
        _mm_div_ps(_mm_set1_ps(FULL), _mm_cvtepi32_ps(peaks)),
    );
    keep(inverse, &mut found.inverse, at);
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

/// [`exp2`](super::portable::exp2).
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn exp2(z: __m512i) -> __m512i {
    let s = _mm512_slli_epi16::<INTEGER>(z);
    let c = C.map(|c| _mm512_set1_epi16(c));
    let b = _mm512_add_epi16(_mm512_mulhrs_epi16(s, c[3]), c[2]);
    let b = _mm512_add_epi16(_mm512_mulhrs_epi16(s, b), c[1]);
    _mm512_add_epi16(_mm512_mulhrs_epi16(s, b), c[0])
}

/// Folds the 16 lanes of each of four vectors; the four results are in every 128-bit lane.
#[inline]
#[target_feature(enable = "avx512f")]
fn fold(v: [__m512i; GROUP], op: impl Fn(__m512i, __m512i) -> __m512i) -> __m512i {
    let ab = op(
        _mm512_unpacklo_epi32(v[0], v[1]),
        _mm512_unpackhi_epi32(v[0], v[1]),
    );
    let cd = op(
        _mm512_unpacklo_epi32(v[2], v[3]),
        _mm512_unpackhi_epi32(v[2], v[3]),
    );
    let all = op(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd));
    let all = op(all, _mm512_shuffle_i64x2::<0b01_00_11_10>(all, all));
    op(all, _mm512_shuffle_i64x2::<0b10_11_00_01>(all, all))
}

/// What [`fold`] gives, each of the four results in a vector full of it.
#[inline]
#[target_feature(enable = "avx512f")]
fn spread(v: __m512i) -> [__m512i; GROUP] {
    [
        _mm512_shuffle_epi32::<0b00_00_00_00>(v),
        _mm512_shuffle_epi32::<0b01_01_01_01>(v),
        _mm512_shuffle_epi32::<0b10_10_10_10>(v),
        _mm512_shuffle_epi32::<0b11_11_11_11>(v),
    ]
}

/// Writes the four results in `v` to rows `at..at + 4` of what is found.
#[inline]
#[target_feature(enable = "avx512f")]
fn keep<T>(v: __m128i, to: &mut [T; MAX_MR], at: usize) {
    const { assert!(size_of::<T>() == 4) };
    let to: &mut [T; GROUP] = to[at..].first_chunk_mut().expect("rows of a panel");
    // SAFETY: four numbers of four bytes, of a type that any bits are one of (f32 and i32 are all there are).
    unsafe { _mm_storeu_si128(to.as_mut_ptr().cast(), v) };
}

/// Stores the bytes of four rows, in the order of [`weigh`], as rows `row..row + 4` of a panel.
#[inline]
#[target_feature(enable = "avx512f")]
fn store(rows: [__m512i; GROUP], row: usize, p: &mut [u8]) {
    let Layout { mr, kr, .. } = LAYOUT;
    assert!(row + GROUP <= mr && p.len() >= mr * KV_TILE);
    for (s, group) in transpose(rows).into_iter().enumerate() {
        for (l, lane) in quarters(group).into_iter().enumerate() {
            // SAFETY: group 4 s + l < KV_TILE / kr of the panel has mr * kr bytes, and row + 4 <= mr.
            unsafe {
                let to = p.as_mut_ptr().add(((4 * s + l) * mr + row) * kr);
                _mm_storeu_si128(to.cast(), lane);
            }
        }
    }
}
