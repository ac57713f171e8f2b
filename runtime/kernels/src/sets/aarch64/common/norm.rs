//! RMS norm on NEON, 64 numbers a turn, written out.

use core::arch::aarch64::{
    float32x4_t, vdupq_n_f32, vdupq_n_u32, vfmaq_f32, vmaxq_u32, vmulq_f32, vmulq_n_f32, vst1q_f32,
};
use core::arch::asm;

use super::quantize::{TURN, VECTOR, VECTORS, largest, load, magnitude};
use crate::arithmetic::lanes::{LANES, tree_sum};
use crate::arithmetic::math::{fma, sqrt};

/// The sum of squares of a row: `lanes::dot` of it with itself.
#[inline]
#[target_feature(enable = "neon")]
fn sum_of_squares(x: &[f32]) -> f32 {
    let (turns, rest) = x.as_chunks::<TURN>();
    let mut sums = [vdupq_n_f32(0.0); VECTORS];
    if !turns.is_empty() {
        let [a, b, c, d] = &mut sums;
        // SAFETY: it reads `turns` of 64 numbers.
        unsafe {
            asm!(
                "2:",
                "ld1 {{v0.4s-v3.4s}}, [{x}], #64",
                "ld1 {{v4.4s-v7.4s}}, [{x}], #64",
                "subs {turns}, {turns}, #1",
                each!("4s", "fmla", "16" "0" "0", "17" "1" "1", "18" "2" "2", "19" "3" "3"),
                "ld1 {{v0.4s-v3.4s}}, [{x}], #64",
                each!("4s", "fmla", "16" "4" "4", "17" "5" "5", "18" "6" "6", "19" "7" "7"),
                "ld1 {{v4.4s-v7.4s}}, [{x}], #64",
                each!("4s", "fmla", "16" "0" "0", "17" "1" "1", "18" "2" "2", "19" "3" "3"),
                each!("4s", "fmla", "16" "4" "4", "17" "5" "5", "18" "6" "6", "19" "7" "7"),
                "b.ne 2b",
                x = inout(reg) turns.as_ptr() => _,
                turns = inout(reg) turns.len() => _,
                inout("v16") *a, inout("v17") *b, inout("v18") *c, inout("v19") *d,
                out("v0") _, out("v1") _, out("v2") _, out("v3") _,
                out("v4") _, out("v5") _, out("v6") _, out("v7") _,
                options(nostack, readonly),
            );
        }
    }
    let (chunks, tail) = rest.as_chunks::<LANES>();
    for chunk in chunks {
        for (sum, x) in sums.iter_mut().zip(load(chunk)) {
            *sum = vfmaq_f32(*sum, x, x);
        }
    }
    let mut lanes = [0.0; LANES];
    store(sums, &mut lanes);
    for (lane, x) in lanes.iter_mut().zip(tail) {
        *lane = fma(*x, *x, *lane);
    }
    tree_sum(lanes)
}

/// 16 numbers of a turn of the norm: the row's in v0-v3, the gains in v4-v7.
macro_rules! normed {
    () => {
        concat!(
            "ld1 {{v0.4s-v3.4s}}, [{x}], #64\n",
            "ld1 {{v4.4s-v7.4s}}, [{gain}], #64\n",
            with!("fmul", "{inverse:v}", "0" "1" "2" "3"),
            each!("4s", "fmul", "0" "0" "4", "1" "1" "5", "2" "2" "6", "3" "3" "7"),
            "st1 {{v0.4s-v3.4s}}, [{out}], #64\n",
            largest!("0" "1" "2" "3"),
        )
    };
}

/// `arithmetic::rows::norm`, and the bits of the largest magnitude it wrote.
#[inline]
#[target_feature(enable = "neon")]
pub(crate) fn norm(x: &[f32], gain: &[f32], eps: f32, out: &mut [f32]) -> u32 {
    let inverse = 1.0 / sqrt(sum_of_squares(x) / x.len() as f32 + eps);
    let turns = x.len().min(gain.len()).min(out.len()) / TURN;
    let (whole, x) = x.split_at(turns * TURN);
    let (whole_gain, gain) = gain.split_at(turns * TURN);
    let (whole_out, out) = out.split_at_mut(turns * TURN);
    let mut tops = [vdupq_n_u32(0); VECTORS];
    if turns > 0 {
        let [a, b, c, d] = &mut tops;
        // SAFETY: it reads `turns` times 64 numbers of the row and of the gains, and writes as many.
        unsafe {
            asm!(
                "2:",
                normed!(),
                "subs {turns}, {turns}, #1",
                normed!(),
                normed!(),
                normed!(),
                "b.ne 2b",
                x = inout(reg) whole.as_ptr() => _,
                gain = inout(reg) whole_gain.as_ptr() => _,
                out = inout(reg) whole_out.as_mut_ptr() => _,
                turns = inout(reg) turns => _,
                inverse = in(vreg) vdupq_n_f32(inverse),
                inout("v16") *a, inout("v17") *b, inout("v18") *c, inout("v19") *d,
                out("v0") _, out("v1") _, out("v2") _, out("v3") _,
                out("v4") _, out("v5") _, out("v6") _, out("v7") _,
                out("v20") _, out("v21") _, out("v22") _, out("v23") _,
                options(nostack),
            );
        }
    }
    let (chunks, tail) = x.as_chunks::<LANES>();
    let (gains, gain_tail) = gain.as_chunks::<LANES>();
    let (outs, out_tail) = out.as_chunks_mut::<LANES>();
    for ((x, gain), out) in chunks.iter().zip(gains).zip(outs) {
        let (x, gain) = (load(x), load(gain));
        let mut y = [vdupq_n_f32(0.0); VECTORS];
        for i in 0..VECTORS {
            y[i] = vmulq_f32(vmulq_n_f32(x[i], inverse), gain[i]);
            tops[i] = vmaxq_u32(tops[i], magnitude(y[i]));
        }
        store(y, out);
    }
    let mut top = largest(tops);
    for ((x, gain), out) in tail.iter().zip(gain_tail).zip(out_tail) {
        *out = (x * inverse) * gain;
        top = top.max(out.to_bits() & 0x7fff_ffff);
    }
    top
}

#[inline]
#[target_feature(enable = "neon")]
fn store(x: [float32x4_t; VECTORS], to: &mut [f32; LANES]) {
    for (i, x) in x.into_iter().enumerate() {
        // SAFETY: four vectors of four.
        unsafe { vst1q_f32(to.as_mut_ptr().add(i * VECTOR), x) };
    }
}
