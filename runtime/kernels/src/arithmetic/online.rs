//! The state of the online softmax between the kv tiles of a panel of rows.
#![allow(
    clippy::needless_range_loop,
    reason = "rows are counted, so that the loop reads as the vector operations it becomes"
)]

use super::math::{exp2, fma, max};
use super::softmax::{BIAS, RowStats, UNIT};
use crate::layout::MAX_MR;

/// 2^exponent, at least the smallest normal number.
#[inline(always)]
fn power(exponent: i32) -> f32 {
    f32::from_bits(((exponent + 127).max(1) as u32) << 23)
}

/// What becomes of a row of output: `o * alpha + sum * scale`.
#[allow(dead_code, reason = "read by instruction sets of one architecture")]
#[derive(Clone, Copy)]
pub(crate) struct Factors<'a> {
    /// One a row.
    pub(crate) alpha: &'a [f32],
    pub(crate) scale: &'a [f32],
    /// `alpha` and, right behind it, `scale`.
    pub(crate) both: &'a [f32],
}

/// One entry a row.
pub(crate) struct Online {
    /// Largest score so far.
    pub(crate) m: [f32; MAX_MR],
    /// Sum of the weights so far, relative to that.
    pub(crate) l: [f32; MAX_MR],
    /// What the last tile does to the output, `o = o * alpha + sum * scale`: alpha of as many rows as fill
    /// vectors, then scale of each.
    factors: [f32; 2 * MAX_MR],
}

/// As many rows as fill vectors, of panels of `mr`.
#[inline(always)]
fn rounded(mr: usize) -> usize {
    mr.next_power_of_two()
}

impl Online {
    /// Before the first tile.
    #[inline(always)]
    pub(crate) fn new() -> Self {
        Self {
            m: [f32::NEG_INFINITY; MAX_MR],
            l: [0.0; MAX_MR],
            factors: [0.0; 2 * MAX_MR],
        }
    }

    /// alpha and scale of row `i` of a panel of `mr`.
    #[inline(always)]
    pub(crate) fn factors_of(&self, mr: usize, i: usize) -> (f32, f32) {
        (self.factors[i], self.factors[rounded(mr) + i])
    }

    /// The first of `rows` rows whose scores were no numbers, and the largest of them.
    #[inline(always)]
    pub(crate) fn non_finite(&self, rows: usize) -> Option<(usize, f32)> {
        let bad = (0..rows).find(|i| !self.m[*i].is_finite())?;
        Some((bad, self.m[bad]))
    }

    /// alpha and scale of each row of a panel of `mr`.
    #[inline(always)]
    pub(crate) fn factors(&self, mr: usize) -> Factors<'_> {
        let both = &self.factors[..2 * rounded(mr)];
        let (alpha, scale) = both.split_at(rounded(mr));
        Factors { alpha, scale, both }
    }

    /// Takes in what the softmax found in a tile of `mr` rows. Those before `from` do not see the tile; `c`
    /// makes scores of their tops.
    #[inline(always)]
    pub(crate) fn take(&mut self, mr: usize, stats: &RowStats, c: &[f32; MAX_MR], from: usize) {
        let rows = rounded(mr);
        let before = (from > 0).then_some((self.m, self.l));
        for i in 0..rows {
            let (top, last) = (stats.top[i] * c[i], self.m[i]);
            let m = max(top, last);
            // Of exp2(last - m) and exp2(top - m) one is exp2(0), which is 1.
            let less = exp2(-(top - last).abs());
            let (alpha, beta) = if top > last { (less, 1.0) } else { (1.0, less) };
            let sum = stats.sum[i] as f32 * (1.0 / (1 << UNIT) as f32);
            self.l[i] = fma(self.l[i], alpha, sum * beta);
            self.m[i] = m;
            self.factors[i] = alpha;
            // A step of u is 2^15 / inverse of w; one of w is 2^-UNIT * 2^(BIAS - e) of weight times value's
            // scale.
            let step = (1 << (15 - UNIT)) as f32 / stats.inverse[i].max(1) as f32;
            self.factors[rows + i] = (beta * step) * power(BIAS - stats.e[i]);
        }
        if let Some((m, l)) = before {
            self.m[..from].copy_from_slice(&m[..from]);
            self.l[..from].copy_from_slice(&l[..from]);
        }
    }
}
