//! Resizing pictures of bytes: one row through the windows of its columns, and rows through those of the target's rows.
//!
//! All in 32-bit integers, which wrap: of a kernel's sums only the last has to fit.

use crate::jobs::RowRing;
use crate::operands::axis::ResampleAxis;
use crate::set::InstructionSet;

/// Channels of a pixel.
const CHANNELS: usize = 3;

/// Channels of a pixel, and one.
const LANES: usize = 4;

/// Bytes of a row that are summed together.
const TOGETHER: usize = 32;

/// A row of RGB8 through windows of its pixels.
///
/// # Safety
/// This machine must have the instruction set.
#[inline(always)]
pub(crate) unsafe fn row<S: InstructionSet>(axis: &ResampleAxis, source: &[u8], out: &mut [u8]) {
    // SAFETY: the caller's.
    let done = unsafe { S::resample_row(axis, source, out) };
    let pixels = out.as_chunks_mut::<CHANNELS>().0.iter_mut();
    for (i, pixel) in pixels.enumerate().skip(done) {
        let window = &source[axis.window(i).start * CHANNELS..];
        let coefficients = axis.coefficients(i);
        let [red, green, blue, _] = match window.get(..coefficients.len() * CHANNELS + 1) {
            Some(window) => sums(coefficients, window, axis.bits()),
            // Nothing follows the last pixel of the row.
            None => {
                let mut sums = sums(
                    coefficients
                        .split_last()
                        .map_or(&[], |(_, but_last)| but_last),
                    window,
                    axis.bits(),
                );
                if let (Some(k), Some(last)) =
                    (coefficients.last(), window.last_chunk::<CHANNELS>())
                {
                    for (sum, from) in sums.iter_mut().zip(last) {
                        *sum = sum.wrapping_add(i32::from(*from).wrapping_mul(*k));
                    }
                }
                sums
            }
        };
        let byte = |sum| byte(sum, axis.bits());
        *pixel = [byte(red), byte(green), byte(blue)];
    }
}

/// The sums of three channels, and of a fourth that is none: that many lanes are a vector. One byte more is read than the pixels have.
#[inline(always)]
fn sums(coefficients: &[i32], window: &[u8], bits: u32) -> [i32; LANES] {
    let mut sums = [half(bits); LANES];
    for (t, k) in coefficients.iter().enumerate() {
        let from: &[u8; LANES] = window[t * CHANNELS..]
            .first_chunk()
            .expect("a pixel and a byte");
        for (sum, from) in sums.iter_mut().zip(from) {
            *sum = sum.wrapping_add(i32::from(*from).wrapping_mul(*k));
        }
    }
    sums
}

/// Target row `target` of source rows.
#[inline(always)]
pub(crate) fn blend(axis: &ResampleAxis, target: usize, rows: RowRing<'_>, out: &mut [u8]) {
    let width = out.len();
    let mut at = 0;
    while at < width {
        match out[at..].first_chunk_mut::<TOGETHER>() {
            Some(out) => blend_some(axis, target, &rows, at, out.as_mut_slice()),
            // The last bytes once more with some before them, rather than one by one.
            None if width >= TOGETHER => {
                at = width - TOGETHER;
                continue;
            }
            None => blend_some(axis, target, &rows, at, &mut out[at..]),
        }
        at += TOGETHER;
    }
}

/// Up to [`TOGETHER`] bytes of target row `target`, from byte `at` on.
#[inline(always)]
fn blend_some(axis: &ResampleAxis, target: usize, rows: &RowRing<'_>, at: usize, out: &mut [u8]) {
    let bits = axis.bits();
    let mut sums = [half(bits); TOGETHER];
    let mut place = axis.first[target] % rows.places;
    for k in axis.coefficients(target) {
        let row = &rows.values[place * rows.width + at..][..out.len()];
        for (sum, from) in sums.iter_mut().zip(row) {
            *sum = sum.wrapping_add(i32::from(*from).wrapping_mul(*k));
        }
        place = if place + 1 == rows.places {
            0
        } else {
            place + 1
        };
    }
    for (out, sum) in out.iter_mut().zip(sums) {
        *out = byte(sum, bits);
    }
}

/// One half in fixed point: what every sum starts from, so that the shift rounds.
#[inline(always)]
fn half(bits: u32) -> i32 {
    1 << (bits - 1)
}

/// The pixel of a sum.
#[inline(always)]
fn byte(sum: i32, bits: u32) -> u8 {
    (sum >> bits).clamp(0, 255) as u8
}
