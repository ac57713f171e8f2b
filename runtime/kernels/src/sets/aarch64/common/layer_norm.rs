//! LayerNorm on NEON, four rows at a time: what takes long, sums over lanes, divisions and a root, is done for all of them together, a lane
//! each. Sixteen lanes of a row are four vectors.

use core::arch::aarch64::{
    float32x4_t, uint32x4_t, vaddq_f32, vdivq_f32, vdupq_n_f32, vdupq_n_u32, vfmaq_f32, vmaxq_u32,
    vmulq_n_f32, vpaddq_f32, vreinterpretq_f32_f64, vreinterpretq_f64_f32, vsqrtq_f32, vst1q_f32,
    vsubq_f32, vzip1q_f64, vzip2q_f64,
};

use super::quantize::{VECTOR, VECTORS, largest, load, magnitude};
use crate::arithmetic::lanes::LANES;
use crate::arithmetic::layer_norm::Affine;
use crate::arithmetic::math::fma;
use crate::layout::GROUP;

/// See [`InstructionSet::layer_norm`](crate::set::InstructionSet::layer_norm).
#[inline]
#[target_feature(enable = "neon")]
pub(crate) fn layer_norm(
    rows: [&[f32]; GROUP],
    affine: Affine<'_>,
    out: &mut [f32],
) -> [u32; GROUP] {
    let Affine { gain, bias, eps } = affine;
    let width = gain.len();
    let rows = rows.map(|row| row[..width].as_chunks::<LANES>());
    let n = vdupq_n_f32(width as f32);

    let mut sums = [[vdupq_n_f32(0.0); VECTORS]; GROUP];
    for (sums, (chunks, tail)) in sums.iter_mut().zip(rows) {
        for chunk in chunks {
            for (sum, x) in sums.iter_mut().zip(load(chunk)) {
                *sum = vaddq_f32(*sum, x);
            }
        }
        count(sums, tail, |lane, x| lane + x);
    }
    let means = lanes(vdivq_f32(tree_sums(sums), n));

    let mut squares = [[vdupq_n_f32(0.0); VECTORS]; GROUP];
    for ((sums, (chunks, tail)), mean) in squares.iter_mut().zip(rows).zip(means) {
        let minus = vdupq_n_f32(mean);
        for chunk in chunks {
            for (sum, x) in sums.iter_mut().zip(load(chunk)) {
                let d = vsubq_f32(x, minus);
                *sum = vfmaq_f32(*sum, d, d);
            }
        }
        count(sums, tail, |lane, x| fma(x - mean, x - mean, lane));
    }
    let variance = vdivq_f32(tree_sums(squares), n);
    let root = vsqrtq_f32(vaddq_f32(variance, vdupq_n_f32(eps)));
    let inverses = lanes(vdivq_f32(vdupq_n_f32(1.0), root));

    let ((gains, gain_tail), (biases, bias_tail)) = (gain.as_chunks(), bias.as_chunks());
    let mut found = [0; GROUP];
    for (r, out) in out.chunks_exact_mut(width).enumerate().take(GROUP) {
        let ((chunks, tail), mean, inverse) = (rows[r], means[r], inverses[r]);
        let (outs, out_tail) = out.as_chunks_mut::<LANES>();
        let minus = vdupq_n_f32(mean);
        let mut tops: [uint32x4_t; VECTORS] = [vdupq_n_u32(0); VECTORS];
        for (((x, gain), bias), out) in chunks.iter().zip(gains).zip(biases).zip(outs) {
            let (x, gain, bias) = (load(x), load(gain), load(bias));
            for i in 0..VECTORS {
                let d = vmulq_n_f32(vsubq_f32(x[i], minus), inverse);
                let y = vfmaq_f32(bias[i], d, gain[i]);
                tops[i] = vmaxq_u32(tops[i], magnitude(y));
                // SAFETY: four vectors of four.
                unsafe { vst1q_f32(out.as_mut_ptr().add(i * VECTOR), y) };
            }
        }
        found[r] = largest(tops);
        for (((x, gain), bias), out) in tail.iter().zip(gain_tail).zip(bias_tail).zip(out_tail) {
            *out = fma((x - mean) * inverse, *gain, *bias);
            found[r] = found[r].max(out.to_bits() & 0x7fff_ffff);
        }
    }
    found
}

/// Takes the end of a row into its lanes.
#[inline]
#[target_feature(enable = "neon")]
fn count(sums: &mut [float32x4_t; VECTORS], tail: &[f32], add: impl Fn(f32, f32) -> f32) {
    if tail.is_empty() {
        return;
    }
    let mut lanes = [0.0; LANES];
    for (i, sum) in sums.iter().enumerate() {
        // SAFETY: four vectors of four.
        unsafe { vst1q_f32(lanes.as_mut_ptr().add(i * VECTOR), *sum) };
    }
    for (lane, x) in lanes.iter_mut().zip(tail) {
        *lane = add(*lane, *x);
    }
    *sums = load(&lanes);
}

/// The numbers of a vector.
#[inline]
#[target_feature(enable = "neon")]
fn lanes(v: float32x4_t) -> [f32; GROUP] {
    let mut numbers = [0.0; GROUP];
    // SAFETY: a vector is four numbers.
    unsafe { vst1q_f32(numbers.as_mut_ptr(), v) };
    numbers
}

/// [`tree_sum`](crate::arithmetic::lanes::tree_sum) of the lanes of each of four rows.
#[inline]
#[target_feature(enable = "neon")]
fn tree_sums(rows: [[float32x4_t; VECTORS]; GROUP]) -> float32x4_t {
    let [a, b, c, d] = rows.map(|[a, b, c, d]| vaddq_f32(vaddq_f32(a, c), vaddq_f32(b, d)));
    let two = |a, b| {
        let (a, b) = (vreinterpretq_f64_f32(a), vreinterpretq_f64_f32(b));
        vaddq_f32(
            vreinterpretq_f32_f64(vzip1q_f64(a, b)),
            vreinterpretq_f32_f64(vzip2q_f64(a, b)),
        )
    };
    vpaddq_f32(two(a, b), two(c, d))
}
