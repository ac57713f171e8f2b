//! What becomes of the sums of attention's products (`attention`), which are in v16-v31: rows of scores, or
//! of the output.
//!
//! Between the tiles of a row the output lies as the sums do in registers, panel after panel of columns:
//!
//! ```text
//! i8mm      [row pair][column pair][row][column]
//! others    [row][column]
//! ```

/// What sums of values start from: of dotprod `v_correction`, which NEON adds to whole sums and i8mm does without.
macro_rules! start {
    (dotprod) => {
        concat!(
            start!("16" "17"), start!("18" "19"), start!("20" "21"), start!("22" "23"),
            start!("24" "25"), start!("26" "27"), start!("28" "29"),
            "ld1 {{v30.4s, v31.4s}}, [{comp}], #32\n",
        )
    };
    ($isa:ident) => {
        zeros!($isa)
    };
    ($a:literal $b:literal) => {
        concat!("ld1 {{v", $a, ".4s, v", $b, ".4s}}, [{comp}]\n")
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

/// Stores what four registers hold to rows `{ldo}` apart; the next row is `$then` from the last.
macro_rules! rows {
    (i8mm, $then:literal, $s0:literal $s1:literal $s2:literal $s3:literal) => {
        concat!(
            "st4 {{v",
            $s0,
            ".d, v",
            $s1,
            ".d, v",
            $s2,
            ".d, v",
            $s3,
            ".d}}[0], [{out}], {ldo}\n",
            "st4 {{v",
            $s0,
            ".d, v",
            $s1,
            ".d, v",
            $s2,
            ".d, v",
            $s3,
            ".d}}[1], [{out}], ",
            $then,
            "\n",
        )
    };
    (dotprod, $then:literal, $s0:literal $s1:literal $s2:literal $s3:literal) => {
        concat!(
            "st1 {{v",
            $s0,
            ".4s, v",
            $s1,
            ".4s}}, [{out}], {ldo}\n",
            "st1 {{v",
            $s2,
            ".4s, v",
            $s3,
            ".4s}}, [{out}], ",
            $then,
            "\n",
        )
    };
    (neon, $then:literal, $s0:literal $s1:literal $s2:literal $s3:literal) => {
        concat!(
            "st1 {{v",
            $s0,
            ".4s}}, [{out}], {ldo}\nst1 {{v",
            $s1,
            ".4s}}, [{out}], {ldo}\n",
            "st1 {{v",
            $s2,
            ".4s}}, [{out}], {ldo}\nst1 {{v",
            $s3,
            ".4s}}, [{out}], ",
            $then,
            "\n",
        )
    };
}

/// The scores of a panel of keys to rows, and on to the next panel.
macro_rules! scores_end {
    (neon) => {
        concat!(
            neon_add!("0", "16" "17" "18" "19"), neon_add!("1", "20" "21" "22" "23"),
            neon_add!("2", "24" "25" "26" "27"), neon_add!("3", "28" "29" "30" "31"),
            rows!(neon, "{back}", "0" "1" "2" "3"),
        )
    };
    ($isa:ident) => {
        concat!(
            rows!($isa, "{ldo}", "16" "17" "18" "19"), rows!($isa, "{ldo}", "20" "21" "22" "23"),
            rows!($isa, "{ldo}", "24" "25" "26" "27"), rows!($isa, "{back}", "28" "29" "30" "31"),
        )
    };
}

/// Two registers of a number for each row of i8mm as it multiplies by them: four, of two rows each, every
/// number for two columns.
macro_rules! twice {
    ($of0:literal $of1:literal, $a:literal $b:literal $c:literal $d:literal) => {
        concat!(
            "zip1 v",
            $a,
            ".4s, v",
            $of0,
            ".4s, v",
            $of0,
            ".4s\nzip2 v",
            $b,
            ".4s, v",
            $of0,
            ".4s, v",
            $of0,
            ".4s\n",
            "zip1 v",
            $c,
            ".4s, v",
            $of1,
            ".4s, v",
            $of1,
            ".4s\nzip2 v",
            $d,
            ".4s, v",
            $of1,
            ".4s, v",
            $of1,
            ".4s\n",
        )
    };
}

/// Before all panels: what `factors` reads, if it is not what came in.
macro_rules! prepare_factors {
    (i8mm) => {
        concat!(
            "ld1 {{v0.4s-v3.4s}}, [{factors}]\nmov {scale}, {pairs}\n",
            twice!("0" "1", "4" "5" "6" "7"), twice!("2" "3", "8" "9" "10" "11"),
            "st1 {{v4.4s-v7.4s}}, [{scale}], #64\nst1 {{v8.4s-v11.4s}}, [{scale}]\n",
        )
    };
    ($isa:ident) => { "" };
}

/// Alpha and scale, as `by_rows` names them.
macro_rules! factors {
    (i8mm) => {
        "ld1 {{v0.4s-v3.4s}}, [{pairs}]\nld1 {{v4.4s-v7.4s}}, [{scale}]\n"
    };
    (dotprod) => {
        "ld1 {{v0.4s-v3.4s}}, [{factors}]\n"
    };
    (neon) => {
        "ld1 {{v0.4s, v1.4s}}, [{factors}]\n"
    };
}

/// `1 / l` where `by_rows` wants scale.
macro_rules! inverse {
    (i8mm) => {
        concat!(
            "ld1 {{v0.4s, v1.4s}}, [{l}]\nfmov v2.4s, #1.0\n",
            "fdiv v0.4s, v2.4s, v0.4s\nfdiv v1.4s, v2.4s, v1.4s\n",
            twice!("0" "1", "4" "5" "6" "7"),
        )
    };
    (dotprod) => {
        concat!(
            "ld1 {{v2.4s, v3.4s}}, [{l}]\nfmov v4.4s, #1.0\n",
            "fdiv v2.4s, v4.4s, v2.4s\nfdiv v3.4s, v4.4s, v3.4s\n",
        )
    };
    (neon) => {
        "ld1 {{v1.4s}}, [{l}]\nfmov v4.4s, #1.0\nfdiv v1.4s, v4.4s, v1.4s\n"
    };
}

/// `$what` of each four registers of sums, with the lanes that hold alpha and scale of their rows.
macro_rules! by_rows {
    (i8mm, $what:ident) => {
        concat!(
            $what!(
                i8mm, "{ldo}", ["16" "17" "18" "19"],
                ["0.4s" "0.4s" "0.4s" "0.4s"], ["4.4s" "4.4s" "4.4s" "4.4s"]
            ),
            $what!(
                i8mm, "{ldo}", ["20" "21" "22" "23"],
                ["1.4s" "1.4s" "1.4s" "1.4s"], ["5.4s" "5.4s" "5.4s" "5.4s"]
            ),
            $what!(
                i8mm, "{ldo}", ["24" "25" "26" "27"],
                ["2.4s" "2.4s" "2.4s" "2.4s"], ["6.4s" "6.4s" "6.4s" "6.4s"]
            ),
            $what!(
                i8mm, "{back}", ["28" "29" "30" "31"],
                ["3.4s" "3.4s" "3.4s" "3.4s"], ["7.4s" "7.4s" "7.4s" "7.4s"]
            ),
        )
    };
    (dotprod, $what:ident) => {
        concat!(
            $what!(
                dotprod, "{ldo}", ["16" "17" "18" "19"],
                ["0.s[0]" "0.s[0]" "0.s[1]" "0.s[1]"], ["2.s[0]" "2.s[0]" "2.s[1]" "2.s[1]"]
            ),
            $what!(
                dotprod, "{ldo}", ["20" "21" "22" "23"],
                ["0.s[2]" "0.s[2]" "0.s[3]" "0.s[3]"], ["2.s[2]" "2.s[2]" "2.s[3]" "2.s[3]"]
            ),
            $what!(
                dotprod, "{ldo}", ["24" "25" "26" "27"],
                ["1.s[0]" "1.s[0]" "1.s[1]" "1.s[1]"], ["3.s[0]" "3.s[0]" "3.s[1]" "3.s[1]"]
            ),
            $what!(
                dotprod, "{back}", ["28" "29" "30" "31"],
                ["1.s[2]" "1.s[2]" "1.s[3]" "1.s[3]"], ["3.s[2]" "3.s[2]" "3.s[3]" "3.s[3]"]
            ),
        )
    };
    (neon, $what:ident) => {
        $what!(
            neon, "{back}", ["16" "20" "24" "28"],
            ["0.s[0]" "0.s[1]" "0.s[2]" "0.s[3]"], ["1.s[0]" "1.s[1]" "1.s[2]" "1.s[3]"]
        )
    };
}

/// Four registers of the output, loaded or stored.
macro_rules! output {
    ($op:literal, [$a:literal $b:literal $c:literal $d:literal], $then:literal) => {
        concat!($op, " {{v", $a, ".4s-v", $d, ".4s}}, [{o}]", $then, "\n")
    };
}

/// Sums into the output: `fma(sum, scale, o * alpha)`.
macro_rules! updated {
    ($isa:ident, $then:literal, $sums:tt, $alpha:tt, $scale:tt) => {
        concat!(
            output!("ld1", ["8" "9" "10" "11"], ""),
            four!("scvtf", $sums, $sums),
            four!("fmul", ["8" "9" "10" "11"], ["8" "9" "10" "11"], $alpha),
            four!("fmla", ["8" "9" "10" "11"], $sums, $scale),
            output!("st1", ["8" "9" "10" "11"], ", #64"),
        )
    };
}

/// What comes before the sums of NEON are those of a row each, in the first register of each: `v_correction` too.
macro_rules! whole {
    (neon) => {
        concat!(
            "ld1 {{v6.4s}}, [{comp}], #16\n",
            neon_add!("16", "16" "17" "18" "19"), neon_add!("20", "20" "21" "22" "23"),
            neon_add!("24", "24" "25" "26" "27"), neon_add!("28", "28" "29" "30" "31"),
            four!("add", ["16" "20" "24" "28"], ["16" "20" "24" "28"], ["6.4s" "6.4s" "6.4s" "6.4s"]),
        )
    };
    ($isa:ident) => { "" };
}

/// The output times what scale holds, to rows.
macro_rules! divided {
    ($isa:ident, $then:literal, [$a:literal $b:literal $c:literal $d:literal], $unused:tt, $inverse:tt) => {
        concat!(
            output!("ld1", ["8" "9" "10" "11"], ", #64"),
            four!("fmul", ["8" "9" "10" "11"], ["8" "9" "10" "11"], $inverse),
            rows!($isa, $then, "8" "9" "10" "11"),
        )
    };
}
