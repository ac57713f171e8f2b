//! What every target pixel of an axis takes from the source: windows of fixed-point coefficients.
//!
//! Pillow and torch agree on the windows and on the weights in f64. Pillow rounds these to 22 fraction bits,
//! torch to as many as let the largest weight of the axis fit 16 bits.

use igpt_kernels::ResampleAxis;

use super::{Backend, Resample};

/// Pillow's fraction bits: 32, less 8 for a pixel and 2 for overshoot. torch has no more either.
const MOST_BITS: u32 = 32 - 8 - 2;

/// What one target pixel of an axis takes from the source.
#[derive(Debug)]
pub(super) struct Window {
    /// First source pixel.
    pub(super) first: usize,
    /// Fixed-point coefficients.
    pub(super) coefficients: Vec<i32>,
}

/// The windows of one axis, and where the point of their coefficients is.
#[derive(Debug)]
pub(super) struct Axis {
    pub(super) windows: Vec<Window>,
    /// Fraction bits of a coefficient.
    pub(super) bits: u32,
}

impl Axis {
    /// The windows of every target pixel from `from` to `to` pixels.
    pub(super) fn new(backend: Backend, filter: Resample, from: usize, to: usize) -> Self {
        let weights: Vec<(usize, Vec<f64>)> = weights(filter, from, to).collect();
        let bits = match backend {
            Backend::Pil => MOST_BITS,
            Backend::Torchvision => bits_of_16(weights.iter().flat_map(|(_, list)| list)),
        };
        let fixed = |weight: f64| to_fixed_point(weight, bits);
        let windows = weights
            .into_iter()
            .map(|(first, weights)| Window {
                first,
                coefficients: weights.into_iter().map(fixed).collect(),
            })
            .collect();
        Self { windows, bits }
    }

    /// As the kernels read them.
    pub(super) fn packed(&self) -> ResampleAxis {
        let windows = self.windows.iter();
        ResampleAxis::new(
            self.bits,
            windows.map(|window| (window.first, window.coefficients.as_slice())),
        )
    }
}

/// First source pixel and normalised weights of every target pixel.
fn weights(filter: Resample, from: usize, to: usize) -> impl Iterator<Item = (usize, Vec<f64>)> {
    let scale = from as f64 / to as f64;
    let stretch = scale.max(1.0);
    let support = filter.support() * stretch;
    let inverse = 1.0 / stretch;
    (0..to).map(move |target| {
        let center = (target as f64 + 0.5) * scale;
        // `as` truncates towards zero and saturates at it, which is Pillow's clamp.
        let first = (center - support + 0.5) as usize;
        let end = ((center + support + 0.5) as usize).min(from);
        let mut weights: Vec<f64> = (first..end)
            .map(|x| filter.at((x as f64 - center + 0.5) * inverse))
            .collect();
        // Left to right, as Pillow adds them: f64 sums depend on the order.
        let total = weights.iter().fold(0.0, |sum, w| sum + w);
        if total != 0.0 {
            weights.iter_mut().for_each(|w| *w /= total);
        }
        (first, weights)
    })
}

/// The fraction bits with which torch's weights still fit 16 bits.
fn bits_of_16<'a>(weights: impl Iterator<Item = &'a f64>) -> u32 {
    let largest = weights.fold(0.0f64, |most, w| most.max(*w));
    let fits = |bits: &u32| ((0.5 + largest * f64::from(1u32 << (bits + 1))) as i64) < 1 << 15;
    (0..MOST_BITS).take_while(fits).count() as u32
}

/// Rounds half away from zero.
fn to_fixed_point(weight: f64, bits: u32) -> i32 {
    let scaled = weight * f64::from(1u32 << bits);
    (if weight < 0.0 {
        scaled - 0.5
    } else {
        scaled + 0.5
    }) as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONVOLVING: [Resample; 5] = [
        Resample::Lanczos,
        Resample::Bilinear,
        Resample::Bicubic,
        Resample::Box,
        Resample::Hamming,
    ];

    #[test]
    fn an_unchanged_axis_is_copied() {
        // Pillow and torch skip such a pass; our kernel for it has to be the identity.
        for (backend, filter) in Backend::ALL
            .into_iter()
            .flat_map(|b| CONVOLVING.map(|f| (b, f)))
        {
            let axis = Axis::new(backend, filter, 17, 17);
            for (x, w) in axis.windows.iter().enumerate() {
                for (i, &k) in w.coefficients.iter().enumerate() {
                    let expected = if w.first + i == x { 1 << axis.bits } else { 0 };
                    assert_eq!(k, expected, "{backend} {filter:?}");
                }
            }
        }
    }

    #[test]
    fn windows_lie_inside_and_move_forward() {
        let sizes = [
            (1, 1),
            (1, 32),
            (2, 65),
            (65_535, 3),
            (3, 65_535),
            (640, 32),
            (33, 32),
        ];
        for ((from, to), filter) in sizes.into_iter().flat_map(|s| CONVOLVING.map(|f| (s, f))) {
            let all = Axis::new(Backend::Torchvision, filter, from, to).windows;
            let end = |w: &Window| w.first + w.coefficients.len();
            for w in &all {
                assert!(!w.coefficients.is_empty());
                assert!(end(w) <= from);
                assert!(w.coefficients.iter().all(|k| i16::try_from(*k).is_ok()));
            }
            for pair in all.windows(2) {
                assert!(pair[0].first <= pair[1].first);
                assert!(end(&pair[0]) <= end(&pair[1]));
            }
        }
    }

    #[test]
    fn torchs_precision_follows_the_largest_weight() {
        // Twice as large: weights of 1 have 14 bits. Half the size: of 3/8, 16. Very small: 22 and no more.
        let bits = |from, to| Axis::new(Backend::Torchvision, Resample::Bilinear, from, to).bits;
        assert_eq!((bits(8, 16), bits(16, 8), bits(60_000, 1)), (14, 16, 22));
    }
}
