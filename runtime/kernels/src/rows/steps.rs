//! The turns of the rows on NEON (`neon`, `norm`), as text for its `asm!`: 64 numbers each, in registers that are
//! named.
//!
//! A compiler splits a load of four registers into loads of two or one, and turns of 64 numbers into turns of
//! 16. The numbers of a turn are in v0-v15, so that no step waits for another; `{x}` and `{out}` move on, and the
//! flags say whether `{turns}` has come to 0.

/// `$op` on `$of` lanes for each of a list of registers: the destination, and what follows it.
macro_rules! each {
    ($of:literal, $op:literal, $($d:literal $a:literal $b:literal),+) => {
        concat!($($op, " v", $d, ".", $of, ", v", $a, ".", $of, ", v", $b, ".", $of, "\n"),+)
    };
    ($of:literal, $op:literal, $($d:literal $a:literal),+) => {
        concat!($($op, " v", $d, ".", $of, ", v", $a, ".", $of, "\n"),+)
    };
}

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
