//! The loop of `split`: a chain of 32 k at a time.
//!
//! ```text
//! v0-v3    the first 16 k of four rows        v12-v15  products of a column with four rows
//! v4-v7    the other 16                       v16-v31  sums of a row and a column each
//! v8-v11   both halves of two columns
//! ```
//!
//! A column's sums come before the next one's first products, after a load where there is one, and the next
//! chain's rows while the last column multiplies: a core that executes in order waits little for either.

/// The products of a column in `$w0` and `$w1` with all rows, four by four in 16 bits. `$first` comes when v0-v3
/// are no longer wanted, `$second` when v4-v7 are not.
macro_rules! chain_products {
    ($w0:literal $w1:literal, $first:expr, $second:expr) => {
        concat!(
            chain_products!("smull", "0" "1" "2" "3", $w0, "8b"),
            chain_products!("smlal2", "0" "1" "2" "3", $w0, "16b"),
            $first,
            chain_products!("smlal", "4" "5" "6" "7", $w1, "8b"),
            chain_products!("smlal2", "4" "5" "6" "7", $w1, "16b"),
            $second,
        )
    };
    ($op:literal, $a0:literal $a1:literal $a2:literal $a3:literal, $w:literal, $bytes:literal) => {
        concat!(
            $op, " v12.8h, v", $a0, ".", $bytes, ", v", $w, ".", $bytes, "\n",
            $op, " v13.8h, v", $a1, ".", $bytes, ", v", $w, ".", $bytes, "\n",
            $op, " v14.8h, v", $a2, ".", $bytes, ", v", $w, ".", $bytes, "\n",
            $op, " v15.8h, v", $a3, ".", $bytes, ", v", $w, ".", $bytes, "\n",
        )
    };
}

/// Products added to the sums of a column.
macro_rules! chain_sums {
    ($s0:literal $s1:literal $s2:literal $s3:literal) => {
        concat!(
            "sadalp v",
            $s0,
            ".4s, v12.8h\n",
            "sadalp v",
            $s1,
            ".4s, v13.8h\n",
            "sadalp v",
            $s2,
            ".4s, v14.8h\n",
            "sadalp v",
            $s3,
            ".4s, v15.8h\n",
        )
    };
}

/// 128 k.
macro_rules! split_turn {
    () => {
        concat!(
            "ld1 {{v0.16b-v3.16b}}, [{a}], #64\n",
            "subs {turns}, {turns}, #1\n",
            "ld1 {{v8.16b-v11.16b}}, [{w}], #64\n",
            "ld1 {{v4.16b-v7.16b}}, [{a}], #64\n",
            split_turn!(chain split_turn!(more)),
            split_turn!(next),
            split_turn!(chain split_turn!(more)),
            split_turn!(next),
            split_turn!(chain split_turn!(more)),
            split_turn!(next),
            split_turn!(chain chain_products!("10" "11", "", "")),
            chain_sums!("19" "23" "27" "31"),
        )
    };
    (chain $last:expr) => {
        concat!(
            chain_products!("8" "9", "", ""),
            chain_sums!("16" "20" "24" "28"),
            chain_products!("10" "11", "", ""),
            "ld1 {{v8.16b-v11.16b}}, [{w}], #64\n",
            chain_sums!("17" "21" "25" "29"),
            chain_products!("8" "9", "", ""),
            chain_sums!("18" "22" "26" "30"),
            $last,
        )
    };
    (more) => {
        chain_products!(
            "10" "11",
            "ld1 {{v0.16b-v3.16b}}, [{a}], #64\n",
            "ld1 {{v4.16b-v7.16b}}, [{a}], #64\n"
        )
    };
    (next) => {
        concat!("ld1 {{v8.16b-v11.16b}}, [{w}], #64\n", chain_sums!("19" "23" "27" "31"))
    };
}

/// The products of remainders added to four rows of four columns.
macro_rules! split_remainders {
    () => {
        concat!(
            "ld1 {{v16.8h, v17.8h}}, [{remainders}], #32\n",
            "saddw v0.4s, v0.4s, v16.4h\n",
            "saddw2 v1.4s, v1.4s, v16.8h\n",
            "saddw v2.4s, v2.4s, v17.4h\n",
            "saddw2 v3.4s, v3.4s, v17.8h\n",
        )
    };
}

/// Four columns of a chain, out of two groups of four columns: both halves of a column side by side.
macro_rules! chain_copy {
    () => {
        concat!(
            "ld1 {{v0.16b-v3.16b}}, [{from}], #64\n",
            "ld1 {{v4.16b-v7.16b}}, [{from}], #64\n",
            "stp q0, q4, [{to}], #32\n",
            "stp q1, q5, [{to}], #32\n",
            "stp q2, q6, [{to}], #32\n",
            "stp q3, q7, [{to}], #32\n",
        )
    };
}
