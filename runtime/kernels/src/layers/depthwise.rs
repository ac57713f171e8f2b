//! The depthwise convolution of a map, its activation, and rows of bytes out of that.
//!
//! Vectors run along the channels. Pixels side by side are computed together, because a tap's weights and two of three pixels under it serve
//! the neighbour too: loads are what limits this, not products.

use core::ops::Range;

use super::four;
use crate::arithmetic::activation::activate;
use crate::arithmetic::lanes::{self, LANES};
use crate::arithmetic::math::fma;
use crate::jobs::{Depthwise, Map, NonFinite};
use crate::layout::GROUP;
use crate::operands::rows::PackedRows;
use crate::set::{InstructionSet, Taps};

/// Pixels that are computed together; a multiple of how many rows are packed together.
const TOGETHER: usize = 4;

/// Taps of a row.
const SIDE: usize = 3;

/// The pixels asked for, activated and quantised as rows that may be one-sided.
///
/// # Safety
/// This machine must have the instruction set.
#[inline(always)]
pub(crate) unsafe fn prepare<S: InstructionSet>(
    job: Depthwise<'_>,
    out: &mut PackedRows,
) -> Result<(), NonFinite> {
    let layout = S::LAYOUT;
    let channels = job.map.channels;
    out.reshape(layout, job.tokens.len(), channels);
    if S::FOUR && job.map.width >= GROUP {
        // SAFETY: the caller's.
        return unsafe { prepare_fours::<S>(&job, out) };
    }
    // What the taps of some pixels add up to, and what the activation makes of one of them.
    out.values.resize((TOGETHER + 1) * channels);
    let mut row = 0;
    for run in runs(&job) {
        convolve(&job, run.clone(), &mut out.values[..TOGETHER * channels]);
        for i in 0..run.len() {
            let (bytes, values) = out.row(row);
            let (sums, values) = values.split_at_mut(TOGETHER * channels);
            // SAFETY: the caller's.
            let quantized = unsafe {
                let sums = &sums[i * channels..][..channels];
                let range = S::activate_range(job.activation, sums, values);
                S::quantize_skewed(values, range, bytes, layout.offset)
            };
            (out.scales[row], out.zero_points[row]) =
                quantized.map_err(|found| NonFinite { row, found })?;
            // SAFETY: the caller's.
            unsafe { out.store::<S>(row) };
            row += 1;
        }
    }
    Ok(())
}

/// Rows of values in [`prepare_fours`]: up to three that are computed again, up to three that wait, and four.
const ROOM: usize = 3 * GROUP - 2;

/// [`prepare`] where four pixels are convolved and four rows quantised together. A run at the end of a row of the map has four too: it begins
/// further to the left, and its first pixels are those that are there already, or nobody asked for.
///
/// # Safety
/// As there; the map is four pixels wide at least.
#[inline(always)]
unsafe fn prepare_fours<S: InstructionSet>(
    job: &Depthwise<'_>,
    out: &mut PackedRows,
) -> Result<(), NonFinite> {
    let Map {
        width, channels, ..
    } = job.map;
    // The first row that waits; before it lie those that are computed again.
    const FIRST: usize = GROUP - 1;
    let mut values = core::mem::take(&mut out.values);
    values.resize(ROOM * channels);
    let mut ranges = [lanes::Range::ZERO; ROOM];
    let (mut stored, mut waiting) = (0, 0);
    let mut next = job.tokens.start;
    let mut done = Ok(());
    while done.is_ok() && next < job.tokens.end {
        let x = next % width;
        let begin = x.min(width - GROUP);
        let at = FIRST + waiting - (x - begin);
        let four = &mut values[at * channels..][..GROUP * channels];
        // SAFETY: the caller's.
        let found =
            unsafe { S::convolve_four(&taps(job, next / width, begin), job.activation, four) };
        ranges[at..at + GROUP].copy_from_slice(&found);
        let fresh = (begin + GROUP - x).min(job.tokens.end - next);
        (next, waiting) = (next + fresh, waiting + fresh);
        if waiting >= GROUP {
            let (rows, ranges_of) = (&values[FIRST * channels..], &ranges[FIRST..]);
            // SAFETY: the caller's.
            done = unsafe { quantize_some::<S>(rows, ranges_of, stored..stored + GROUP, out) };
            (stored, waiting) = (stored + GROUP, waiting - GROUP);
            let rest = FIRST + GROUP..FIRST + GROUP + waiting;
            values.copy_within(rest.start * channels..rest.end * channels, FIRST * channels);
            ranges.copy_within(rest, FIRST);
        }
    }
    if done.is_ok() {
        let (rows, ranges) = (&values[FIRST * channels..], &ranges[FIRST..]);
        // SAFETY: the caller's.
        done = unsafe { quantize_some::<S>(rows, ranges, stored..stored + waiting, out) };
    }
    out.values = values;
    done
}

/// Quantises rows `rows` of `out`, up to four, of which the first has the first of `values` and of `ranges`.
///
/// # Safety
/// As [`prepare_fours`].
#[inline(always)]
unsafe fn quantize_some<S: InstructionSet>(
    values: &[f32],
    ranges: &[lanes::Range],
    rows: Range<usize>,
    out: &mut PackedRows,
) -> Result<(), NonFinite> {
    let k = out.k();
    let of = |i: usize| &values[i * k..][..k];
    if rows.len() == GROUP {
        let ranges = core::array::from_fn(|i| ranges[i]);
        let four = core::array::from_fn(of);
        // SAFETY: the caller's.
        if unsafe { four::quantize_skewed::<S>(four, ranges, rows.start, out) } {
            return Ok(());
        }
    }
    for (i, row) in rows.enumerate() {
        let (bytes, _) = out.row(row);
        // SAFETY: the caller's.
        let quantized = unsafe { S::quantize_skewed(of(i), ranges[i], bytes, S::LAYOUT.offset) };
        (out.scales[row], out.zero_points[row]) =
            quantized.map_err(|found| NonFinite { row, found })?;
        // SAFETY: the caller's.
        unsafe { out.store::<S>(row) };
    }
    Ok(())
}

/// What four pixels of row `y`, from column `x` on, are the sums of.
#[inline(always)]
fn taps<'a>(job: &Depthwise<'a>, y: usize, x: usize) -> Taps<'a> {
    let map = job.map;
    let rows = y.saturating_sub(1)..map.height.min(y + 2);
    let pixel = rows.start * map.width + x.saturating_sub(1);
    Taps {
        values: &map.values[pixel * map.channels..],
        line: map.width * map.channels,
        channels: map.channels,
        rows: rows.len(),
        ends: [x == 0, x + GROUP == map.width],
        weight: &job.weight[(rows.start + 1 - y) * SIDE * map.channels..],
        bias: job.bias,
    }
}

/// The pixels asked for, activated, as f32 rows.
#[inline(always)]
pub(crate) fn f32_rows(job: Depthwise<'_>, out: &mut [f32]) {
    let channels = job.map.channels;
    let mut rest = out;
    for run in runs(&job) {
        let (out, after) = rest.split_at_mut(run.len() * channels);
        convolve(&job, run, out);
        activate(job.activation, out);
        rest = after;
    }
}

/// The pixels asked for, in runs that are computed together: of one row of the map each, alone at its ends.
#[inline(always)]
fn runs(job: &Depthwise<'_>) -> impl Iterator<Item = Range<usize>> {
    let (width, mut next, end) = (job.map.width, job.tokens.start, job.tokens.end);
    core::iter::from_fn(move || {
        let start = next;
        if start >= end {
            return None;
        }
        // Pixels from here to the last but one of the row.
        let inner = (width - 1).saturating_sub(start % width);
        let together = start % width > 0 && inner >= TOGETHER && end - start >= TOGETHER;
        next += if together { TOGETHER } else { 1 };
        Some(start..next)
    })
}

/// A run of pixels: the bias, and to it the taps in order, of which those outside the map are skipped.
#[inline(always)]
fn convolve(job: &Depthwise<'_>, run: Range<usize>, out: &mut [f32]) {
    let map = job.map;
    let (y, x) = (run.start / map.width, run.start % map.width);
    let down = y.saturating_sub(1)..map.height.min(y + 2);
    let across = x.saturating_sub(1)..map.width.min(x + run.len() + 1);
    let pixels = Pixels {
        values: &map.values[(down.start * map.width + across.start) * map.channels..],
        line: map.width * map.channels,
        channels: map.channels,
        weight: &job.weight[(down.start + 1 - y) * SIDE * map.channels..],
        bias: job.bias,
    };
    let (rows, skipped) = (down.len(), across.start + 1 - x);
    match run.len() {
        TOGETHER => pixels.sum::<TOGETHER>(rows, 0..SIDE, out),
        _ => pixels.sum::<1>(rows, skipped..skipped + across.len(), out),
    }
}

/// What a run of pixels is the sum of: the first pixel and the first tap that are on the map.
struct Pixels<'a> {
    values: &'a [f32],
    /// From a row of the map to the next.
    line: usize,
    channels: usize,
    weight: &'a [f32],
    bias: &'a [f32],
}

impl Pixels<'_> {
    /// `N` pixels side by side, of `rows` rows of taps and of the columns `taps` of each.
    #[inline(always)]
    fn sum<const N: usize>(&self, rows: usize, taps: Range<usize>, out: &mut [f32]) {
        let channels = self.channels;
        let last = (N + taps.len() - 1) * channels;
        assert!(self.values.len() >= (rows - 1) * self.line + last);
        assert!(self.weight.len() >= ((rows - 1) * SIDE + taps.end) * channels);
        assert!(self.bias.len() >= channels && out.len() >= N * channels);
        let chunks = channels / LANES;
        for c in (0..chunks).map(|chunk| chunk * LANES) {
            // SAFETY: of `channels` numbers from the places checked above, 16 from `c` on, which is a whole chunk of them.
            unsafe {
                let mut sums = [lanes(self.bias, c); N];
                for ky in 0..rows {
                    for (i, kx) in taps.clone().enumerate() {
                        let weight = lanes(self.weight, (ky * SIDE + kx) * channels + c);
                        for (n, sums) in sums.iter_mut().enumerate() {
                            let pixel = lanes(self.values, ky * self.line + (n + i) * channels + c);
                            for l in 0..LANES {
                                sums[l] = fma(pixel[l], weight[l], sums[l]);
                            }
                        }
                    }
                }
                for (n, sums) in sums.iter().enumerate() {
                    out[n * channels + c..][..LANES].copy_from_slice(sums);
                }
            }
        }
        for c in chunks * LANES..channels {
            for n in 0..N {
                let mut sum = self.bias[c];
                for ky in 0..rows {
                    for (i, kx) in taps.clone().enumerate() {
                        let weight = self.weight[(ky * SIDE + kx) * channels + c];
                        let pixel = self.values[ky * self.line + (n + i) * channels + c];
                        sum = fma(pixel, weight, sum);
                    }
                }
                out[n * channels + c] = sum;
            }
        }
    }
}

/// 16 numbers from `at` on.
///
/// # Safety
/// They must be there.
#[inline(always)]
unsafe fn lanes(x: &[f32], at: usize) -> [f32; LANES] {
    debug_assert!(at + LANES <= x.len());
    // SAFETY: the caller's; an array of numbers is aligned as one of them.
    unsafe { *x.as_ptr().add(at).cast() }
}
