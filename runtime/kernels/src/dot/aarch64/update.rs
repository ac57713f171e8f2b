//! What becomes of the sums of attention's products (`attention`), which are in v16-v31: rows of scores, or
//! of the output.

/// All sums zero.
macro_rules! zeros {
    () => {
        concat!(
            "ld1 {{v16.4s-v19.4s}}, [{zeros}]\n",
            "ld1 {{v20.4s-v23.4s}}, [{zeros}]\n",
            "ld1 {{v24.4s-v27.4s}}, [{zeros}]\n",
            "ld1 {{v28.4s-v31.4s}}, [{zeros}]\n",
        )
    };
}

/// Two rows of i8mm, out of registers of two columns of both.
macro_rules! i8mm_zip {
    ($s0:literal $s1:literal $s2:literal $s3:literal) => {
        concat!(
            "zip1 v0.2d, v",
            $s0,
            ".2d, v",
            $s1,
            ".2d\n",
            "zip1 v1.2d, v",
            $s2,
            ".2d, v",
            $s3,
            ".2d\n",
            "zip2 v2.2d, v",
            $s0,
            ".2d, v",
            $s1,
            ".2d\n",
            "zip2 v3.2d, v",
            $s2,
            ".2d, v",
            $s3,
            ".2d\n",
        )
    };
}

/// A row of NEON, out of partial sums of four columns.
macro_rules! neon_add {
    ($row:literal, $s0:literal $s1:literal $s2:literal $s3:literal) => {
        concat!(
            "addp v", $s0, ".4s, v", $s0, ".4s, v", $s1, ".4s\n", "addp v", $s2, ".4s, v", $s2,
            ".4s, v", $s3, ".4s\n", "addp v", $row, ".4s, v", $s0, ".4s, v", $s2, ".4s\n",
        )
    };
}

/// Stores a row of 8 scores.
macro_rules! put_scores {
    ($a:literal $b:literal) => {
        concat!("st1 {{v", $a, ".4s, v", $b, ".4s}}, [{out}], {ldo}\n")
    };
}

/// A row of 8 columns into the output.
macro_rules! update_row {
    ($a:literal $b:literal, $alpha:literal $scale:literal) => {
        concat!(
            "ld1 {{v4.4s, v5.4s}}, [{out}]\n",
            "scvtf v",
            $a,
            ".4s, v",
            $a,
            ".4s\n",
            "scvtf v",
            $b,
            ".4s, v",
            $b,
            ".4s\n",
            "fmul v4.4s, v4.4s, v",
            $alpha,
            "\n",
            "fmul v5.4s, v5.4s, v",
            $alpha,
            "\n",
            "fmla v4.4s, v",
            $a,
            ".4s, v",
            $scale,
            "\n",
            "fmla v5.4s, v",
            $b,
            ".4s, v",
            $scale,
            "\n",
            "st1 {{v4.4s, v5.4s}}, [{out}], {ldo}\n",
        )
    };
}

/// A row of 4 columns into the output, after `v_comp` in v6.
macro_rules! update_neon_row {
    ($a:literal, $alpha:literal $scale:literal) => {
        concat!(
            "add v",
            $a,
            ".4s, v",
            $a,
            ".4s, v6.4s\n",
            "ld1 {{v4.4s}}, [{out}]\n",
            "scvtf v",
            $a,
            ".4s, v",
            $a,
            ".4s\n",
            "fmul v4.4s, v4.4s, v",
            $alpha,
            "\n",
            "fmla v4.4s, v",
            $a,
            ".4s, v",
            $scale,
            "\n",
            "st1 {{v4.4s}}, [{out}], {ldo}\n",
        )
    };
}

/// Where an instruction set's sums start from for values, as `v_comp`, and how they end.
macro_rules! ends {
    (i8mm scores) => {
        concat!(
            i8mm_zip!("16" "17" "18" "19"), put_scores!("0" "1"), put_scores!("2" "3"),
            i8mm_zip!("20" "21" "22" "23"), put_scores!("0" "1"), put_scores!("2" "3"),
            i8mm_zip!("24" "25" "26" "27"), put_scores!("0" "1"), put_scores!("2" "3"),
            i8mm_zip!("28" "29" "30" "31"), put_scores!("0" "1"), put_scores!("2" "3"),
        )
    };
    (i8mm start) => {
        concat!(
            "ld1 {{v0.4s, v1.4s}}, [{comp}], #32\n",
            ends!(copies "0.d[0]", "16" "20" "24" "28"),
            ends!(copies "0.d[1]", "17" "21" "25" "29"),
            ends!(copies "1.d[0]", "18" "22" "26" "30"),
            ends!(copies "1.d[1]", "19" "23" "27" "31"),
        )
    };
    (copies $from:literal, $a:literal $b:literal $c:literal $d:literal) => {
        concat!(
            "dup v", $a, ".2d, v", $from, "\ndup v", $b, ".2d, v", $from, "\n",
            "dup v", $c, ".2d, v", $from, "\ndup v", $d, ".2d, v", $from, "\n",
        )
    };
    (i8mm update) => {
        concat!(
            i8mm_zip!("16" "17" "18" "19"),
            update_row!("0" "1", "12.s[0]" "14.s[0]"), update_row!("2" "3", "12.s[1]" "14.s[1]"),
            i8mm_zip!("20" "21" "22" "23"),
            update_row!("0" "1", "12.s[2]" "14.s[2]"), update_row!("2" "3", "12.s[3]" "14.s[3]"),
            i8mm_zip!("24" "25" "26" "27"),
            update_row!("0" "1", "13.s[0]" "15.s[0]"), update_row!("2" "3", "13.s[1]" "15.s[1]"),
            i8mm_zip!("28" "29" "30" "31"),
            update_row!("0" "1", "13.s[2]" "15.s[2]"), update_row!("2" "3", "13.s[3]" "15.s[3]"),
        )
    };
    (dotprod scores) => {
        concat!(
            put_scores!("16" "17"), put_scores!("18" "19"), put_scores!("20" "21"), put_scores!("22" "23"),
            put_scores!("24" "25"), put_scores!("26" "27"), put_scores!("28" "29"), put_scores!("30" "31"),
        )
    };
    (dotprod start) => {
        concat!(
            "ld1 {{v16.4s, v17.4s}}, [{comp}], #32\n",
            ends!(moves "18" "19"), ends!(moves "20" "21"), ends!(moves "22" "23"), ends!(moves "24" "25"),
            ends!(moves "26" "27"), ends!(moves "28" "29"), ends!(moves "30" "31"),
        )
    };
    (moves $a:literal $b:literal) => {
        concat!("mov v", $a, ".16b, v16.16b\nmov v", $b, ".16b, v17.16b\n")
    };
    (dotprod update) => {
        concat!(
            update_row!("16" "17", "12.s[0]" "14.s[0]"), update_row!("18" "19", "12.s[1]" "14.s[1]"),
            update_row!("20" "21", "12.s[2]" "14.s[2]"), update_row!("22" "23", "12.s[3]" "14.s[3]"),
            update_row!("24" "25", "13.s[0]" "15.s[0]"), update_row!("26" "27", "13.s[1]" "15.s[1]"),
            update_row!("28" "29", "13.s[2]" "15.s[2]"), update_row!("30" "31", "13.s[3]" "15.s[3]"),
        )
    };
    (neon rows) => {
        concat!(
            neon_add!("0", "16" "17" "18" "19"), neon_add!("1", "20" "21" "22" "23"),
            neon_add!("2", "24" "25" "26" "27"), neon_add!("3", "28" "29" "30" "31"),
        )
    };
    (neon scores) => {
        concat!(
            ends!(neon rows),
            "st1 {{v0.4s}}, [{out}], {ldo}\nst1 {{v1.4s}}, [{out}], {ldo}\n",
            "st1 {{v2.4s}}, [{out}], {ldo}\nst1 {{v3.4s}}, [{out}], {ldo}\n",
        )
    };
    (neon start) => {
        zeros!()
    };
    (neon update) => {
        concat!(
            ends!(neon rows),
            "ld1 {{v6.4s}}, [{comp}], #16\n",
            update_neon_row!("0", "12.s[0]" "14.s[0]"), update_neon_row!("1", "12.s[1]" "14.s[1]"),
            update_neon_row!("2", "12.s[2]" "14.s[2]"), update_neon_row!("3", "12.s[3]" "14.s[3]"),
        )
    };
}
