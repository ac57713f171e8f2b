//! How a tile of the linear layer ends: `fma(sum as f32, s_row * s_channel, bias)` of sums in v16-v31, into
//! rows of the output.
//!
//! Before it v12 and v13 hold the columns' scales, v14 and v15 the rows', and where rows are asymmetric v4 and
//! v5 their zero points, v6 and v7 the columns' sums; v0-v3 and v8-v11 are free. Where rows of i8mm are only
//! stored, v12-v15 hold the columns' scales two by two, and v4-v7 the rows'.

/// `$op` on 32-bit lanes, for four destinations at once.
macro_rules! four {
    ($op:literal, [$d0:literal $d1:literal $d2:literal $d3:literal], [$a0:literal $a1:literal $a2:literal $a3:literal]
     $(, [$b0:literal $b1:literal $b2:literal $b3:literal])?) => {
        concat!(
            $op, " v", $d0, ".4s, v", $a0, ".4s", $(", v", $b0,)? "\n",
            $op, " v", $d1, ".4s, v", $a1, ".4s", $(", v", $b1,)? "\n",
            $op, " v", $d2, ".4s, v", $a2, ".4s", $(", v", $b2,)? "\n",
            $op, " v", $d3, ".4s, v", $a3, ".4s", $(", v", $b3,)? "\n",
        )
    };
}

/// The zero points of two rows, whose columns are the four registers named: `sums of columns * zero point` is added.
macro_rules! zero_point {
    (no, $columns:tt, $even:literal $odd:literal) => {
        ""
    };
    (yes, [$e0:literal $e1:literal $o0:literal $o1:literal], $even:literal $odd:literal) => {
        concat!(
            "mla v",
            $e0,
            ".4s, v6.4s, v",
            $even,
            "\n",
            "mla v",
            $e1,
            ".4s, v7.4s, v",
            $even,
            "\n",
            "mla v",
            $o0,
            ".4s, v6.4s, v",
            $odd,
            "\n",
            "mla v",
            $o1,
            ".4s, v7.4s, v",
            $odd,
            "\n",
        )
    };
}

/// One finished row, in two registers, stored or added to what is there; two more are free.
macro_rules! put {
    (no, $y0:literal $y1:literal, $r0:literal $r1:literal) => {
        concat!("st1 {{v", $y0, ".4s, v", $y1, ".4s}}, [{out}], {ldo}\n")
    };
    (yes, $y0:literal $y1:literal, $r0:literal $r1:literal) => {
        concat!(
            "ld1 {{v",
            $r0,
            ".4s, v",
            $r1,
            ".4s}}, [{out}]\n",
            "fadd v",
            $y0,
            ".4s, v",
            $r0,
            ".4s, v",
            $y0,
            ".4s\n",
            "fadd v",
            $y1,
            ".4s, v",
            $r1,
            ".4s, v",
            $y1,
            ".4s\n",
            "st1 {{v",
            $y0,
            ".4s, v",
            $y1,
            ".4s}}, [{out}], {ldo}\n",
        )
    };
}

/// Two rows, whose sums are the four registers `$e0 $e1 $o0 $o1`, finished; `$m0..` are four free ones.
/// `$even` and `$odd` are the rows' scales, `$zero_even` and `$zero_odd` their zero points.
macro_rules! finish {
    ($asymmetric:tt, $add:tt, [$e0:literal $e1:literal $o0:literal $o1:literal], [$m0:literal $m1:literal $m2:literal $m3:literal],
     $even:literal $odd:literal, $zero_even:literal $zero_odd:literal) => {
        concat!(
            zero_point!($asymmetric, [$e0 $e1 $o0 $o1], $zero_even $zero_odd),
            four!("scvtf", [$e0 $e1 $o0 $o1], [$e0 $e1 $o0 $o1]),
            four!("fmul", [$m0 $m1 $m2 $m3], ["12" "13" "12" "13"], [$even $even $odd $odd]),
            "ld1 {{v8.4s-v11.4s}}, [{bias}]\n",
            "fmla v8.4s, v", $e0, ".4s, v", $m0, ".4s\n",
            "fmla v9.4s, v", $e1, ".4s, v", $m1, ".4s\n",
            "fmla v10.4s, v", $o0, ".4s, v", $m2, ".4s\n",
            "fmla v11.4s, v", $o1, ".4s, v", $m3, ".4s\n",
            put!($add, "8" "9", $e0 $e1),
            put!($add, "10" "11", $e0 $e1),
        )
    };
}

/// Two rows of i8mm: four registers of two columns of both become four of four columns of one.
macro_rules! i8mm_rows {
    ($asymmetric:tt, $add:tt, $s0:literal $s1:literal $s2:literal $s3:literal, $even:literal $odd:literal,
     $zero_even:literal $zero_odd:literal) => {
        concat!(
            "zip1 v0.2d, v", $s0, ".2d, v", $s1, ".2d\n",
            "zip1 v1.2d, v", $s2, ".2d, v", $s3, ".2d\n",
            "zip2 v2.2d, v", $s0, ".2d, v", $s1, ".2d\n",
            "zip2 v3.2d, v", $s2, ".2d, v", $s3, ".2d\n",
            finish!($asymmetric, $add, ["0" "1" "2" "3"], [$s0 $s1 $s2 $s3], $even $odd, $zero_even $zero_odd),
        )
    };
}

macro_rules! i8mm_finish {
    ($asymmetric:tt, $add:tt) => {
        concat!(
            i8mm_rows!($asymmetric, $add, "16" "17" "18" "19", "14.s[0]" "14.s[1]", "4.s[0]" "4.s[1]"),
            i8mm_rows!($asymmetric, $add, "20" "21" "22" "23", "14.s[2]" "14.s[3]", "4.s[2]" "4.s[3]"),
            i8mm_rows!($asymmetric, $add, "24" "25" "26" "27", "15.s[0]" "15.s[1]", "5.s[0]" "5.s[1]"),
            i8mm_rows!($asymmetric, $add, "28" "29" "30" "31", "15.s[2]" "15.s[3]", "5.s[2]" "5.s[3]"),
        )
    };
}

/// All rows of i8mm, finished as they are: each register of two columns of two rows.
macro_rules! i8mm_pairs {
    (no, no) => {
        concat!(
            i8mm_pairs!("16" "17" "18" "19", "4.4s"), i8mm_pairs!("20" "21" "22" "23", "5.4s"),
            i8mm_pairs!("24" "25" "26" "27", "6.4s"), i8mm_pairs!("28" "29" "30" "31", "7.4s"),
        )
    };
    ($s0:literal $s1:literal $s2:literal $s3:literal, $scale:literal) => {
        concat!(
            four!("scvtf", [$s0 $s1 $s2 $s3], [$s0 $s1 $s2 $s3]),
            four!("fmul", ["0" "1" "2" "3"], ["12" "13" "14" "15"], [$scale $scale $scale $scale]),
            "ld1 {{v8.4s-v11.4s}}, [{bias}]\n",
            four!("fmla", ["8" "9" "10" "11"], [$s0 $s1 $s2 $s3], ["0.4s" "1.4s" "2.4s" "3.4s"]),
            rows!(i8mm, "{ldo}", "8" "9" "10" "11"),
        )
    };
}

macro_rules! dotprod_finish {
    ($asymmetric:tt, $add:tt) => {
        concat!(
            dotprod_finish!($asymmetric, $add, ["16" "17" "18" "19"], "14.s[0]" "14.s[1]", "4.s[0]" "4.s[1]"),
            dotprod_finish!($asymmetric, $add, ["20" "21" "22" "23"], "14.s[2]" "14.s[3]", "4.s[2]" "4.s[3]"),
            dotprod_finish!($asymmetric, $add, ["24" "25" "26" "27"], "15.s[0]" "15.s[1]", "5.s[0]" "5.s[1]"),
            dotprod_finish!($asymmetric, $add, ["28" "29" "30" "31"], "15.s[2]" "15.s[3]", "5.s[2]" "5.s[3]"),
        )
    };
    ($asymmetric:tt, $add:tt, $sums:tt, $even:literal $odd:literal, $zero_even:literal $zero_odd:literal) => {
        finish!($asymmetric, $add, $sums, ["0" "1" "2" "3"], $even $odd, $zero_even $zero_odd)
    };
}

/// A row of NEON: partial sums of four columns, and its zero point.
macro_rules! neon_row {
    ($asymmetric:tt, $row:literal, $s0:literal $s1:literal $s2:literal $s3:literal, $zero:literal) => {
        concat!(
            "addp v", $row, ".4s, v", $s0, ".4s, v", $s1, ".4s\n",
            "addp v", $s2, ".4s, v", $s2, ".4s, v", $s3, ".4s\n",
            "addp v", $row, ".4s, v", $row, ".4s, v", $s2, ".4s\n",
            neon_row!(@ $asymmetric, $row, $zero),
        )
    };
    (@ no, $row:literal, $zero:literal) => { "" };
    (@ yes, $row:literal, $zero:literal) => { concat!("mla v", $row, ".4s, v6.4s, v", $zero, "\n") };
}

/// One finished row of NEON, like `put`.
macro_rules! neon_put {
    (no, $y:literal) => {
        concat!("st1 {{v", $y, ".4s}}, [{out}], {ldo}\n")
    };
    (yes, $y:literal) => {
        concat!(
            "ld1 {{v0.4s}}, [{out}]\n",
            "fadd v",
            $y,
            ".4s, v0.4s, v",
            $y,
            ".4s\n",
            "st1 {{v",
            $y,
            ".4s}}, [{out}], {ldo}\n",
        )
    };
}

/// The end of a tile of NEON; `$more` is done to its rows of sums in v0-v3 while they are integers, with v16-v31
/// free.
macro_rules! neon_finish {
    ($asymmetric:tt, $add:tt) => {
        neon_finish!($asymmetric, $add, "")
    };
    ($asymmetric:tt, $add:tt, $more:expr) => {
        concat!(
            neon_row!($asymmetric, "0", "16" "17" "18" "19", "4.s[0]"),
            neon_row!($asymmetric, "1", "20" "21" "22" "23", "4.s[1]"),
            neon_row!($asymmetric, "2", "24" "25" "26" "27", "4.s[2]"),
            neon_row!($asymmetric, "3", "28" "29" "30" "31", "4.s[3]"),
            $more,
            four!("scvtf", ["0" "1" "2" "3"], ["0" "1" "2" "3"]),
            four!("fmul", ["16" "17" "18" "19"], ["12" "12" "12" "12"], ["14.s[0]" "14.s[1]" "14.s[2]" "14.s[3]"]),
            "ld1 {{v8.4s-v11.4s}}, [{bias}]\n",
            four!("fmla", ["8" "9" "10" "11"], ["0" "1" "2" "3"], ["16.4s" "17.4s" "18.4s" "19.4s"]),
            neon_put!($add, "8"),
            neon_put!($add, "9"),
            neon_put!($add, "10"),
            neon_put!($add, "11"),
        )
    };
}

/// Loads the scales of columns and rows, and what only asymmetric rows need.
macro_rules! load_scales {
    (two, no) => {
        "ld1 {{v12.4s, v13.4s}}, [{w_scale}]\nld1 {{v14.4s, v15.4s}}, [{scales}], #32\n"
    };
    (two, yes) => {
        concat!(
            load_scales!(two, no),
            "ld1 {{v4.4s, v5.4s}}, [{zero_points}], #32\nld1 {{v6.4s, v7.4s}}, [{w_sums}]\n",
        )
    };
    (pairs, no) => {
        concat!(
            "ld1 {{v12.4s-v15.4s}}, [{w_scale}]\nld1 {{v0.4s, v1.4s}}, [{scales}], #32\n",
            twice!("0" "1", "4" "5" "6" "7"),
        )
    };
    (one, no) => {
        "ld1 {{v12.4s}}, [{w_scale}]\nld1 {{v14.4s}}, [{scales}], #16\n"
    };
    (one, yes) => {
        concat!(
            load_scales!(one, no),
            "ld1 {{v4.4s}}, [{zero_points}], #16\nld1 {{v6.4s}}, [{w_sums}]\n"
        )
    };
}
