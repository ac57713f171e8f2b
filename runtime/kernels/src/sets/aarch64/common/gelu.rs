//! quick_gelu and gelu, as bytes want them, and the range of what they leave, on NEON: loops of 16 numbers, written out.
//!
//! `fmla` overwrites what it adds to, so that each step of the polynomial wants a fresh copy of its
//! coefficient. Here one load brings four of them, which the vector pipes, the loop's bottleneck, do not
//! notice; the compiler copies registers. `mla` by 2^23 is the shift and the addition that put the integer
//! part into the exponent.
//!
//! ```text
//! v0-v3    u                          v16-v19  z, whose low bits are the integer part
//! v4-v7    u within the limits        v8-v11   f, the fraction, and in turns with
//! v12-v15  the polynomial; in the end the result
//! ```
//!
//! and of gelu
//!
//! ```text
//! v0-v3    u                          v8-v11   its square, and in the end the result
//! v4-v7    u within the limits        v12-v15  and v16-v19, in turns, the polynomial
//! ```

use core::arch::aarch64::{vdupq_n_f32, vdupq_n_s32, vdupq_n_u32, vmaxvq_s32, vmaxvq_u32};
use core::arch::asm;

use crate::arithmetic::activation::{
    COARSE_EXP2, COARSE_GELU_LIMIT, COARSE_LIMIT, COARSE_PHI, QUICK_GELU, coarse_gelu,
    coarse_quick_gelu,
};
use crate::arithmetic::lanes::{LANES, Line, Range, RangeBits};
use crate::arithmetic::math::ROUND;

/// What is added to, in the order of the steps, each as often as a turn needs it.
static ADDENDS: Line<[[f32; LANES]; 4]> = Line([
    [ROUND; LANES],
    [COARSE_EXP2[2]; LANES],
    [COARSE_EXP2[1]; LANES],
    [COARSE_EXP2[0]; LANES],
]);

/// `arithmetic::activation::activate_range` of quick_gelu.
#[inline]
#[target_feature(enable = "neon")]
pub(crate) fn quick_gelu_range(from: &[f32], to: &mut [f32]) -> Range {
    let (from_chunks, from_tail) = from.as_chunks::<LANES>();
    let (to_chunks, to_tail) = to.as_chunks_mut::<LANES>();
    let mut bits = whole_turns(from_chunks, to_chunks);
    for (to, from) in to_tail.iter_mut().zip(from_tail) {
        *to = coarse_quick_gelu(*from);
        bits = bits.with(*to);
    }
    bits.range()
}

/// `arithmetic::activation::activate_range` of gelu.
#[inline]
#[target_feature(enable = "neon")]
pub(crate) fn gelu_range(from: &[f32], to: &mut [f32]) -> Range {
    let (from_chunks, from_tail) = from.as_chunks::<LANES>();
    let (to_chunks, to_tail) = to.as_chunks_mut::<LANES>();
    let mut bits = whole_gelu_turns(from_chunks, to_chunks);
    for (to, from) in to_tail.iter_mut().zip(from_tail) {
        *to = coarse_gelu(*from);
        bits = bits.with(*to);
    }
    bits.range()
}

/// `sum = addend + a * b`: the four registers of the sum, the addends' address, and the factors.
macro_rules! step {
    ($s0:literal $s1:literal $s2:literal $s3:literal, $addends:literal,
     $a0:literal $a1:literal $a2:literal $a3:literal, $b0:literal $b1:literal $b2:literal $b3:literal) => {
        concat!(
            "ld1 {{v", $s0, ".4s-v", $s3, ".4s}}, [{", $addends, "}]\n",
            each!("4s", "fmla", $s0 $a0 $b0, $s1 $a1 $b1, $s2 $a2 $b2, $s3 $a3 $b3),
        )
    };
}

/// 16 numbers.
macro_rules! sixteen {
    () => {
        concat!(
            "ld1 {{v0.4s-v3.4s}}, [{from}], #64\n",
            each!("4s", "fmaxnm", "4" "0" "21", "5" "1" "21", "6" "2" "21", "7" "3" "21"),
            each!("4s", "fminnm", "4" "4" "22", "5" "5" "22", "6" "6" "22", "7" "7" "22"),
            step!("16" "17" "18" "19", "round", "4" "5" "6" "7", "20" "20" "20" "20"),
            each!("4s", "fsub", "8" "23" "16", "9" "23" "17", "10" "23" "18", "11" "23" "19"),
            each!("4s", "fmla", "8" "4" "20", "9" "5" "20", "10" "6" "20", "11" "7" "20"),
            step!("12" "13" "14" "15", "c2", "8" "9" "10" "11", "24" "24" "24" "24"),
            step!("4" "5" "6" "7", "c1", "8" "9" "10" "11", "12" "13" "14" "15"),
            step!("12" "13" "14" "15", "c0", "8" "9" "10" "11", "4" "5" "6" "7"),
            each!("4s", "mla", "12" "16" "25", "13" "17" "25", "14" "18" "25", "15" "19" "25"),
            each!("4s", "fadd", "12" "12" "26", "13" "13" "26", "14" "14" "26", "15" "15" "26"),
            each!("4s", "fdiv", "12" "0" "12", "13" "1" "13", "14" "2" "14", "15" "3" "15"),
            each!("4s", "umax", "27" "27" "12", "27" "27" "13", "27" "27" "14", "27" "27" "15"),
            each!("4s", "smax", "28" "28" "12", "28" "28" "13", "28" "28" "14", "28" "28" "15"),
            "st1 {{v12.4s-v15.4s}}, [{to}], #64\n",
        )
    };
}

/// All turns of a row, and the range of what it wrote. A loop has two: of an odd number it begins at the second.
#[inline]
#[target_feature(enable = "neon")]
fn whole_turns(from: &[[f32; LANES]], to: &mut [[f32; LANES]]) -> RangeBits {
    let turns = from.len().min(to.len());
    let RangeBits { high, low } = RangeBits::EMPTY;
    let (mut high, mut low) = (vdupq_n_s32(high), vdupq_n_u32(low));
    if turns == 0 {
        return RangeBits::EMPTY;
    }
    let addends = ADDENDS.0.each_ref().map(|addends| addends.as_ptr());
    // SAFETY: it reads `turns * 16` numbers of `from` and the addends, and writes as many of `to`.
    unsafe {
        asm!(
            "tbnz {odd}, #0, 3f",
            "2:",
            sixteen!(),
            "3:",
            sixteen!(),
            "subs {loops}, {loops}, #1",
            "b.ne 2b",
            from = inout(reg) from.as_ptr() => _,
            to = inout(reg) to.as_mut_ptr() => _,
            odd = in(reg) turns,
            loops = inout(reg) turns.div_ceil(2) => _,
            round = in(reg) addends[0],
            c2 = in(reg) addends[1],
            c1 = in(reg) addends[2],
            c0 = in(reg) addends[3],
            in("v20") vdupq_n_f32(QUICK_GELU),
            in("v21") vdupq_n_f32(-COARSE_LIMIT),
            in("v22") vdupq_n_f32(COARSE_LIMIT),
            in("v23") vdupq_n_f32(ROUND),
            in("v24") vdupq_n_f32(COARSE_EXP2[3]),
            in("v25") vdupq_n_u32(1 << 23),
            in("v26") vdupq_n_f32(1.0),
            inout("v27") low,
            inout("v28") high,
            out("v0") _, out("v1") _, out("v2") _, out("v3") _,
            out("v4") _, out("v5") _, out("v6") _, out("v7") _,
            out("v8") _, out("v9") _, out("v10") _, out("v11") _,
            out("v12") _, out("v13") _, out("v14") _, out("v15") _,
            out("v16") _, out("v17") _, out("v18") _, out("v19") _,
            options(nostack),
        );
    }
    RangeBits {
        high: vmaxvq_s32(high),
        low: vmaxvq_u32(low),
    }
}

/// What gelu's polynomial adds to, in the order of the steps.
static GELU_ADDENDS: Line<[[f32; LANES]; 8]> = Line([
    [COARSE_PHI[6]; LANES],
    [COARSE_PHI[5]; LANES],
    [COARSE_PHI[4]; LANES],
    [COARSE_PHI[3]; LANES],
    [COARSE_PHI[2]; LANES],
    [COARSE_PHI[1]; LANES],
    [COARSE_PHI[0]; LANES],
    [0.5; LANES],
]);

/// `sum = addend + a * b`, of the addends that follow the last: four registers each.
macro_rules! gelu_step {
    ($s0:literal $s1:literal $s2:literal $s3:literal, $a0:literal $a1:literal $a2:literal $a3:literal,
     $b0:literal $b1:literal $b2:literal $b3:literal) => {
        concat!(
            "ld1 {{v", $s0, ".4s-v", $s3, ".4s}}, [{addends}], #64\n",
            each!("4s", "fmla", $s0 $a0 $b0, $s1 $a1 $b1, $s2 $a2 $b2, $s3 $a3 $b3),
        )
    };
}

/// All turns of a row, and the range of what it wrote.
#[inline]
#[target_feature(enable = "neon")]
fn whole_gelu_turns(from: &[[f32; LANES]], to: &mut [[f32; LANES]]) -> RangeBits {
    let turns = from.len().min(to.len());
    let RangeBits { high, low } = RangeBits::EMPTY;
    let (mut high, mut low) = (vdupq_n_s32(high), vdupq_n_u32(low));
    if turns == 0 {
        return RangeBits::EMPTY;
    }
    // SAFETY: it reads `turns * 16` numbers of `from` and the addends, and writes as many of `to`.
    unsafe {
        asm!(
            "2:",
            "ld1 {{v0.4s-v3.4s}}, [{from}], #64",
            "subs {turns}, {turns}, #1",
            each!("4s", "fmaxnm", "4" "0" "21", "5" "1" "21", "6" "2" "21", "7" "3" "21"),
            each!("4s", "fminnm", "4" "4" "22", "5" "5" "22", "6" "6" "22", "7" "7" "22"),
            each!("4s", "fmul", "8" "4" "4", "9" "5" "5", "10" "6" "6", "11" "7" "7"),
            gelu_step!("12" "13" "14" "15", "8" "9" "10" "11", "20" "20" "20" "20"),
            gelu_step!("16" "17" "18" "19", "8" "9" "10" "11", "12" "13" "14" "15"),
            gelu_step!("12" "13" "14" "15", "8" "9" "10" "11", "16" "17" "18" "19"),
            gelu_step!("16" "17" "18" "19", "8" "9" "10" "11", "12" "13" "14" "15"),
            gelu_step!("12" "13" "14" "15", "8" "9" "10" "11", "16" "17" "18" "19"),
            gelu_step!("16" "17" "18" "19", "8" "9" "10" "11", "12" "13" "14" "15"),
            gelu_step!("12" "13" "14" "15", "8" "9" "10" "11", "16" "17" "18" "19"),
            gelu_step!("16" "17" "18" "19", "4" "5" "6" "7", "12" "13" "14" "15"),
            "sub {addends}, {addends}, #512",
            each!("4s", "fmul", "8" "0" "16", "9" "1" "17", "10" "2" "18", "11" "3" "19"),
            each!("4s", "umax", "23" "23" "8", "24" "24" "9", "23" "23" "10", "24" "24" "11"),
            each!("4s", "smax", "25" "25" "8", "26" "26" "9", "25" "25" "10", "26" "26" "11"),
            "st1 {{v8.4s-v11.4s}}, [{to}], #64",
            "b.ne 2b",
            "umax v23.4s, v23.4s, v24.4s",
            "smax v25.4s, v25.4s, v26.4s",
            from = inout(reg) from.as_ptr() => _,
            to = inout(reg) to.as_mut_ptr() => _,
            turns = inout(reg) turns => _,
            addends = inout(reg) GELU_ADDENDS.0.as_ptr() => _,
            in("v20") vdupq_n_f32(COARSE_PHI[7]),
            in("v21") vdupq_n_f32(-COARSE_GELU_LIMIT),
            in("v22") vdupq_n_f32(COARSE_GELU_LIMIT),
            inout("v23") low,
            inout("v24") low => _,
            inout("v25") high,
            inout("v26") high => _,
            out("v0") _, out("v1") _, out("v2") _, out("v3") _,
            out("v4") _, out("v5") _, out("v6") _, out("v7") _,
            out("v8") _, out("v9") _, out("v10") _, out("v11") _,
            out("v12") _, out("v13") _, out("v14") _, out("v15") _,
            out("v16") _, out("v17") _, out("v18") _, out("v19") _,
            options(nostack),
        );
    }
    RangeBits {
        high: vmaxvq_s32(high),
        low: vmaxvq_u32(low),
    }
}
