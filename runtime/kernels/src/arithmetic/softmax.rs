//! The softmax between the two products of int8 attention: from the scores of a kv tile to bytes that weigh its values.
//!
//! Everything after the scores is 16-bit fixed point, which the vector units of both architectures multiply, round, shift and
//! narrow alike: twice the numbers a vector, no exponential function, and exact, so that the order of sums does not matter.
//! Of one query, for the keys `j` of a tile that it sees (`docs/numerics.md` says why each step is as precise as bytes deserve):
//!
//! ```text
//! a_j   = acc_j as f32 * sk_j                    top = max_j a_j
//! z_j   = ((a_j - top) * c) as i32 >> 16         log2 of the weight, 10 fraction bits, -2^15..=0
//! n_j   = -((z_j + 2^9) >> 10)                   s_j = z_j << 6               z = -n * 2^10 + s / 2^6
//! b_j   = 2^14 + s_j * (C1 + s_j * (C2 + s_j * C3))              2^(s / 2^16), 14 fraction bits
//! p_j   = b_j >> n_j                             sum = sum_j p_j
//! y_j   = b_j * mantissa_j                       e_j = n_j + shift_j          weight times value's scale: y * 2^-e
//! e     = min_j e_j                              w_j = y_j >> (e_j - e)
//! inverse = floor(255 * 2^15 / max_j w_j)        u_j = w_j * inverse          0..=255
//! ```
//!
//! where `as i32` cuts the fraction off and saturates, `*` on 16-bit numbers is [`mul_high`], and the scale of the value of key j is `mantissa * 2^-15 * 2^(BIAS - shift)`.
//! If every scale is zero, so are all u and the inverse.

use crate::layout::{KV_TILE, MAX_MR};

/// Fraction bits of z.
pub(crate) const FRACTION: u32 = 10;

/// What makes z of a power of two: it is converted with 16 bits more, so that saturation of 32 bits is that of 16.
pub(crate) const UNITS: f32 = (1 << (FRACTION + 16)) as f32;

/// What z is shifted left by to leave its fraction, from -1/2 to 1/2.
pub(crate) const INTEGER: u32 = 16 - FRACTION;

/// Coefficients of 2^(s / 2^16) with 14 fraction bits, s in [-2^15, 2^15): integers that minimise the largest relative error,
/// 1.72e-4 with all roundings; the first keeps the largest weight exactly 1.
pub(crate) const C: [i16; 4] = [1 << 14, 5681, 992, 110];

/// Fraction bits of b, p and y.
pub(crate) const UNIT: u32 = 14;

/// Added to the exponent of a value's scale, so that its shift is positive.
pub(crate) const BIAS: i32 = 128;

/// The shift of a zero scale: larger than any other by more than a shift leaves anything of.
pub(crate) const NEVER: i16 = 1024;

/// A spread of shifts for which those of w fit a signed byte, where n is up to 32.
#[allow(dead_code, reason = "read by instruction sets of one architecture")]
pub(crate) const NEAR: i16 = 127 - (1 << (15 - FRACTION));

/// What the largest w becomes with [`mul_high`] by `inverse`, before that is rounded down.
pub(crate) const FULL: f32 = 255.0 * (1 << 15) as f32;

/// `a * b / 2^15`, rounded half up: `vpmulhrsw`, `sqrdmulh`. Not both may be -2^15.
#[inline(always)]
pub(crate) fn mul_high(a: i16, b: i16) -> i16 {
    ((i32::from(a) * i32::from(b) + (1 << 14)) >> 15) as i16
}

/// The scale of a value as (mantissa in [2^14, 2^15), shift); a scale of zero as (0, [`NEVER`]). `scale` is finite, not negative,
/// and not subnormal.
#[inline(always)]
pub(crate) fn split_scale(scale: f32) -> (i16, i16) {
    if scale == 0.0 {
        return (0, NEVER);
    }
    let bits = scale.to_bits();
    // The leading one and 14 bits, the last of them rounded; what would round up to the next power of two stays below.
    let mantissa = ((1 << 14) + (((bits & 0x7f_ffff) + (1 << 8)) >> 9)).min((1 << 15) - 1);
    let exponent = (bits >> 23) as i32 - 126;
    (mantissa as i16, (BIAS - exponent) as i16)
}

/// One kv tile of a head as its queries see it.
#[allow(dead_code, reason = "read by instruction sets of one architecture")]
#[derive(Clone, Copy)]
pub(crate) struct Keys<'a> {
    /// Scale of each key.
    pub(crate) k_scale: &'a [f32; KV_TILE],
    /// Scale of each value: mantissa and shift.
    pub(crate) v_mantissa: &'a [i16; KV_TILE],
    pub(crate) v_shift: &'a [i16; KV_TILE],
    /// Of the values' scales that are not zero, the smallest and the largest shift there has been.
    pub(crate) spread: &'a [i16; 2],
}

#[allow(dead_code, reason = "read by instruction sets of one architecture")]
impl Keys<'_> {
    /// True only if the scales of the values that are not zero are within 2^[`NEAR`] of each other.
    #[inline(always)]
    pub(crate) fn near(&self) -> bool {
        let [least, most] = *self.spread;
        most - least <= NEAR
    }
}

/// What the softmax has to know of each row of a panel.
pub(crate) struct QueryRows {
    /// What `a - top` is multiplied by: positive and finite, so that the product is a number.
    pub(crate) c: [f32; MAX_MR],
    /// Keys of the tile that the row sees, at least one.
    pub(crate) valid: [usize; MAX_MR],
}

impl QueryRows {
    /// Rows that see every key, of these factors.
    #[inline(always)]
    pub(crate) fn of(c: &[f32; MAX_MR]) -> Self {
        Self {
            // A query of zeros has scores of zero, whatever multiplies them; one so large that this overflows is refused later.
            c: c.map(|c| (c * UNITS).clamp(f32::MIN_POSITIVE, f32::MAX)),
            valid: [KV_TILE; MAX_MR],
        }
    }
}

/// What it finds out about each row, beside the bytes. The order is relied on.
#[repr(C)]
pub(crate) struct RowStats {
    pub(crate) top: [f32; MAX_MR],
    pub(crate) sum: [i32; MAX_MR],
    pub(crate) e: [i32; MAX_MR],
    pub(crate) inverse: [i32; MAX_MR],
}

impl RowStats {
    pub(crate) const EMPTY: Self = Self {
        top: [0.0; MAX_MR],
        sum: [0; MAX_MR],
        e: [0; MAX_MR],
        inverse: [0; MAX_MR],
    };
}

/// The rows of a panel against one kv tile, as the softmax is given them.
#[derive(Clone, Copy)]
pub(crate) struct Scores<'a> {
    /// Rows `0..rows` are wanted; up to mr may be computed.
    pub(crate) rows: usize,
    /// Every row sees every key, whatever `query_rows` says of it.
    pub(crate) whole: bool,
    /// Whether the product takes weights as signed bytes, u - 128, or as they are.
    pub(crate) signed: bool,
    /// A row for each of `rows`, padded up to a multiple of four unless there is one.
    pub(crate) scores: &'a [[i32; KV_TILE]],
    pub(crate) keys: Keys<'a>,
    pub(crate) query_rows: &'a QueryRows,
}
