//! The loops of whole tiles, whose sums stay in registers: a turn each, all registers named.
//!
//! ```text
//! v0-v15   operands: of one group while another's multiply
//! v16-v31 sums: of dotprod a row's 8 columns in two, of i8mm two rows' 2 columns in one, of NEON a row and a
//! column each
//! ```
//!
//! `{a}` and `{w}` are the operands' addresses, which move on; the flags say whether `{turns}` has come to 0.

/// The next group of rows and of columns into the registers named.
macro_rules! load {
    ($w:literal, $a:literal) => {
        concat!(
            "ld1 {{",
            $w,
            "}}, [{w}], #64\nld1 {{",
            $a,
            "}}, [{a}], #64\n"
        )
    };
}

/// Of i8mm, `$op` of eight k: columns in `$w`, rows in `$a`.
macro_rules! mmlas {
    ($op:literal, $w:tt, $a0:literal $a1:literal $a2:literal $a3:literal) => {
        concat!(
            mmlas!(@ $op, "16" "17" "18" "19", $w, $a0),
            mmlas!(@ $op, "20" "21" "22" "23", $w, $a1),
            mmlas!(@ $op, "24" "25" "26" "27", $w, $a2),
            mmlas!(@ $op, "28" "29" "30" "31", $w, $a3),
        )
    };
    (@ $op:literal, $s0:literal $s1:literal $s2:literal $s3:literal,
     [$w0:literal $w1:literal $w2:literal $w3:literal], $a:literal) => {
        concat!(
            $op, " v", $s0, ".4s, v", $a, ".16b, v", $w0, ".16b\n",
            $op, " v", $s1, ".4s, v", $a, ".16b, v", $w1, ".16b\n",
            $op, " v", $s2, ".4s, v", $a, ".16b, v", $w2, ".16b\n",
            $op, " v", $s3, ".4s, v", $a, ".16b, v", $w3, ".16b\n",
        )
    };
}

/// The same three times.
macro_rules! thrice {
    ($text:expr) => {
        concat!($text, $text, $text)
    };
}

/// Groups of eight k of i8mm, one, 8 or 32 of them: the operands of one load while another's multiply.
macro_rules! i8mm_groups {
    ($op:literal, 1) => {
        concat!(
            load!("v0.16b-v3.16b", "v4.16b-v7.16b"),
            mmlas!($op, ["0" "1" "2" "3"], "4" "5" "6" "7"),
        )
    };
    ($op:literal, 8) => { i8mm_groups!(ends $op, thrice!(i8mm_groups!(pair $op))) };
    ($op:literal, 32) => {
        i8mm_groups!(ends $op, concat!(
            thrice!(thrice!(i8mm_groups!(pair $op))),
            thrice!(i8mm_groups!(pair $op)),
            thrice!(i8mm_groups!(pair $op)),
        ))
    };
    (ends $op:literal, $pairs:expr) => {
        concat!(
            load!("v0.16b-v3.16b", "v4.16b-v7.16b"),
            $pairs,
            load!("v8.16b-v11.16b", "v12.16b-v15.16b"),
            mmlas!($op, ["0" "1" "2" "3"], "4" "5" "6" "7"),
            mmlas!($op, ["8" "9" "10" "11"], "12" "13" "14" "15"),
        )
    };
    (pair $op:literal) => {
        concat!(
            load!("v8.16b-v11.16b", "v12.16b-v15.16b"),
            mmlas!($op, ["0" "1" "2" "3"], "4" "5" "6" "7"),
            load!("v0.16b-v3.16b", "v4.16b-v7.16b"),
            mmlas!($op, ["8" "9" "10" "11"], "12" "13" "14" "15"),
        )
    };
}

/// A turn of i8mm, of 64 k or 256; of 8 with unsigned rows.
macro_rules! i8mm_turn {
    () => {
        concat!("subs {turns}, {turns}, #1\n", i8mm_groups!("smmla", 8))
    };
    (unsigned) => {
        concat!("subs {turns}, {turns}, #1\n", i8mm_groups!("usmmla", 1))
    };
    (long) => {
        concat!("subs {turns}, {turns}, #1\n", i8mm_groups!("smmla", 32))
    };
}

/// The `sdot`s of four k: columns in `$w0` and `$w1`, rows in `$a0` and `$a1`.
macro_rules! sdots {
    ($w0:literal $w1:literal, $a0:literal $a1:literal) => {
        concat!(
            sdots!(row "16" "17", $w0 $w1, $a0, "0"),
            sdots!(row "18" "19", $w0 $w1, $a0, "1"),
            sdots!(row "20" "21", $w0 $w1, $a0, "2"),
            sdots!(row "22" "23", $w0 $w1, $a0, "3"),
            sdots!(row "24" "25", $w0 $w1, $a1, "0"),
            sdots!(row "26" "27", $w0 $w1, $a1, "1"),
            sdots!(row "28" "29", $w0 $w1, $a1, "2"),
            sdots!(row "30" "31", $w0 $w1, $a1, "3"),
        )
    };
    (row $left:literal $right:literal, $w0:literal $w1:literal, $a:literal, $lane:literal) => {
        concat!(
            "sdot v", $left, ".4s, v", $w0, ".16b, v", $a, ".4b[", $lane, "]\n",
            "sdot v", $right, ".4s, v", $w1, ".16b, v", $a, ".4b[", $lane, "]\n",
        )
    };
}

/// Of dotprod, two groups a load: 16 k, 64, or turns of 32 and 128.
macro_rules! dotprod_turn {
    () => {
        concat!("subs {turns}, {turns}, #1\n", dotprod_turn!(16), dotprod_turn!(16))
    };
    (long) => {
        concat!("subs {turns}, {turns}, #1\n", dotprod_turn!(64), dotprod_turn!(64))
    };
    (64) => {
        concat!(dotprod_turn!(16), thrice!(dotprod_turn!(16)))
    };
    (16) => {
        concat!(
            load!("v0.16b-v3.16b", "v4.16b-v7.16b"),
            sdots!("0" "1", "4" "5"),
            load!("v8.16b-v11.16b", "v12.16b-v15.16b"),
            sdots!("2" "3", "6" "7"),
            sdots!("8" "9", "12" "13"),
            sdots!("10" "11", "14" "15"),
        )
    };
}

/// Of NEON: the products of column `$w` with all rows, two by two in 16 bits, into `$p0..`; what `$between`
/// does comes while the first are on their way.
macro_rules! neon_products {
    ($w:literal, $p0:literal $p1:literal $p2:literal $p3:literal, $between:expr) => {
        concat!(
            "smull v",
            $p0,
            ".8h, v0.8b, v",
            $w,
            ".8b\n",
            "smull v",
            $p1,
            ".8h, v1.8b, v",
            $w,
            ".8b\n",
            "smull v",
            $p2,
            ".8h, v2.8b, v",
            $w,
            ".8b\n",
            "smull v",
            $p3,
            ".8h, v3.8b, v",
            $w,
            ".8b\n",
            $between,
            "smlal2 v",
            $p0,
            ".8h, v0.16b, v",
            $w,
            ".16b\n",
            "smlal2 v",
            $p1,
            ".8h, v1.16b, v",
            $w,
            ".16b\n",
            "smlal2 v",
            $p2,
            ".8h, v2.16b, v",
            $w,
            ".16b\n",
            "smlal2 v",
            $p3,
            ".8h, v3.16b, v",
            $w,
            ".16b\n",
        )
    };
}

/// Of NEON: products added to the sums of a column by `$op`, which `saddlp` begins.
macro_rules! neon_sums {
    ($op:literal, 0) => { neon_sums!($op, "16" "20" "24" "28", "8" "9" "10" "11") };
    ($op:literal, 1) => { neon_sums!($op, "17" "21" "25" "29", "12" "13" "14" "15") };
    ($op:literal, 2) => { neon_sums!($op, "18" "22" "26" "30", "8" "9" "10" "11") };
    ($op:literal, 3) => { neon_sums!($op, "19" "23" "27" "31", "12" "13" "14" "15") };
    ($op:literal, $s0:literal $s1:literal $s2:literal $s3:literal, $p0:literal $p1:literal $p2:literal $p3:literal) => {
        concat!(
            $op, " v", $s0, ".4s, v", $p0, ".8h\n",
            $op, " v", $s1, ".4s, v", $p1, ".8h\n",
            $op, " v", $s2, ".4s, v", $p2, ".8h\n",
            $op, " v", $s3, ".4s, v", $p3, ".8h\n",
        )
    };
}

/// The loop of NEON: 16 k a group, a load for its rows and one for its columns. A column's sums come after
/// the next one's first products, those of a group's last column after the next loads: a core that executes
/// in order then waits for neither. Where 64 k are all there are, no sums need to be zero before.
macro_rules! neon_turn {
    () => {
        concat!(
            "subs {turns}, {turns}, #1\n",
            neon_turn!(group "sadalp", ""),
            neon_turn!(rest "sadalp"),
        )
    };
    (64) => {
        concat!(neon_turn!(group "saddlp", ""), neon_turn!(rest "saddlp"))
    };
    (rest $first:literal) => {
        concat!(
            neon_turn!(group "sadalp", neon_sums!($first, 3)),
            neon_turn!(group "sadalp", neon_sums!("sadalp", 3)),
            neon_turn!(group "sadalp", neon_sums!("sadalp", 3)),
            neon_sums!("sadalp", 3),
        )
    };
    (group $op:literal, $last:expr) => {
        concat!(
            load!("v4.16b-v7.16b", "v0.16b-v3.16b"),
            $last,
            neon_products!("4", "8" "9" "10" "11", ""),
            neon_products!("5", "12" "13" "14" "15", neon_sums!($op, 0)),
            neon_products!("6", "8" "9" "10" "11", neon_sums!($op, 1)),
            neon_products!("7", "12" "13" "14" "15", neon_sums!($op, 2)),
        )
    };
}
