//! The depthwise convolution of a map, its activation, and rows of bytes out of that.

use crate::arithmetic::activation::activate;
use crate::arithmetic::math::fma;
use crate::jobs::{Depthwise, NonFinite};
use crate::operands::rows::PackedRows;
use crate::set::InstructionSet;

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
    // What the taps add up to, and what the activation makes of that.
    out.values.resize(2 * channels);
    for (row, token) in job.tokens.clone().enumerate() {
        let (bytes, values) = out.row(row);
        let (sums, values) = values.split_at_mut(channels);
        convolve(&job, token, sums);
        // SAFETY: the caller's.
        let quantized = unsafe {
            let range = S::activate_range(job.activation, sums, values);
            S::quantize_skewed(values, range, bytes, layout.offset)
        };
        (out.scales[row], out.zero_points[row]) =
            quantized.map_err(|found| NonFinite { row, found })?;
        // SAFETY: the caller's.
        unsafe { out.store::<S>(row) };
    }
    Ok(())
}

/// The pixels asked for, activated, as f32 rows.
#[inline(always)]
pub(crate) fn f32_rows(job: Depthwise<'_>, out: &mut [f32]) {
    for (token, out) in job
        .tokens
        .clone()
        .zip(out.chunks_exact_mut(job.map.channels))
    {
        convolve(&job, token, out);
        activate(job.activation, out);
    }
}

/// One pixel: the bias, and to it the taps in order, of which those outside the map are skipped.
#[inline(always)]
fn convolve(job: &Depthwise<'_>, token: usize, out: &mut [f32]) {
    let map = job.map;
    let channels = map.channels;
    out.copy_from_slice(job.bias);
    let (y, x) = (token / map.width, token % map.width);
    for (tap, weight) in job.weight.chunks_exact(channels).enumerate() {
        // One more than where the tap is.
        let (y, x) = (y + tap / 3, x + tap % 3);
        if !(1..=map.height).contains(&y) || !(1..=map.width).contains(&x) {
            continue;
        }
        let pixel = &map.values[((y - 1) * map.width + x - 1) * channels..][..channels];
        for ((out, x), w) in out.iter_mut().zip(pixel).zip(weight) {
            *out = fma(*x, *w, *out);
        }
    }
}
