//! The turns of the rows on NEON (`quantize`, `norm`), as text for its `asm!`: 64 numbers each, in registers that are
//! named.
//!
//! A compiler splits a load of four registers into loads of two or one, and turns of 64 numbers into turns of
//! 16. The numbers of a turn are in v0-v15, so that no step waits for another; `{x}` and `{out}` move on, and the
//! flags say whether `{turns}` has come to 0.

/// `$op` of 16 numbers in place, in the registers named, with what is in `$b`.
macro_rules! with {
    ($op:literal, $b:literal, $($a:literal)+) => {
        concat!($($op, " v", $a, ".4s, v", $a, ".4s, ", $b, ".4s\n"),+)
    };
}

/// The largest magnitudes of 16 numbers into v16-v19, by way of v20-v23.
macro_rules! largest {
    ($a:literal $b:literal $c:literal $d:literal) => {
        concat!(
            each!("4s", "fabs", "20" $a, "21" $b, "22" $c, "23" $d),
            each!("4s", "umax", "16" "16" "20", "17" "17" "21", "18" "18" "22", "19" "19" "23"),
        )
    };
}

/// 16 numbers times v17 rounded to integers, which are in the low bits. What converts (`fcvtns`) runs in fewer pipes than what
/// adds v28, 1.5 * 2^23.
macro_rules! rounded {
    ($a:literal $b:literal $c:literal $d:literal) => {
        concat!(
            with!("fmul", "v17", $a $b $c $d),
            with!("fadd", "v28", $a $b $c $d),
        )
    };
}

/// The next 64 numbers, and one turn less.
macro_rules! load_turn {
    () => {
        concat!(
            "ld1 {{v0.4s-v3.4s}}, [{x}], #64\n",
            "ld1 {{v4.4s-v7.4s}}, [{x}], #64\n",
            "subs {turns}, {turns}, #1\n",
            "ld1 {{v8.4s-v11.4s}}, [{x}], #64\n",
            "ld1 {{v12.4s-v15.4s}}, [{x}], #64\n",
        )
    };
}

/// 64 numbers times v17 rounded to bytes, which are in v0-v3; `$low` holds where the low bytes of 16 numbers are.
macro_rules! turn_bytes {
    ($low:literal) => {
        concat!(
            rounded!("0" "1" "2" "3"),
            rounded!("4" "5" "6" "7"),
            rounded!("8" "9" "10" "11"),
            rounded!("12" "13" "14" "15"),
            "tbl v0.16b, {{v0.16b-v3.16b}}, ", $low, ".16b\n",
            "tbl v1.16b, {{v4.16b-v7.16b}}, ", $low, ".16b\n",
            "tbl v2.16b, {{v8.16b-v11.16b}}, ", $low, ".16b\n",
            "tbl v3.16b, {{v12.16b-v15.16b}}, ", $low, ".16b\n",
        )
    };
}
