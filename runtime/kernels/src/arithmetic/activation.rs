//! The MLP's activation functions, under Hugging Face's names.

use core::f32::consts::LOG2_E;

use super::lanes::{Range, RangeBits};
use super::math::{ROUND, exp2, fma, max, min};

/// `config.activation_function`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Activation {
    /// `u * sigmoid(1.702 u)`, ImageGPT's own.
    QuickGelu,
    /// `u * Phi(u)` with the error function.
    Gelu,
    /// The tanh approximation of gelu.
    GeluNew,
    /// `max(u, 0)`.
    Relu,
    /// `u * sigmoid(u)`.
    Silu,
}

/// u * sigmoid(z) where `scaled` = -z * log2(e).
#[inline(always)]
fn gate(u: f32, scaled: f32) -> f32 {
    u / (1.0 + exp2(scaled))
}

/// What quick_gelu multiplies by in the exponent.
pub(crate) const QUICK_GELU: f32 = -1.702 * LOG2_E;

#[inline(always)]
fn quick_gelu(u: f32) -> f32 {
    gate(u, u * QUICK_GELU)
}

/// Coefficients of 2^f on [-1/2, 1/2] for what becomes a byte, the constant term first: equal ripple, the same error at both
/// ends, so that powers do not jump where the integer part changes. Relative error 7.5e-5.
pub(crate) const COARSE_EXP2: [f32; 4] = [0.999_928_06, 0.693_260_97, 0.242_611_13, 0.055_171_67];

/// Past this `u * sigmoid(1.702 u)` is u or next to nothing.
pub(crate) const COARSE_LIMIT: f32 = 50.0;

/// [`quick_gelu`] for what becomes a byte. 7.5e-5 of e^(-1.702 u) is at most 1e-5 of the result for the largest of a row's
/// values, where they are above one, and never more than 7.5e-5: a fiftieth of a step of a byte.
#[inline(always)]
pub(crate) fn coarse_quick_gelu(u: f32) -> f32 {
    let near = min(max(u, -COARSE_LIMIT), COARSE_LIMIT);
    let z = fma(near, QUICK_GELU, ROUND);
    let f = fma(near, QUICK_GELU, ROUND - z);
    let p = fma(f, COARSE_EXP2[3], COARSE_EXP2[2]);
    let p = fma(f, p, COARSE_EXP2[1]);
    let p = fma(f, p, COARSE_EXP2[0]);
    let power = f32::from_bits(p.to_bits().wrapping_add(z.to_bits() << 23));
    u / (1.0 + power)
}

#[inline(always)]
pub(crate) fn silu(u: f32) -> f32 {
    gate(u, u * -LOG2_E)
}

/// 0.5 (1 + tanh z) is sigmoid(2z), so no tanh is needed.
#[inline(always)]
pub(crate) fn gelu_new(u: f32) -> f32 {
    const SQRT_2_OVER_PI: f32 = 0.797_884_6;
    let z = (u * SQRT_2_OVER_PI) * fma(0.044_715 * u, u, 1.0);
    gate(u, z * (-2.0 * LOG2_E))
}

/// Phi by Abramowitz and Stegun 7.1.26; absolute error of erf 1.5e-7.
#[inline(always)]
fn gelu(u: f32) -> f32 {
    let x = u * core::f32::consts::FRAC_1_SQRT_2;
    let a = f32::from_bits(x.to_bits() & 0x7fff_ffff);
    let t = 1.0 / fma(0.327_591_1, a, 1.0);
    let p = fma(t, 1.061_405_4, -1.453_152);
    let p = fma(t, p, 1.421_413_7);
    let p = fma(t, p, -0.284_496_72);
    let p = fma(t, p, 0.254_829_6);
    // 1 - erf(|x|); for negative u this is what remains, so nothing cancels there.
    let tail = (p * t) * exp2((a * a) * -LOG2_E);
    let phi = if u > 0.0 {
        fma(-0.5, tail, 1.0)
    } else {
        0.5 * tail
    };
    u * phi
}

/// Past this [`coarse_gelu`] is u or nothing.
pub(crate) const COARSE_GELU_LIMIT: f32 = 4.0;

/// Coefficients of (Phi(w) - 1/2) / w in powers of w^2, the constant term first: equal ripple of Phi on [-4, 4], 3.2e-5, held to exactly 1
/// and 0 at both ends, in these roundings, so that nothing jumps there and nothing is left of large negative numbers.
pub(crate) const COARSE_PHI: [f32; 8] = [
    0.398_805_14,
    -0.066_063_21,
    0.009_580_693,
    -0.001_020_818_5,
    7.615_302e-5,
    -3.706_412e-6,
    1.043_037_7e-7,
    -1.275_596_2e-9,
];

/// [`gelu`] for what becomes a byte, with neither a division nor a power. Phi is off by 3.4e-5 at most, which makes at most an eightieth of a
/// step of a byte of a row's largest value.
#[inline(always)]
pub(crate) fn coarse_gelu(u: f32) -> f32 {
    let w = min(max(u, -COARSE_GELU_LIMIT), COARSE_GELU_LIMIT);
    let square = w * w;
    let p = fma(square, COARSE_PHI[7], COARSE_PHI[6]);
    let p = fma(square, p, COARSE_PHI[5]);
    let p = fma(square, p, COARSE_PHI[4]);
    let p = fma(square, p, COARSE_PHI[3]);
    let p = fma(square, p, COARSE_PHI[2]);
    let p = fma(square, p, COARSE_PHI[1]);
    let p = fma(square, p, COARSE_PHI[0]);
    u * fma(w, p, 0.5)
}

/// One after the other: of chunks laid out by hand the compiler made gathers.
#[inline(always)]
fn map(row: &mut [f32], f: impl Fn(f32) -> f32) {
    for u in row {
        *u = f(*u);
    }
}

/// [`map`] from row to row, and the range of what it wrote: found while that is in registers, it costs next to nothing.
#[inline(always)]
fn map_range(from: &[f32], to: &mut [f32], f: impl Fn(f32) -> f32) -> Range {
    let mut bits = RangeBits::EMPTY;
    for (to, from) in to.iter_mut().zip(from) {
        *to = f(*from);
        bits = bits.with(*to);
    }
    bits.range()
}

/// In this order NaN stays NaN, for the quantiser to refuse.
#[inline(always)]
pub(crate) fn relu(u: f32) -> f32 {
    if u <= 0.0 { 0.0 } else { u }
}

/// Applies `kind` in place.
#[inline(always)]
pub(crate) fn activate(kind: Activation, row: &mut [f32]) {
    match kind {
        Activation::QuickGelu => map(row, quick_gelu),
        Activation::Gelu => map(row, gelu),
        Activation::GeluNew => map(row, gelu_new),
        Activation::Relu => map(row, relu),
        Activation::Silu => map(row, silu),
    }
}

/// Applies `kind` to `from` as closely as bytes want it, and gives the range of the result.
#[inline(always)]
pub(crate) fn activate_range(kind: Activation, from: &[f32], to: &mut [f32]) -> Range {
    match kind {
        Activation::QuickGelu => map_range(from, to, coarse_quick_gelu),
        Activation::Gelu => map_range(from, to, coarse_gelu),
        Activation::GeluNew => map_range(from, to, gelu_new),
        Activation::Relu => map_range(from, to, relu),
        Activation::Silu => map_range(from, to, silu),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sigmoid(z: f64) -> f64 {
        1.0 / (1.0 + (-z).exp())
    }

    #[test]
    fn each_is_close_to_its_definition() {
        let tanh_gelu = |u: f64| {
            0.5 * u
                * (1.0 + ((2.0 / core::f64::consts::PI).sqrt() * (u + 0.044715 * u.powi(3))).tanh())
        };
        let erf_gelu = |u: f64| 0.5 * u * libm::erfc(-u / core::f64::consts::SQRT_2);
        let cases: [(Activation, &dyn Fn(f64) -> f64); 5] = [
            (Activation::QuickGelu, &|u| u * sigmoid(1.702 * u)),
            (Activation::Gelu, &erf_gelu),
            (Activation::GeluNew, &tanh_gelu),
            (Activation::Relu, &|u| u.max(0.0)),
            (Activation::Silu, &|u| u * sigmoid(u)),
        ];
        for (kind, want) in cases {
            let inputs: std::vec::Vec<f32> = (-3000..3000).map(|i| i as f32 * 0.01).collect();
            let mut got = inputs.clone();
            activate(kind, &mut got);
            for (u, got) in inputs.iter().zip(got) {
                let want = want(f64::from(*u));
                let error = (f64::from(got) - want).abs();
                assert!(
                    error < 1e-6 * (1.0 + want.abs()),
                    "{kind:?}({u}) = {got}, want {want}"
                );
            }
        }
    }

    #[test]
    fn what_becomes_a_byte_is_close_and_does_not_jump() {
        let mut last = f64::from(coarse_quick_gelu(-30.0)) / -30.0;
        for i in -300_000..=300_000 {
            let u = i as f32 * 1e-4;
            let (got, exact) = (coarse_quick_gelu(u), quick_gelu(u));
            assert!(
                (got - exact).abs() <= 8e-5 * exact.abs(),
                "{got} for {exact} at {u}"
            );
            if u > 0.0 {
                assert!((got - exact).abs() <= 1.1e-5, "{got} for {exact} at {u}");
            }
            // The gate opens with u, but for the last bits.
            if u != 0.0 {
                let gate = f64::from(got) / f64::from(u);
                assert!(gate >= last * (1.0 - 3e-7), "the gate falls at {u}");
                last = gate;
            }
        }
        for u in [f32::MAX, f32::INFINITY] {
            assert_eq!(coarse_quick_gelu(u), u);
        }
        assert!(coarse_quick_gelu(-1e18).abs() < 1e-10);
        assert!(coarse_quick_gelu(f32::NAN).is_nan());
    }

    #[test]
    fn gelu_of_what_becomes_a_byte_is_far_closer_than_a_step_of_it() {
        let exact = |u: f64| 0.5 * u * libm::erfc(-u / core::f64::consts::SQRT_2);
        for i in -600_000..=600_000 {
            let u = i as f32 * 1e-5;
            let error = (f64::from(coarse_gelu(u)) - exact(f64::from(u))).abs();
            assert!(error <= 3.4e-5 * f64::from(u.abs()), "{error} at {u}");
            // A row of values up to this one has a span as large as what is left of it.
            let step = exact(f64::from(u.abs())) / 255.0;
            assert!(error <= step / 75.0, "{error} at {u}");
        }
        for u in [4.0, 4.5, 1e18, f32::MAX, f32::INFINITY] {
            assert_eq!(coarse_gelu(u), u);
        }
        for u in [-4.0, -4.5, -1e18, -f32::MAX] {
            assert_eq!(coarse_gelu(u), 0.0);
        }
        for u in [f32::NAN, f32::NEG_INFINITY] {
            assert!(coarse_gelu(u).is_nan());
        }
    }

    #[test]
    fn huge_inputs_saturate_instead_of_giving_nan() {
        for kind in [
            Activation::QuickGelu,
            Activation::Gelu,
            Activation::GeluNew,
            Activation::Relu,
            Activation::Silu,
        ] {
            let mut row = [1e18, -1e18, 0.0, -0.0];
            activate(kind, &mut row);
            assert_eq!(row[0], 1e18, "{kind:?}");
            assert!(row[1].abs() < 1e-10, "{kind:?} gives {}", row[1]);
            assert_eq!(row[2], 0.0);
        }
    }
}
