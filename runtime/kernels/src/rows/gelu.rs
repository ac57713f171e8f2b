//! quick_gelu and the range of what it leaves, on NEON: a loop of 16 numbers, written out.
//!
//! `fmla` overwrites what it adds to, so that each step of the polynomial wants a fresh copy of its
//! coefficient. Here one load brings four of them, which the vector pipes, the loop's bottleneck, do not
//! notice; the compiler copies registers. `mla` by 2^23 is the shift and the addition that put the integer
//! part into the exponent.

use core::arch::aarch64::{vdupq_n_f32, vdupq_n_s32, vdupq_n_u32, vmaxvq_s32, vmaxvq_u32};
use core::arch::asm;

use crate::portable::activation::{QUICK_GELU, quick_gelu};
use crate::portable::lanes::{LANES, Line, Range, RangeBits};
use crate::portable::math::{EXP2, EXP2_RANGE, ROUND};

/// Addends of the polynomial in the order of its steps, each as often as a turn needs it.
static ADDENDS: Line<[[f32; LANES]; 5]> = Line([
    [EXP2[4]; LANES],
    [EXP2[3]; LANES],
    [EXP2[2]; LANES],
    [EXP2[1]; LANES],
    [EXP2[0]; LANES],
]);

/// `portable::activation::activate_range` of quick_gelu.
#[inline]
#[target_feature(enable = "neon")]
pub(crate) fn quick_gelu_range(from: &[f32], to: &mut [f32]) -> Range {
    let (from_chunks, from_tail) = from.as_chunks::<LANES>();
    let (to_chunks, to_tail) = to.as_chunks_mut::<LANES>();
    let mut bits = whole_turns(from_chunks, to_chunks);
    for (to, from) in to_tail.iter_mut().zip(from_tail) {
        *to = quick_gelu(*from);
        bits = bits.with(*to);
    }
    bits.range()
}

/// One step of the polynomial of a turn, `sum = addend + f * product`: the four registers from `$s0` on, the
/// addends' address, and what f is multiplied by.
macro_rules! step {
    ($s0:literal $s1:literal $s2:literal $s3:literal, $addends:literal, $p0:literal $p1:literal $p2:literal $p3:literal) => {
        concat!(
            "ld1 {{v",
            $s0,
            ".4s-v",
            $s3,
            ".4s}}, [{",
            $addends,
            "}]\n",
            "fmla v",
            $s0,
            ".4s, v4.4s, ",
            $p0,
            ".4s\n",
            "fmla v",
            $s1,
            ".4s, v5.4s, ",
            $p1,
            ".4s\n",
            "fmla v",
            $s2,
            ".4s, v6.4s, ",
            $p2,
            ".4s\n",
            "fmla v",
            $s3,
            ".4s, v7.4s, ",
            $p3,
            ".4s\n",
        )
    };
}

/// An operation on the four registers from `$d0` on, with those from `$a0` on and one operand for all, or
/// those from `$b0` on.
macro_rules! each {
    ($op:literal, $d:tt, $a:tt, $b:literal) => {
        each!($op, $d, $a, [$b $b $b $b])
    };
    ($op:literal, [$d0:literal $d1:literal $d2:literal $d3:literal], [$a0:literal $a1:literal $a2:literal $a3:literal],
     [$b0:literal $b1:literal $b2:literal $b3:literal]) => {
        concat!(
            $op, " ", $d0, ".4s, ", $a0, ".4s, ", $b0, ".4s\n",
            $op, " ", $d1, ".4s, ", $a1, ".4s, ", $b1, ".4s\n",
            $op, " ", $d2, ".4s, ", $a2, ".4s, ", $b2, ".4s\n",
            $op, " ", $d3, ".4s, ", $a3, ".4s, ", $b3, ".4s\n",
        )
    };
}

/// All turns of a row, and the range of what it wrote.
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
            "2:",
            "ld1 {{v0.4s-v3.4s}}, [{from}], #64",
            "subs {turns}, {turns}, #1",
            each!("fmul", ["v4" "v5" "v6" "v7"], ["v0" "v1" "v2" "v3"], "{factor:v}"),
            each!("fmaxnm", ["v4" "v5" "v6" "v7"], ["v4" "v5" "v6" "v7"], "{least:v}"),
            each!("fminnm", ["v4" "v5" "v6" "v7"], ["v4" "v5" "v6" "v7"], "{most:v}"),
            each!("fadd", ["v16" "v17" "v18" "v19"], ["v4" "v5" "v6" "v7"], "{round:v}"),
            each!("fsub", ["v8" "v9" "v10" "v11"], ["v16" "v17" "v18" "v19"], "{round:v}"),
            each!("fsub", ["v4" "v5" "v6" "v7"], ["v4" "v5" "v6" "v7"], ["v8" "v9" "v10" "v11"]),
            step!("12" "13" "14" "15", "c4", "{c5:v}" "{c5:v}" "{c5:v}" "{c5:v}"),
            step!("8" "9" "10" "11", "c3", "v12" "v13" "v14" "v15"),
            step!("12" "13" "14" "15", "c2", "v8" "v9" "v10" "v11"),
            step!("8" "9" "10" "11", "c1", "v12" "v13" "v14" "v15"),
            step!("12" "13" "14" "15", "c0", "v8" "v9" "v10" "v11"),
            each!("mla", ["v12" "v13" "v14" "v15"], ["v16" "v17" "v18" "v19"], "{exponent:v}"),
            each!("fadd", ["v12" "v13" "v14" "v15"], ["v12" "v13" "v14" "v15"], "{one:v}"),
            each!("fdiv", ["v12" "v13" "v14" "v15"], ["v0" "v1" "v2" "v3"], ["v12" "v13" "v14" "v15"]),
            each!("umax", ["{low:v}" "{low:v}" "{low:v}" "{low:v}"], ["{low:v}" "{low:v}" "{low:v}" "{low:v}"],
                ["v12" "v13" "v14" "v15"]),
            each!("smax", ["{high:v}" "{high:v}" "{high:v}" "{high:v}"],
                ["{high:v}" "{high:v}" "{high:v}" "{high:v}"], ["v12" "v13" "v14" "v15"]),
            "st1 {{v12.4s-v15.4s}}, [{to}], #64",
            "b.ne 2b",
            from = inout(reg) from.as_ptr() => _,
            to = inout(reg) to.as_mut_ptr() => _,
            turns = inout(reg) turns => _,
            c4 = in(reg) addends[0],
            c3 = in(reg) addends[1],
            c2 = in(reg) addends[2],
            c1 = in(reg) addends[3],
            c0 = in(reg) addends[4],
            factor = in(vreg) vdupq_n_f32(QUICK_GELU),
            least = in(vreg) vdupq_n_f32(EXP2_RANGE[0]),
            most = in(vreg) vdupq_n_f32(EXP2_RANGE[1]),
            round = in(vreg) vdupq_n_f32(ROUND),
            c5 = in(vreg) vdupq_n_f32(EXP2[5]),
            exponent = in(vreg) vdupq_n_u32(1 << 23),
            one = in(vreg) vdupq_n_f32(1.0),
            low = inout(vreg) low,
            high = inout(vreg) high,
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
