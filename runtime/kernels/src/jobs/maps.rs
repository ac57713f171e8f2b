//! Jobs over maps: what a convolution sees of its input.

use core::ops::Range;

use crate::arithmetic::activation::Activation;

/// A map of f32 pixels, channels last.
#[derive(Clone, Copy, Debug)]
pub struct Map<'a> {
    /// `[height, width, channels]`.
    pub values: &'a [f32],
    /// Rows of pixels.
    pub height: usize,
    /// Pixels of a row.
    pub width: usize,
    /// Numbers of a pixel.
    pub channels: usize,
}

impl Map<'_> {
    /// True if there are as many values as its shape has.
    pub(crate) fn is_whole(&self) -> bool {
        self.values.len() == self.height * self.width * self.channels
    }
}

/// Square windows over a map, row by row: each is a row of the matrix that a patch convolution multiplies. Such a row is the window's
/// pixels in (ky, kx, c) order, with zeros for those outside the map.
#[derive(Clone, Copy, Debug)]
pub struct Windows<'a> {
    /// What they are cut out of.
    pub map: Map<'a>,
    /// Pixels of a window's side.
    pub kernel: usize,
    /// From one window to the next.
    pub stride: usize,
    /// Pixels around the map that windows reach.
    pub padding: usize,
}

impl Windows<'_> {
    /// Rows and columns of windows: `floor((n + 2 padding - kernel) / stride) + 1` each, and none where a window does not fit.
    pub fn grid(&self) -> (usize, usize) {
        let along = |n: usize| match (n + 2 * self.padding).checked_sub(self.kernel) {
            Some(room) => room / self.stride + 1,
            None => 0,
        };
        (along(self.map.height), along(self.map.width))
    }

    /// Numbers of a row.
    pub fn width(&self) -> usize {
        self.kernel * self.kernel * self.map.channels
    }

    /// Where window `row` lies.
    #[inline(always)]
    pub(crate) fn place(&self, row: usize) -> Place {
        let (_, columns) = self.grid();
        Place {
            down: Clip::of(row / columns * self.stride, self, self.map.height),
            across: Clip::of(row % columns * self.stride, self, self.map.width),
        }
    }
}

/// A window on its map.
pub(crate) struct Place {
    pub(crate) down: Clip,
    pub(crate) across: Clip,
}

/// A window along one side of the map: `seen` of its pixels from number `skipped` on are pixels `first..` of the map, the others lie outside.
pub(crate) struct Clip {
    pub(crate) skipped: usize,
    pub(crate) first: usize,
    pub(crate) seen: usize,
}

impl Clip {
    /// Of a window that begins `at` pixels from the padding's edge, `n` pixels of the map.
    #[inline(always)]
    fn of(at: usize, windows: &Windows<'_>, n: usize) -> Self {
        let Windows {
            kernel, padding, ..
        } = *windows;
        let skipped = padding.saturating_sub(at).min(kernel);
        let first = at.saturating_sub(padding).min(n);
        Self {
            skipped,
            first,
            seen: (kernel - skipped).min(n - first),
        }
    }
}

/// A depthwise 3x3 convolution, stride 1 and zero padding 1, and the activation of what it gives.
#[derive(Clone, Debug)]
pub struct Depthwise<'a> {
    /// What it is over.
    pub map: Map<'a>,
    /// `[9, channels]`, taps in (ky, kx) order.
    pub weight: &'a [f32],
    /// `[channels]`.
    pub bias: &'a [f32],
    /// What follows.
    pub activation: Activation,
    /// Which pixels to compute, counted row by row.
    pub tokens: Range<usize>,
}

impl Depthwise<'_> {
    /// True if its parts fit each other.
    pub(crate) fn is_whole(&self) -> bool {
        let Map {
            height,
            width,
            channels,
            ..
        } = self.map;
        self.map.is_whole()
            && self.weight.len() == TAPS * channels
            && self.bias.len() == channels
            && self.tokens.start <= self.tokens.end
            && self.tokens.end <= height * width
    }
}

/// Taps of a depthwise convolution.
const TAPS: usize = 9;
