//! The softmax on NEON, a row at a time, all 64 keys of it in registers. Nothing in it is newer than ARMv8.0.
//!
//! `fcvtnu` and `uqxtn` saturate by themselves, `sqrdmulh` is [`mul_high`](super::mul_high), and `ushl` by a
//! negative number is a shift to the right. It is written out because it needs every register there is, and a
//! compiler that finds none free spills vectors by the dozen:
//!
//! ```text
//! v0-v15    scores; then in the even ones z, y, w and u of eight keys, in the odd ones their e
//! v16-v23   scales on their way, and what is reduced to one number
//! v24-v27   C       v28 2^10       v29 sum of p       v30, v31 s and b
//! ```
//!
//! A key that a row does not see gets a score of minus infinity, for which z saturates and p is 0, and a
//! shift that makes e the largest there is.

use core::arch::aarch64::{uint8x16x4_t, vdupq_n_u8, veorq_u8};
use core::arch::asm;

use super::{C, FRACTION, FULL, Found, Keys, Rows};
use crate::dot::Layout;
use crate::kv::KV_TILE;
use crate::portable::lanes::Line;

// The offsets at which the code below writes.
const _: () = assert!(
    core::mem::offset_of!(Found, sum) == 64
        && core::mem::offset_of!(Found, e) == 128
        && core::mem::offset_of!(Found, inverse) == 192
);

/// What every row needs: C, eight of each, and FULL.
#[repr(C, align(64))]
struct Constants {
    c: [[i16; 8]; 4],
    full: f32,
}

static CONSTANTS: Constants = Constants {
    c: [[C[0]; 8], [C[1]; 8], [C[2]; 8], [C[3]; 8]],
    full: FULL,
};

/// The largest n, which a key that is not seen has.
const N_MAX: i16 = (u16::MAX >> FRACTION) as i16;

/// `[KV_TILE - valid..]` is the most that the scores of a row may be.
static MOST: Line<[f32; 2 * KV_TILE]> = Line(halves(f32::INFINITY, f32::NEG_INFINITY));

/// `[KV_TILE - valid..]` is the least that the shifts of values may be.
static LEAST: Line<[i16; 2 * KV_TILE]> = Line(halves_i16(i16::MIN, i16::MAX - N_MAX));

const fn halves(seen: f32, unseen: f32) -> [f32; 2 * KV_TILE] {
    let mut all = [seen; 2 * KV_TILE];
    let mut i = KV_TILE;
    while i < all.len() {
        all[i] = unseen;
        i += 1;
    }
    all
}

const fn halves_i16(seen: i16, unseen: i16) -> [i16; 2 * KV_TILE] {
    let mut all = [seen; 2 * KV_TILE];
    let mut i = KV_TILE;
    while i < all.len() {
        all[i] = unseen;
        i += 1;
    }
    all
}

/// See [`Softmax`](super::Softmax); of panels of `MR` rows, `KR` keys a group.
///
/// # Safety
/// As [`Softmax`](super::Softmax).
#[inline]
#[allow(clippy::too_many_arguments, reason = "the signature of every softmax")]
#[target_feature(enable = "neon")]
pub(crate) unsafe fn softmax<const MR: usize, const KR: usize>(
    layout: Layout,
    rows: usize,
    whole: bool,
    scores: &[[i32; KV_TILE]],
    keys: Keys<'_>,
    told: &Rows,
    found: &mut Found,
    p: &mut [u8],
) {
    assert!(layout.mr == MR && layout.kr == KR);
    assert!(rows <= MR && p.len() >= MR * KV_TILE);
    for (row, scores) in scores[..rows].iter().enumerate() {
        let valid = told.valid[row];
        // SAFETY: every argument is as long as its type says, and at most KV_TILE keys are seen.
        let mut u = unsafe {
            if whole || valid >= KV_TILE {
                weigh_whole(scores, keys, &told.c[row], 0, found, row)
            } else {
                weigh_masked(scores, keys, &told.c[row], KV_TILE - valid, found, row)
            }
        };
        if layout.offset == 0 {
            let flip = vdupq_n_u8(0x80);
            u = uint8x16x4_t(
                veorq_u8(u.0, flip),
                veorq_u8(u.1, flip),
                veorq_u8(u.2, flip),
                veorq_u8(u.3, flip),
            );
        }
        // SAFETY: of the panel's groups of `MR * KR` bytes this row's are `row * KR` from the start.
        unsafe { put::<KR>(u, p.as_mut_ptr().add(row * KR), MR * KR) };
    }
}

/// Stores each lane of the four vectors `a` to `d`, and moves on to the next group.
macro_rules! lanes {
    ($of:literal, $($lane:literal)+) => {
        concat!(
            lanes!(@ "a", $of, $($lane)+), lanes!(@ "b", $of, $($lane)+),
            lanes!(@ "c", $of, $($lane)+), lanes!(@ "d", $of, $($lane)+),
        )
    };
    (@ $v:literal, $of:literal, $($lane:literal)+) => {
        concat!($("st1 {{{", $v, ":v}.", $of, "}}[", $lane, "], [{to}], {step}\n"),+)
    };
}

/// The bytes of a row, `KR` of them to `to` and to every `step` bytes from there on.
///
/// # Safety
/// There must be room for all of them.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn put<const KR: usize>(bytes: uint8x16x4_t, to: *mut u8, step: usize) {
    macro_rules! store {
        ($($text:expr),+) => {
            asm!(
                $($text,)+
                a = in(vreg) bytes.0,
                b = in(vreg) bytes.1,
                c = in(vreg) bytes.2,
                d = in(vreg) bytes.3,
                to = inout(reg) to => _,
                step = in(reg) step,
                options(nostack, preserves_flags),
            )
        };
    }
    // SAFETY: 64 bytes, as the caller vouches.
    unsafe {
        match KR {
            4 => store!(lanes!("s", 0 1 2 3)),
            8 => store!(lanes!("d", 0 1)),
            16 => store!(
                "st1 {{{a:v}.16b}}, [{to}], {step}",
                "st1 {{{b:v}.16b}}, [{to}], {step}",
                "st1 {{{c:v}.16b}}, [{to}], {step}",
                "st1 {{{d:v}.16b}}, [{to}], {step}"
            ),
            _ => unreachable!("no layout has kr = {KR}"),
        }
    }
}

/// A function that weighs all keys, or a row's first `KV_TILE - unseen`.
macro_rules! weigh {
    ($name:ident, $masked:tt) => {
        /// u of row `row`, and what is found of it.
        ///
        /// # Safety
        /// `unseen` must be at most `KV_TILE`.
        #[inline]
        #[allow(clippy::too_many_arguments, reason = "of a softmax's row")]
        #[target_feature(enable = "neon")]
        unsafe fn $name(
            scores: &[i32; KV_TILE],
            keys: Keys<'_>,
            c: &f32,
            unseen: usize,
            found: &mut Found,
            row: usize,
        ) -> uint8x16x4_t {
            assert!(row < found.top.len());
            let (u0, u1, u2, u3);
            // SAFETY: it reads 64 scores and scales, 64 of 128 numbers of each mask, and the constants; it
            // writes one number to each of the four arrays of `found`, which lie 64 bytes apart.
            unsafe {
                asm!(
                    scores!($masked, "0" "1" "2" "3", "16" "17" "18" "19"),
                    scores!($masked, "4" "5" "6" "7", "20" "21" "22" "23"),
                    scores!($masked, "8" "9" "10" "11", "16" "17" "18" "19"),
                    scores!($masked, "12" "13" "14" "15", "20" "21" "22" "23"),
                    each!("4s", "fmax", "16" "0" "1", "17" "2" "3", "18" "4" "5", "19" "6" "7"),
                    each!("4s", "fmax", "20" "8" "9", "21" "10" "11", "22" "12" "13", "23" "14" "15"),
                    each!("4s", "fmax", "16" "16" "17", "18" "18" "19", "20" "20" "21", "22" "22" "23"),
                    each!("4s", "fmax", "16" "16" "18", "20" "20" "22", "16" "16" "20"),
                    "fmaxv s16, v16.4s",
                    "ld1r {{v17.4s}}, [{c}]",
                    "str s16, [{found}]",
                    "dup v16.4s, v16.s[0]",
                    below!("0" "1"), below!("2" "3"), below!("4" "5"), below!("6" "7"),
                    below!("8" "9"), below!("10" "11"), below!("12" "13"), below!("14" "15"),
                    "ld1 {{v24.8h-v27.8h}}, [{constants}]",
                    "movi v28.8h, #4, lsl #8",
                    "movi v29.4s, #0",
                    values!($masked),
                    weight!("0" "1", "16" "20"), weight!("2" "3", "17" "21"),
                    weight!("4" "5", "18" "22"), weight!("6" "7", "19" "23"),
                    values!($masked),
                    weight!("8" "9", "16" "20"), weight!("10" "11", "17" "21"),
                    weight!("12" "13", "18" "22"), weight!("14" "15", "19" "23"),
                    each!("8h", "smin", "16" "1" "3", "17" "5" "7", "18" "9" "11", "19" "13" "15"),
                    each!("8h", "smin", "16" "16" "17", "18" "18" "19", "16" "16" "18"),
                    "sminv h16, v16.8h",
                    "addv s29, v29.4s",
                    "dup v17.8h, v16.h[0]",
                    "sshll v16.4s, v16.4h, #0",
                    "str s29, [{found}, #64]",
                    "str s16, [{found}, #128]",
                    "mvni v18.8h, #15",
                    shifted!("0" "1"), shifted!("2" "3"), shifted!("4" "5"), shifted!("6" "7"),
                    shifted!("8" "9"), shifted!("10" "11"), shifted!("12" "13"), shifted!("14" "15"),
                    each!("8h", "smax", "16" "0" "2", "17" "4" "6", "18" "8" "10", "19" "12" "14"),
                    each!("8h", "smax", "16" "16" "17", "18" "18" "19", "16" "16" "18"),
                    // As a 32-bit number: the rest of the register is zero. Of a peak of 0 the quotient
                    // saturates and is masked.
                    "smaxv h16, v16.8h",
                    "ldr s17, [{constants}, #64]",
                    "scvtf s18, s16",
                    "fdiv s18, s17, s18",
                    "fcvtzs s18, s18",
                    "cmgt v16.2s, v16.2s, #0",
                    "and v18.8b, v18.8b, v16.8b",
                    "str s18, [{found}, #192]",
                    "dup v18.8h, v18.h[0]",
                    each!("8h", "sqrdmulh", "0" "0" "18", "2" "2" "18", "4" "4" "18", "6" "6" "18"),
                    each!("8h", "sqrdmulh", "8" "8" "18", "10" "10" "18", "12" "12" "18", "14" "14" "18"),
                    each!("16b", "uzp1", "0" "0" "2", "1" "4" "6", "2" "8" "10", "3" "12" "14"),
                    "/* {most} {least} */",
                    scores = inout(reg) scores.as_ptr() => _,
                    k_scale = inout(reg) keys.k_scale.as_ptr() => _,
                    mantissa = inout(reg) keys.v_mantissa.as_ptr() => _,
                    shift = inout(reg) keys.v_shift.as_ptr() => _,
                    most = inout(reg) MOST.0.as_ptr().add(unseen) => _,
                    least = inout(reg) LEAST.0.as_ptr().add(unseen) => _,
                    constants = in(reg) &CONSTANTS,
                    c = in(reg) c,
                    found = in(reg) core::ptr::from_mut(found).cast::<f32>().add(row),
                    out("v0") u0, out("v1") u1, out("v2") u2, out("v3") u3,
                    out("v4") _, out("v5") _, out("v6") _, out("v7") _,
                    out("v8") _, out("v9") _, out("v10") _, out("v11") _,
                    out("v12") _, out("v13") _, out("v14") _, out("v15") _,
                    out("v16") _, out("v17") _, out("v18") _, out("v19") _,
                    out("v20") _, out("v21") _, out("v22") _, out("v23") _,
                    out("v24") _, out("v25") _, out("v26") _, out("v27") _,
                    out("v28") _, out("v29") _, out("v30") _, out("v31") _,
                    options(nostack),
                );
            }
            uint8x16x4_t(u0, u1, u2, u3)
        }
    };
}

weigh!(weigh_whole, whole);
weigh!(weigh_masked, masked);
