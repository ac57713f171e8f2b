//! The softmax on NEON, a row at a time, all 64 keys of it in registers.
//!
//! `fcvtzs` saturates by itself, and the upper halves of what it leaves are z; `sqrdmulh` is
//! [`mul_high`](crate::arithmetic::softmax::mul_high), and `ushl` by a negative number is a shift to the right. It is written out
//! because it needs every register there is, and a compiler that finds none free spills vectors by the dozen:
//!
//! ```text
//! v0-v15    scores; then in the even ones z, y, w and u of eight keys, in the odd ones their e
//! v16-v27   scales on their way, C, s, b, and what is reduced to one number
//! v28 C3       v29 sum of p       v30, v31 without RDM s and b
//! ```
//!
//! Where all scales of values are within 2^95 of each other and every key is seen, shifts fit a byte. Else a key
//! that a row does not see gets a score of minus infinity, for which z saturates and p is 0, and a shift that
//! makes e the largest there is.
//!
//! dotprod and i8mm come with ARMv8.1's RDM (`sqrdmlah`); plain NEON has nothing newer than ARMv8.0.

use crate::arithmetic::lanes::Line;
use crate::arithmetic::softmax::{C, FRACTION, FULL, RowStats, Scores};
use crate::layout::KV_TILE;

// The offsets at which the code below writes.
const _: () = assert!(
    core::mem::offset_of!(RowStats, sum) == 64
        && core::mem::offset_of!(RowStats, e) == 128
        && core::mem::offset_of!(RowStats, inverse) == 192
);

/// What every row needs: C, eight of each, FULL, and C once more, 32 of each.
#[repr(C, align(64))]
pub(in crate::sets::aarch64) struct Constants {
    c: [[i16; 8]; 4],
    full: f32,
    pub(in crate::sets::aarch64) many: [Line<[i16; 32]>; 3],
}

pub(in crate::sets::aarch64) static CONSTANTS: Constants = Constants {
    c: [[C[0]; 8], [C[1]; 8], [C[2]; 8], [C[3]; 8]],
    full: FULL,
    many: [Line([C[0]; 32]), Line([C[1]; 32]), Line([C[2]; 32])],
};

/// The largest n, which a key that is not seen has.
const N_MAX: i16 = 1 << (15 - FRACTION);

/// `[KV_TILE - valid..]` is the most that the scores of a row may be.
pub(in crate::sets::aarch64) static MOST: Line<[f32; 2 * KV_TILE]> =
    Line(halves(f32::INFINITY, f32::NEG_INFINITY));

/// `[KV_TILE - valid..]` is the least that the shifts of values may be.
pub(in crate::sets::aarch64) static LEAST: Line<[i16; 2 * KV_TILE]> =
    Line(halves_i16(i16::MIN, i16::MAX - N_MAX));

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

/// A function that weighs the first `rows` rows from where it is pointed: `near` those that see every key, of
/// values whose scales are near each other; `masked` those of which the first sees all keys but the last `unseen`,
/// and each that follows `more` more.
macro_rules! weigh {
    ($name:ident, $features:literal, $core:tt, $seen:tt, $sign:tt, $mr:literal, $kr:tt) => {
        /// # Safety
        /// The rows must be there, of scores, in `of.query_rows` and `stats`, and in the panel `p`; `unseen` is at most `KV_TILE`,
        /// and at least `(rows - 1) * more` if masked.
        #[inline]
        #[target_feature(enable = $features)]
        unsafe fn $name(part: Part, of: &Scores<'_>, stats: &mut RowStats, p: &mut [u8]) {
            let Part {
                rows,
                row,
                unseen,
                more,
            } = part;
            let Scores {
                scores,
                keys,
                query_rows,
                ..
            } = *of;
            assert!(rows > 0 && row + rows <= scores.len().min($mr) && p.len() >= $mr * KV_TILE);
            // SAFETY: of each row it reads 64 scores and scales, 64 of 128 numbers of each mask, a number of
            // `query_rows` and the constants; it writes 64 bytes to the row's groups of the panel, and one number
            // to each of the four arrays of `stats`, which lie 64 bytes apart.
            unsafe {
                asm_all_vectors!(
                    kept!($core),
                    "2:",
                    scores!($seen, "k0", "0" "1" "2" "3", "16" "17" "18" "19"),
                    scores!($seen, "k1", "4" "5" "6" "7", "20" "21" "22" "23"),
                    scores!($seen, "k2", "8" "9" "10" "11", "16" "17" "18" "19"),
                    scores!($seen, "k3", "12" "13" "14" "15", "20" "21" "22" "23"),
                    each!("4s", "fmax", "16" "0" "1", "17" "2" "3", "18" "4" "5", "19" "6" "7"),
                    each!("4s", "fmax", "20" "8" "9", "21" "10" "11", "22" "12" "13", "23" "14" "15"),
                    each!("4s", "fmax", "16" "16" "17", "18" "18" "19", "20" "20" "21", "22" "22" "23"),
                    each!("4s", "fmax", "16" "16" "18", "20" "20" "22", "16" "16" "20"),
                    "fmaxv s16, v16.4s",
                    "ld1r {{v17.4s}}, [{c}], #4",
                    "str s16, [{stats}]",
                    "dup v16.4s, v16.s[0]",
                    below!("0" "1"), below!("2" "3"), below!("4" "5"), below!("6" "7"),
                    below!("8" "9"), below!("10" "11"), below!("12" "13"), below!("14" "15"),
                    "movi v29.4s, #0",
                    weights!($core, $seen, "m0" "s0", "0" "2" "4" "6", "1" "3" "5" "7"),
                    weights!($core, $seen, "m1" "s1", "8" "10" "12" "14", "9" "11" "13" "15"),
                    each!("8h", "smin", "16" "1" "3", "17" "5" "7", "18" "9" "11", "19" "13" "15"),
                    each!("8h", "smin", "16" "16" "17", "18" "18" "19", "16" "16" "18"),
                    "sminv h16, v16.8h",
                    "addv s29, v29.4s",
                    "dup v17.8h, v16.h[0]",
                    "sshll v16.4s, v16.4h, #0",
                    "str s29, [{stats}, #64]",
                    "str s16, [{stats}, #128]",
                    least!($seen),
                    shifted!($seen, "0" "1", "2" "3", "4" "5", "6" "7"),
                    shifted!($seen, "8" "9", "10" "11", "12" "13", "14" "15"),
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
                    "str s18, [{stats}, #192]",
                    "dup v18.8h, v18.h[0]",
                    "add {stats}, {stats}, #4",
                    each!("8h", "sqrdmulh", "0" "0" "18", "2" "2" "18", "4" "4" "18", "6" "6" "18"),
                    each!("8h", "sqrdmulh", "8" "8" "18", "10" "10" "18", "12" "12" "18", "14" "14" "18"),
                    each!("16b", "uzp1", "0" "0" "2", "1" "4" "6", "2" "8" "10", "3" "12" "14"),
                    flipped!($sign),
                    put_bytes!($kr),
                    next!($seen),
                    "subs {rows}, {rows}, #1",
                    "sub {to}, {to}, {back}",
                    "b.ne 2b",
                    "/* {most} {least} {rewind} {c0} {c1} {c2} */",
                    rows = inout(reg) rows => _,
                    scores = inout(reg) scores.as_ptr().add(row) => _,
                    k0 = in(reg) keys.k_scale.as_ptr(),
                    k1 = in(reg) keys.k_scale.as_ptr().add(KV_TILE / 4),
                    k2 = in(reg) keys.k_scale.as_ptr().add(KV_TILE / 2),
                    k3 = in(reg) keys.k_scale.as_ptr().add(KV_TILE / 4 * 3),
                    m0 = in(reg) keys.v_mantissa.as_ptr(),
                    m1 = in(reg) keys.v_mantissa.as_ptr().add(KV_TILE / 2),
                    s0 = in(reg) keys.v_shift.as_ptr(),
                    s1 = in(reg) keys.v_shift.as_ptr().add(KV_TILE / 2),
                    most = inout(reg) MOST.0.as_ptr().add(unseen) => _,
                    least = inout(reg) LEAST.0.as_ptr().add(unseen) => _,
                    rewind = in(reg) KV_TILE * size_of::<f32>() + more * size_of::<f32>(),
                    constants = in(reg) &CONSTANTS,
                    c0 = in(reg) &CONSTANTS.many[0],
                    c1 = in(reg) &CONSTANTS.many[1],
                    c2 = in(reg) &CONSTANTS.many[2],
                    c = inout(reg) query_rows.c.as_ptr().add(row) => _,
                    stats = inout(reg) core::ptr::from_mut(stats).cast::<f32>().add(row) => _,
                    to = inout(reg) p.as_mut_ptr().add(row * $kr) => _,
                    step = in(reg) const { $mr * $kr as usize },
                    back = const $mr * KV_TILE - $kr,
                );
            }
        }
    };
}

/// Which rows of a panel: `rows` from `row` on, of which the first does not see the last `unseen` keys, and each that follows sees `more`
/// more of them.
#[derive(Clone, Copy)]
pub(in crate::sets::aarch64) struct Part {
    pub(in crate::sets::aarch64) rows: usize,
    pub(in crate::sets::aarch64) row: usize,
    pub(in crate::sets::aarch64) unseen: usize,
    pub(in crate::sets::aarch64) more: usize,
}

/// What `weigh` makes.
pub(in crate::sets::aarch64) type Weigh = unsafe fn(Part, &Scores<'_>, &mut RowStats, &mut [u8]);

/// A function `softmax` for panels of `$mr` rows, `$kr` keys a group.
macro_rules! softmax {
    ($features:literal, $core:tt, $mr:literal, $kr:tt) => {
        weigh!(near_signed, $features, $core, near, signed, $mr, $kr);
        weigh!(near_unsigned, $features, $core, near, unsigned, $mr, $kr);
        weigh!(masked_signed, $features, $core, masked, signed, $mr, $kr);
        weigh!(
            masked_unsigned,
            $features,
            $core,
            masked,
            unsigned,
            $mr,
            $kr
        );

        /// See [`InstructionSet::softmax`](crate::set::InstructionSet::softmax).
        ///
        /// # Safety
        /// As there.
        #[inline]
        #[target_feature(enable = $features)]
        pub(super) unsafe fn softmax(of: &Scores<'_>, stats: &mut RowStats, p: &mut [u8]) {
            const { assert!($mr <= MAX_MR) };
            let Scores {
                rows,
                whole,
                keys,
                query_rows,
                ..
            } = *of;
            let part = |rows: usize, row: usize, unseen: usize| Part {
                rows,
                row,
                unseen,
                more: 0,
            };
            if whole && keys.near() {
                // SAFETY: the caller's; every row sees every key.
                return match of.signed {
                    true => unsafe { near_signed(part(rows, 0, 0), of, stats, p) },
                    false => unsafe { near_unsigned(part(rows, 0, 0), of, stats, p) },
                };
            }
            let masked: Weigh = match of.signed {
                true => masked_signed,
                false => masked_unsigned,
            };
            // Nearly always each row sees one key more than the one before, or all see as many.
            let valid = &query_rows.valid[..rows];
            let steps = |more: usize| valid.windows(2).all(|v| v[0] + more == v[1]);
            if !whole
                && valid[rows - 1] <= KV_TILE
                && let Some(more) = [1, 0].into_iter().find(|more| steps(*more))
            {
                let part = Part {
                    more,
                    ..part(rows, 0, KV_TILE - valid[0])
                };
                // SAFETY: the caller's; the last row sees no more keys than there are.
                unsafe { masked(part, of, stats, p) };
                return;
            }
            for row in 0..rows {
                let seen = if whole {
                    KV_TILE
                } else {
                    query_rows.valid[row].min(KV_TILE)
                };
                // SAFETY: the caller's; one row, of which no more keys are hidden than there are.
                unsafe { masked(part(1, row, KV_TILE - seen), of, stats, p) };
            }
        }
    };
}
