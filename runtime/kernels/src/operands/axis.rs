//! What target pixels of an axis take from the source, when pictures are resized: windows of fixed-point coefficients.

use alloc::vec::Vec;

/// Taps that are multiplied together. Windows are filled up to a multiple of them.
pub(crate) const STEP: usize = 4;

/// Low bits of a coefficient, of which two parts are made that are 16-bit numbers.
pub(crate) const LOW: u32 = 15;

/// The windows of one axis: target pixel `i` is `(1/2 + sum of source[first + t] * coefficient[t]) >> bits`, held to 0..=255.
#[allow(dead_code, reason = "read by instruction sets of one architecture")]
#[derive(Clone, Debug)]
pub struct ResampleAxis {
    bits: u32,
    /// Steps of the longest window.
    steps: usize,
    /// First source pixel of each window.
    pub(crate) first: Vec<usize>,
    /// How many pixels each takes.
    taps: Vec<usize>,
    /// Source pixels of the longest window.
    longest: usize,
    /// One past the last source pixel of any window.
    end: usize,
    /// `[target][steps * STEP]`, zeros after a window's own.
    coefficients: Vec<i32>,
    /// The same as pairs of taps, low parts and then high ones: `[target][steps][2][low, high][2]`. A coefficient is `high << LOW | low`.
    pub(crate) pairs: Vec<i16>,
}

impl ResampleAxis {
    /// Of windows given by their first source pixel and their coefficients with `bits` fraction bits.
    ///
    /// # Panics
    /// If there are no fraction bits, or more than a sum has, a coefficient of 2^30 or more, or a window that
    /// begins before the one before it.
    pub fn new<'a>(bits: u32, windows: impl Iterator<Item = (usize, &'a [i32])> + Clone) -> Self {
        assert!((1..31).contains(&bits), "fraction bits of 32-bit sums");
        let longest = windows.clone().map(|(_, window)| window.len()).max();
        let longest = longest.unwrap_or(0);
        let end = windows
            .clone()
            .map(|(first, window)| first + window.len())
            .max();
        let steps = longest.div_ceil(STEP);
        let (mut first, mut taps) = (Vec::new(), Vec::new());
        let (mut coefficients, mut pairs) = (Vec::new(), Vec::new());
        for (at, window) in windows {
            first.push(at);
            taps.push(window.len());
            assert!(
                window.iter().all(|k| k.unsigned_abs() < 1 << 30),
                "coefficients whose high parts are 16-bit numbers"
            );
            let begin = coefficients.len();
            coefficients.extend_from_slice(window);
            coefficients.resize(begin + steps * STEP, 0);
            for pair in coefficients[begin..].as_chunks::<2>().0 {
                pairs.extend(pair.map(|k| (k & ((1 << LOW) - 1)) as i16));
                pairs.extend(pair.map(|k| (k >> LOW) as i16));
            }
        }
        assert!(first.is_sorted(), "windows that only move on");
        Self {
            bits,
            steps,
            first,
            taps,
            longest,
            end: end.unwrap_or(0),
            coefficients,
            pairs,
        }
    }

    /// Number of target pixels.
    pub fn len(&self) -> usize {
        self.first.len()
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.first.is_empty()
    }

    /// Source pixels of the longest window.
    pub fn longest(&self) -> usize {
        self.longest
    }

    /// The source pixels of target pixel `i`.
    pub fn window(&self, i: usize) -> core::ops::Range<usize> {
        self.first[i]..self.first[i] + self.taps[i]
    }

    /// One past the last source pixel of any window.
    pub(crate) fn end(&self) -> usize {
        self.end
    }

    #[inline(always)]
    pub(crate) fn bits(&self) -> u32 {
        self.bits
    }

    #[allow(dead_code, reason = "read by instruction sets of one architecture")]
    #[inline(always)]
    pub(crate) fn steps(&self) -> usize {
        self.steps
    }

    /// The coefficients of target pixel `i`.
    #[inline(always)]
    pub(crate) fn coefficients(&self, i: usize) -> &[i32] {
        &self.coefficients[i * self.steps * STEP..][..self.taps[i]]
    }
}
