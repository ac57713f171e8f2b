//! Interleaving on NEON: 64 bytes of four rows at a time where a group is 4 or 8 bytes, written out because a compiler
//! splits the loads and stores of several registers; else and of what is left 16.

use core::arch::aarch64::{
    uint8x16_t, uint64x2_t, vld1q_u8, vreinterpretq_u32_u8, vreinterpretq_u64_u8,
    vreinterpretq_u64_u32, vst1q_u64, vzip1q_u32, vzip1q_u64, vzip2q_u32, vzip2q_u64,
};
use core::arch::asm;

use crate::arithmetic::interleave::scatter;
use crate::layout::GROUP;

/// Bytes of a row in a vector.
const BLOCK: usize = 16;

/// Bytes of a row in four.
const TURN: usize = 4 * BLOCK;

/// 16 bytes of four rows to two groups of 8 bytes, or to four of 4.
macro_rules! groups {
    (8, $a:literal $b:literal $c:literal $d:literal) => {
        concat!(
            each!("2d", "zip1", "16" $a $b, "17" $c $d),
            each!("2d", "zip2", "18" $a $b, "19" $c $d),
            "st1 {{v16.16b, v17.16b}}, [{to}], {step}\n",
            "st1 {{v18.16b, v19.16b}}, [{to}], {step}\n",
        )
    };
    (4, $a:literal $b:literal $c:literal $d:literal) => {
        concat!(
            each!("4s", "zip1", "16" $a $b, "17" $c $d),
            each!("4s", "zip2", "18" $a $b, "19" $c $d),
            each!("2d", "zip1", "20" "16" "17", "22" "18" "19"),
            each!("2d", "zip2", "21" "16" "17", "23" "18" "19"),
            "st1 {{v20.16b}}, [{to}], {step}\nst1 {{v21.16b}}, [{to}], {step}\n",
            "st1 {{v22.16b}}, [{to}], {step}\nst1 {{v23.16b}}, [{to}], {step}\n",
        )
    };
}

/// A function that interleaves `turns` of 64 bytes of rows that are `len` apart, in groups of `$kr` bytes that are
/// `step` apart.
macro_rules! turns {
    ($name:ident, $kr:tt) => {
        /// # Safety
        /// There must be as many bytes to read in each of four rows, and room for as many groups.
        #[inline]
        #[target_feature(enable = "neon")]
        unsafe fn $name(turns: usize, rows: *const u8, len: usize, to: *mut u8, step: usize) {
            // SAFETY: the caller's.
            unsafe {
                asm!(
                    "2:",
                    "ld1 {{v0.16b-v3.16b}}, [{a}], #64",
                    "ld1 {{v4.16b-v7.16b}}, [{b}], #64",
                    "ld1 {{v8.16b-v11.16b}}, [{c}], #64",
                    "ld1 {{v12.16b-v15.16b}}, [{d}], #64",
                    "subs {turns}, {turns}, #1",
                    groups!($kr, "0" "4" "8" "12"),
                    groups!($kr, "1" "5" "9" "13"),
                    groups!($kr, "2" "6" "10" "14"),
                    groups!($kr, "3" "7" "11" "15"),
                    "b.ne 2b",
                    turns = inout(reg) turns => _,
                    a = inout(reg) rows => _,
                    b = inout(reg) rows.add(len) => _,
                    c = inout(reg) rows.add(2 * len) => _,
                    d = inout(reg) rows.add(3 * len) => _,
                    to = inout(reg) to => _,
                    step = in(reg) step,
                    out("v0") _, out("v1") _, out("v2") _, out("v3") _,
                    out("v4") _, out("v5") _, out("v6") _, out("v7") _,
                    out("v8") _, out("v9") _, out("v10") _, out("v11") _,
                    out("v12") _, out("v13") _, out("v14") _, out("v15") _,
                    out("v16") _, out("v17") _, out("v18") _, out("v19") _,
                    out("v20") _, out("v21") _, out("v22") _, out("v23") _,
                    options(nostack),
                );
            }
        }
    };
}

turns!(turns_4, 4);
turns!(turns_8, 8);

/// See [`Packing::interleave`](crate::operands::packing::Packing::interleave), in groups of `KR`.
///
/// # Safety
/// NEON must be there.
#[inline]
#[target_feature(enable = "neon")]
pub(crate) unsafe fn interleave<const KR: usize>(
    rows: &[u8],
    panel: &mut [u8],
    slots: usize,
    slot: usize,
) {
    let len = rows.len() / GROUP;
    let whole = len - len % BLOCK;
    assert!(slot + GROUP <= slots && panel.len() >= whole * slots);
    let turns = match KR {
        4 | 8 => len / TURN,
        _ => 0,
    };
    if turns > 0 {
        // SAFETY: `turns * TURN <= whole` bytes of each row; groups of `slots * KR` bytes, in which four slots
        // from `slot` on are `4 * KR`.
        unsafe {
            let (rows, to) = (rows.as_ptr(), panel.as_mut_ptr().add(slot * KR));
            match KR {
                4 => turns_4(turns, rows, len, to, slots * KR),
                _ => turns_8(turns, rows, len, to, slots * KR),
            }
        }
    }
    for start in (turns * TURN..whole).step_by(BLOCK) {
        let load = |row: usize| {
            // SAFETY: a block within row `row < 4` of `rows`.
            unsafe { vld1q_u8(rows.as_ptr().add(row * len + start)) }
        };
        let vectors = transpose([load(0), load(1), load(2), load(3)], KR);
        for (n, vector) in vectors.into_iter().enumerate() {
            // The 16 / KR groups take KR / 4 vectors each.
            let (group, part) = (n / (KR / 4), n % (KR / 4));
            // SAFETY: of `panel`'s `whole / KR` groups of `slots * KR` bytes this is number `start / KR + group`, in which four slots are
            // `4 * KR` bytes from `slot * KR` on.
            unsafe {
                let to = panel
                    .as_mut_ptr()
                    .add(start * slots + (group * slots + slot) * KR + part * BLOCK);
                vst1q_u64(to.cast(), vector);
            }
        }
    }
    if whole < len {
        let panel = &mut panel[whole * slots..];
        for i in 0..GROUP {
            scatter(&rows[i * len..][whole..len], panel, slots, slot + i, KR);
        }
    }
}

/// Groups of `kr` bytes of four rows, one row's after the other's.
#[inline]
#[target_feature(enable = "neon")]
fn transpose([a, b, c, d]: [uint8x16_t; GROUP], kr: usize) -> [uint64x2_t; GROUP] {
    if kr == 4 {
        let [a, b, c, d] = [a, b, c, d].map(|v| vreinterpretq_u32_u8(v));
        let [ab, cd, ab_high, cd_high] = [
            vzip1q_u32(a, b),
            vzip1q_u32(c, d),
            vzip2q_u32(a, b),
            vzip2q_u32(c, d),
        ]
        .map(|v| vreinterpretq_u64_u32(v));
        return [
            vzip1q_u64(ab, cd),
            vzip2q_u64(ab, cd),
            vzip1q_u64(ab_high, cd_high),
            vzip2q_u64(ab_high, cd_high),
        ];
    }
    let [a, b, c, d] = [a, b, c, d].map(|v| vreinterpretq_u64_u8(v));
    if kr == 8 {
        [
            vzip1q_u64(a, b),
            vzip1q_u64(c, d),
            vzip2q_u64(a, b),
            vzip2q_u64(c, d),
        ]
    } else {
        [a, b, c, d]
    }
}
