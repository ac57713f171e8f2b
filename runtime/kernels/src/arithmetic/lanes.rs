//! Reductions over a row in one fixed shape: 16 lanes, then a tree.

use super::math::fma;

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

/// The largest magnitude in a row, as bits: NaN above infinity above every number. Integers have no order to keep: the compiler may choose
/// the lanes, and of lanes laid out by hand it made gathers.
#[inline(always)]
pub(crate) fn amax_bits(x: &[f32]) -> u32 {
    x.iter()
        .fold(0, |amax, x| amax.max(x.to_bits() & 0x7fff_ffff))
}

/// The range of a row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Range {
    /// The smallest of the values and zero.
    pub(crate) low: f32,
    /// The largest of the values and zero.
    pub(crate) high: f32,
    /// The largest magnitude; NaN above infinity above every number.
    pub(crate) amax: f32,
}

impl Range {
    /// Of zeros.
    pub(crate) const ZERO: Self = Self {
        low: 0.0,
        high: 0.0,
        amax: 0.0,
    };
}

/// A [`Range`] in the making, in the bits of the values: as i32 those of positive numbers are in order, with NaN above infinity, and as
/// u32 those of negative ones. Two integer maxima find all three; f32 ones in lanes became masked stores on AVX-512.
#[derive(Clone, Copy)]
pub(crate) struct RangeBits {
    pub(crate) high: i32,
    pub(crate) low: u32,
}

impl RangeBits {
    /// The bits of -0.
    const SIGN: u32 = 0x8000_0000;

    pub(crate) const EMPTY: Self = Self {
        high: 0,
        low: Self::SIGN,
    };

    /// With `x` too.
    #[inline(always)]
    pub(crate) fn with(self, x: f32) -> Self {
        Self {
            high: self.high.max(x.to_bits() as i32),
            low: self.low.max(x.to_bits()),
        }
    }

    #[inline(always)]
    pub(crate) fn range(self) -> Range {
        let high = self.high as u32;
        Range {
            // 0 rather than -0.
            low: f32::from_bits(self.low) + 0.0,
            high: f32::from_bits(high),
            amax: f32::from_bits(high.max(self.low & !Self::SIGN)),
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

    #[test]
    fn a_range_holds_zero_and_orders_nan_above_infinity_above_numbers() {
        let range = |x: &[f32]| {
            let bits = x.iter().fold(RangeBits::EMPTY, |bits, x| bits.with(*x));
            let Range { low, high, amax } = bits.range();
            [low, high, amax].map(f32::to_bits)
        };
        let bits = |x: [f32; 3]| x.map(f32::to_bits);
        assert_eq!(range(&[]), bits([0.0, 0.0, 0.0]));
        assert_eq!(range(&[-0.0, 0.0]), bits([0.0, 0.0, 0.0]));
        assert_eq!(range(&[2.0, 3.0]), bits([0.0, 3.0, 3.0]));
        assert_eq!(range(&[-2.0, -3.0]), bits([-3.0, 0.0, 3.0]));
        assert_eq!(range(&[1.0, -4.0, 2.0]), bits([-4.0, 2.0, 4.0]));
        assert!(f32::from_bits(range(&[f32::INFINITY, f32::NAN])[2]).is_nan());
        assert!(f32::from_bits(range(&[f32::NEG_INFINITY, -f32::NAN])[2]).is_nan());
        let infinite = range(&[f32::NEG_INFINITY, 5.0])[2];
        assert_eq!(infinite, f32::INFINITY.to_bits());
    }
}
