//! Scalar primitives of the contract: fused multiply-add, exp2, square root.

/// `a * b + c` with one rounding.
#[inline(always)]
pub(crate) fn fma(a: f32, b: f32, c: f32) -> f32 {
    #[cfg(feature = "std")]
    {
        a.mul_add(b, c)
    }
    #[cfg(not(feature = "std"))]
    {
        libm::fmaf(a, b, c)
    }
}

/// Square root, correctly rounded.
#[inline(always)]
pub(crate) fn sqrt(x: f32) -> f32 {
    #[cfg(feature = "std")]
    {
        x.sqrt()
    }
    #[cfg(not(feature = "std"))]
    {
        libm::sqrtf(x)
    }
}

/// The larger of two, `b` if `a` is NaN; `b` is a number. Of two zeros either may be given, which no formula here tells apart.
///
/// x86 has the comparison as one instruction, ARM the function of the standard (`fmaxnm`), and each takes several for the other.
#[inline(always)]
pub(crate) fn max(a: f32, b: f32) -> f32 {
    if cfg!(target_arch = "aarch64") {
        a.max(b)
    } else if a > b {
        a
    } else {
        b
    }
}

/// The smaller of two, like [`max`].
#[inline(always)]
pub(crate) fn min(a: f32, b: f32) -> f32 {
    if cfg!(target_arch = "aarch64") {
        a.min(b)
    } else if a < b {
        a
    } else {
        b
    }
}

/// Adding this rounds an f32 below 2^22 in magnitude to an integer, ties to even, and leaves that integer in the low bits.
pub(crate) const ROUND: f32 = 12_582_912.0; // 1.5 * 2^23

/// Coefficients of 2^f on [-1/2, 1/2], the constant term first. A weighted least-squares fit driven to equal
/// ripple; with the constant term held at 1, so that exp2(0) is exactly 1 (the largest key of a softmax). Relative error 1.6e-7.
#[allow(
    clippy::approx_constant,
    reason = "the fit's own coefficient, not ln 2: the others were fitted with it"
)]
pub(crate) const EXP2: [f32; 6] = [
    1.0,
    0.693_147,
    0.240_222_42,
    0.055_507_336,
    0.009_671_513,
    0.001_326_472_7,
];

/// What the exponent is clamped to.
pub(crate) const EXP2_RANGE: [f32; 2] = [-125.0, 127.0];

/// 2^t for t clamped to [-125, 127]; a NaN gives the lower end.
#[inline(always)]
pub(crate) fn exp2(t: f32) -> f32 {
    let t = min(max(t, EXP2_RANGE[0]), EXP2_RANGE[1]);
    let z = t + ROUND;
    let f = t - (z - ROUND);
    let p = fma(f, EXP2[5], EXP2[4]);
    let p = fma(f, p, EXP2[3]);
    let p = fma(f, p, EXP2[2]);
    let p = fma(f, p, EXP2[1]);
    let p = fma(f, p, EXP2[0]);
    // The low bits of z hold round(t); what else z carries is shifted out.
    f32::from_bits(p.to_bits().wrapping_add(z.to_bits() << 23))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp2_is_close_everywhere_and_exact_at_zero() {
        assert_eq!(exp2(0.0), 1.0);
        assert_eq!(exp2(-0.0), 1.0);
        let mut t = -124.9f32;
        while t < 126.9 {
            let want = f64::from(t).exp2();
            let error = (f64::from(exp2(t)) / want - 1.0).abs();
            assert!(error < 2.0e-7, "exp2({t}) is off by {error:e}");
            t += 0.001_37;
        }
    }

    #[test]
    fn exp2_is_defined_for_everything() {
        for t in [f32::NEG_INFINITY, f32::MIN, -1e9, f32::NAN] {
            assert_eq!(exp2(t), exp2(-125.0));
        }
        for t in [f32::INFINITY, f32::MAX, 1e9] {
            assert_eq!(exp2(t), exp2(127.0));
        }
    }
}
