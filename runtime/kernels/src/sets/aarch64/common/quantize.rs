//! Quantisation of rows on NEON, 64 numbers a turn, written out.
//!
//! Adding 1.5 * 2^23 rounds to the nearest even integer, as everywhere, and a look-up of four registers picks the low
//! bytes of 16 of them in one instruction. A magnitude that is too large for a byte belongs to a row that is
//! refused, or to none.

use core::arch::aarch64::{
    float32x4_t, int16x8_t, uint32x4_t, vabsq_f32, vaddq_s16, vaddq_u8, vcombine_s8,
    vcvtnq_s32_f32, vdupq_n_f32, vdupq_n_s16, vdupq_n_u8, vdupq_n_u32, vld1q_f32, vld1q_u8,
    vmaxq_u32, vmaxvq_u32, vmulq_n_f32, vqmovn_s16, vreinterpretq_s8_s16, vreinterpretq_s16_s32,
    vreinterpretq_u8_s8, vreinterpretq_u32_f32, vst1q_s8, vst1q_u8, vuzp1q_s8, vuzp1q_s16,
};
use core::arch::asm;

use crate::arithmetic::lanes::LANES;
use crate::arithmetic::math::ROUND;

/// Numbers of a turn.
pub(crate) const TURN: usize = 64;

/// Numbers in a vector.
pub(super) const VECTOR: usize = 4;

/// Vectors of a turn.
pub(super) const VECTORS: usize = LANES / VECTOR;

/// `arithmetic::lanes::amax_bits`.
#[inline]
#[target_feature(enable = "neon")]
pub(crate) fn amax_bits(x: &[f32]) -> u32 {
    let (turns, rest) = x.as_chunks::<TURN>();
    let mut tops = [vdupq_n_u32(0); VECTORS];
    if !turns.is_empty() {
        let [a, b, c, d] = &mut tops;
        // SAFETY: it reads `turns` of 64 numbers.
        unsafe {
            asm!(
                "2:",
                load_turn!(),
                largest!("0" "1" "2" "3"),
                largest!("4" "5" "6" "7"),
                largest!("8" "9" "10" "11"),
                largest!("12" "13" "14" "15"),
                "b.ne 2b",
                x = inout(reg) turns.as_ptr() => _,
                turns = inout(reg) turns.len() => _,
                inout("v16") *a, inout("v17") *b, inout("v18") *c, inout("v19") *d,
                out("v0") _, out("v1") _, out("v2") _, out("v3") _,
                out("v4") _, out("v5") _, out("v6") _, out("v7") _,
                out("v8") _, out("v9") _, out("v10") _, out("v11") _,
                out("v12") _, out("v13") _, out("v14") _, out("v15") _,
                out("v20") _, out("v21") _, out("v22") _, out("v23") _,
                options(nostack, readonly),
            );
        }
    }
    let (chunks, tail) = rest.as_chunks::<LANES>();
    for chunk in chunks {
        for (top, x) in tops.iter_mut().zip(load(chunk)) {
            *top = vmaxq_u32(*top, magnitude(x));
        }
    }
    tail.iter()
        .fold(largest(tops), |top, x| top.max(x.to_bits() & 0x7fff_ffff))
}

/// Of 16 integers in four registers the low bytes.
static LOW_BYTES: [u8; LANES] = [0, 4, 8, 12, 16, 20, 24, 28, 32, 36, 40, 44, 48, 52, 56, 60];

/// A function that rounds, and `$more` of the text of a turn.
macro_rules! round {
    ($(#[$doc:meta])* $name:ident, $more:expr) => {
        $(#[$doc])*
        #[inline]
        #[target_feature(enable = "neon")]
        pub(crate) fn $name(x: &[f32], inverse: f32, plus: u8, bytes: &mut [u8]) {
            let turns = x.len().min(bytes.len()) / TURN;
            let (whole, x) = x.split_at(turns * TURN);
            let (whole_bytes, bytes) = bytes.split_at_mut(turns * TURN);
            if turns > 0 {
                // SAFETY: it reads `turns` times 64 numbers and writes as many bytes.
                unsafe {
                    asm!(
                        "2:",
                        load_turn!(),
                        turn_bytes!("v16"),
                        $more,
                        "st1 {{v0.16b-v3.16b}}, [{out}], #64",
                        "b.ne 2b",
                        x = inout(reg) whole.as_ptr() => _,
                        out = inout(reg) whole_bytes.as_mut_ptr() => _,
                        turns = inout(reg) turns => _,
                        in("v16") vld1q_u8(LOW_BYTES.as_ptr()),
                        in("v17") vdupq_n_f32(inverse),
                        in("v18") vdupq_n_u8(plus),
                        in("v28") vdupq_n_f32(ROUND),
                        out("v0") _, out("v1") _, out("v2") _, out("v3") _,
                        out("v4") _, out("v5") _, out("v6") _, out("v7") _,
                        out("v8") _, out("v9") _, out("v10") _, out("v11") _,
                        out("v12") _, out("v13") _, out("v14") _, out("v15") _,
                        options(nostack),
                    );
                }
            }
            round_rest(x, inverse, plus, bytes);
        }
    };
}

round!(
    /// `round_ties_even(x * inverse)` as bytes, where that is -127..=127; `plus` is zero.
    round,
    "/* nothing of v18 */"
);
round!(
    /// `round_ties_even(x * inverse) + plus` as bytes, where that is in their range: `plus` modulo 256.
    round_plus,
    each!("16b", "add", "0" "0" "18", "1" "1" "18", "2" "2" "18", "3" "3" "18")
);

/// Both passes over a turn that is a whole row, as a head's are: `round(x * (127 / largest))` of the row as
/// bytes, and the bits of its largest magnitude. If that is tiny or no number, so are the bytes of no meaning.
#[inline]
#[target_feature(enable = "neon")]
pub(crate) fn quantize_turn(x: &[f32; TURN], bytes: &mut [u8; TURN]) -> u32 {
    let largest: f32;
    // SAFETY: it reads 64 numbers and writes 64 bytes.
    unsafe {
        asm!(
            "ld1 {{v0.4s-v3.4s}}, [{x}], #64",
            "ld1 {{v4.4s-v7.4s}}, [{x}], #64",
            "ld1 {{v8.4s-v11.4s}}, [{x}], #64",
            "ld1 {{v12.4s-v15.4s}}, [{x}]",
            each!("4s", "fabs", "16" "0", "17" "1", "18" "2", "19" "3"),
            each!("4s", "fabs", "20" "4", "21" "5", "22" "6", "23" "7"),
            each!("4s", "fabs", "24" "8", "25" "9", "26" "10", "27" "11"),
            each!("4s", "umax", "16" "16" "20", "17" "17" "21", "18" "18" "22", "19" "19" "23"),
            each!("4s", "fabs", "20" "12", "21" "13", "22" "14", "23" "15"),
            each!("4s", "umax", "16" "16" "24", "17" "17" "25", "18" "18" "26", "19" "19" "27"),
            each!("4s", "umax", "16" "16" "20", "17" "17" "21", "18" "18" "22", "19" "19" "23"),
            each!("4s", "umax", "16" "16" "17", "18" "18" "19", "16" "16" "18"),
            "umaxv s18, v16.4s",
            "fdiv s17, {full:s}, s18",
            "dup v17.4s, v17.s[0]",
            turn_bytes!("{low:v}"),
            "st1 {{v0.16b-v3.16b}}, [{bytes}]",
            x = inout(reg) x.as_ptr() => _,
            bytes = in(reg) bytes.as_mut_ptr(),
            full = in(vreg) 127.0f32,
            in("v28") vdupq_n_f32(ROUND),
            low = in(vreg) vld1q_u8(LOW_BYTES.as_ptr()),
            out("v18") largest,
            out("v0") _, out("v1") _, out("v2") _, out("v3") _,
            out("v4") _, out("v5") _, out("v6") _, out("v7") _,
            out("v8") _, out("v9") _, out("v10") _, out("v11") _,
            out("v12") _, out("v13") _, out("v14") _, out("v15") _,
            out("v16") _, out("v17") _, out("v19") _, out("v20") _,
            out("v21") _, out("v22") _, out("v23") _, out("v24") _,
            out("v25") _, out("v26") _, out("v27") _,
            options(nostack, preserves_flags),
        );
    }
    largest.to_bits()
}

/// What is left of [`round_plus`].
#[inline]
#[target_feature(enable = "neon")]
fn round_rest(x: &[f32], inverse: f32, plus: u8, bytes: &mut [u8]) {
    let (chunks, tail) = x.as_chunks::<LANES>();
    let (blocks, bytes_tail) = bytes.as_chunks_mut::<LANES>();
    for (x, bytes) in chunks.iter().zip(&mut *blocks) {
        let [low, high] = words(load(x), inverse);
        let narrow = vuzp1q_s8(vreinterpretq_s8_s16(low), vreinterpretq_s8_s16(high));
        let moved = vaddq_u8(vreinterpretq_u8_s8(narrow), vdupq_n_u8(plus));
        // SAFETY: 16 bytes.
        unsafe { vst1q_u8(bytes.as_mut_ptr(), moved) };
    }
    // The bytes may be padded: the tail's may then be a whole block of theirs.
    let bytes_tail = match blocks.get_mut(chunks.len()) {
        Some(block) => &mut block[..],
        None => bytes_tail,
    };
    for (byte, x) in bytes_tail.iter_mut().zip(tail) {
        *byte = ((x * inverse + ROUND).to_bits() as u8).wrapping_add(plus);
    }
}

/// `clamp(round_ties_even(x * inverse) + zero, 0, 255) - 128` as bytes, where `x * inverse` is at most 2^14
/// in magnitude and `zero` is 0..=255.
#[inline]
#[target_feature(enable = "neon")]
pub(crate) fn round_skewed(x: &[f32], inverse: f32, zero: i32, bytes: &mut [u8]) {
    let (chunks, tail) = x.as_chunks::<LANES>();
    let (blocks, bytes_tail) = bytes.as_chunks_mut::<LANES>();
    let shift = vdupq_n_s16((zero - 128) as i16);
    for (x, bytes) in chunks.iter().zip(&mut *blocks) {
        let [low, high] = words(load(x), inverse).map(|w| vqmovn_s16(vaddq_s16(w, shift)));
        // SAFETY: 16 bytes.
        unsafe { vst1q_s8(bytes.as_mut_ptr().cast(), vcombine_s8(low, high)) };
    }
    let bytes_tail = match blocks.get_mut(chunks.len()) {
        Some(block) => &mut block[..],
        None => bytes_tail,
    };
    for (byte, x) in bytes_tail.iter_mut().zip(tail) {
        let steps = (x * inverse + ROUND).to_bits() as i32 - ROUND.to_bits() as i32;
        *byte = (steps + zero).clamp(0, 255) as u8 ^ 0x80;
    }
}

/// 16 numbers times `inverse`, rounded to 16-bit integers.
#[inline]
#[target_feature(enable = "neon")]
fn words(x: [float32x4_t; VECTORS], inverse: f32) -> [int16x8_t; 2] {
    let [a, b, c, d] = x.map(|x| vreinterpretq_s16_s32(vcvtnq_s32_f32(vmulq_n_f32(x, inverse))));
    [vuzp1q_s16(a, b), vuzp1q_s16(c, d)]
}

#[inline]
#[target_feature(enable = "neon")]
pub(super) fn magnitude(x: float32x4_t) -> uint32x4_t {
    vreinterpretq_u32_f32(vabsq_f32(x))
}

#[inline]
#[target_feature(enable = "neon")]
pub(super) fn largest(tops: [uint32x4_t; VECTORS]) -> u32 {
    let [a, b, c, d] = tops;
    vmaxvq_u32(vmaxq_u32(vmaxq_u32(a, b), vmaxq_u32(c, d)))
}

#[inline]
#[target_feature(enable = "neon")]
pub(super) fn load(x: &[f32; LANES]) -> [float32x4_t; VECTORS] {
    // SAFETY: four vectors of four.
    core::array::from_fn(|i| unsafe { vld1q_f32(x.as_ptr().add(i * VECTOR)) })
}
