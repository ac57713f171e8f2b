//! Reductions over a row in one fixed shape: 16 lanes, then a tree.

use super::math::{fma, max, min};

/// Lanes of every reduction; the widest vector there is holds 16 f32.
pub(crate) const LANES: usize = 16;

/// A local array aligned like a cache line, so that no vector crosses one.
#[repr(align(64))]
pub(crate) struct Line<T>(pub(crate) T);

/// Folds 16 partial sums: +8, +4, +2, +1.
#[inline(always)]
pub(crate) fn tree_sum(mut l: [f32; LANES]) -> f32 {
    for width in [8, 4, 2, 1] {
        for i in 0..width {
            l[i] += l[i + width];
        }
    }
    l[0]
}

/// The largest of 16 lanes.
#[inline(always)]
pub(crate) fn tree_max(mut l: [f32; LANES]) -> f32 {
    for width in [8, 4, 2, 1] {
        for i in 0..width {
            l[i] = max(l[i + width], l[i]);
        }
    }
    l[0]
}

/// Sum of x*y in fma over 16 lanes.
#[inline(always)]
pub(crate) fn dot(x: &[f32], y: &[f32]) -> f32 {
    let n = x.len().min(y.len());
    let (xs, x_tail) = x[..n].as_chunks::<LANES>();
    let (ys, y_tail) = y[..n].as_chunks::<LANES>();
    let mut lanes = [0.0; LANES];
    for (x, y) in xs.iter().zip(ys) {
        for i in 0..LANES {
            lanes[i] = fma(x[i], y[i], lanes[i]);
        }
    }
    for (i, (x, y)) in x_tail.iter().zip(y_tail).enumerate() {
        lanes[i] = fma(*x, *y, lanes[i]);
    }
    tree_sum(lanes)
}

/// The largest magnitude in a row, as bits: NaN above infinity above every number.
#[inline(always)]
pub(crate) fn amax_bits(x: &[f32]) -> u32 {
    let (chunks, tail) = x.as_chunks::<LANES>();
    let mut lanes = [0u32; LANES];
    for chunk in chunks {
        for i in 0..LANES {
            lanes[i] = lanes[i].max(chunk[i].to_bits() & 0x7fff_ffff);
        }
    }
    for (i, x) in tail.iter().enumerate() {
        lanes[i] = lanes[i].max(x.to_bits() & 0x7fff_ffff);
    }
    lanes.into_iter().fold(0, u32::max)
}

/// What [`RangeLanes`] found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Range {
    /// The smallest of the values and zero.
    pub(crate) low: f32,
    /// The largest of the values and zero.
    pub(crate) high: f32,
    /// The largest magnitude; NaN above infinity above every number.
    pub(crate) amax: f32,
}

/// The range of a row, lane by lane.
#[derive(Clone, Copy)]
pub(crate) struct RangeLanes {
    low: [f32; LANES],
    high: [f32; LANES],
    amax_bits: [u32; LANES],
}

impl RangeLanes {
    pub(crate) const EMPTY: Self = Self {
        low: [0.0; LANES],
        high: [0.0; LANES],
        amax_bits: [0; LANES],
    };

    /// Takes `x` into lane `i`.
    #[inline(always)]
    pub(crate) fn take(&mut self, i: usize, x: f32) {
        self.low[i] = min(x, self.low[i]);
        self.high[i] = max(x, self.high[i]);
        self.amax_bits[i] = self.amax_bits[i].max(x.to_bits() & 0x7fff_ffff);
    }

    #[inline(always)]
    pub(crate) fn finish(self) -> Range {
        Range {
            low: -tree_max(self.low.map(|x| -x)),
            high: tree_max(self.high),
            amax: f32::from_bits(self.amax_bits.into_iter().fold(0, u32::max)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reduction_has_the_documented_shape() {
        let mut lanes = [0.0; LANES];
        // 1e8 + 1 loses the 1; only the documented order gives this result.
        lanes[0] = 1e8;
        lanes[8] = -1e8;
        lanes[1] = 1.0;
        assert_eq!(tree_sum(lanes), 1.0);
    }

    #[test]
    fn amax_orders_nan_above_infinity_above_numbers() {
        assert_eq!(f32::from_bits(amax_bits(&[1.0, -3.0, 2.0])), 3.0);
        assert_eq!(
            f32::from_bits(amax_bits(&[f32::NEG_INFINITY, 9.0])),
            f32::INFINITY
        );
        assert!(f32::from_bits(amax_bits(&[f32::INFINITY, f32::NAN])).is_nan());
        assert_eq!(amax_bits(&[]), 0);
    }
}
