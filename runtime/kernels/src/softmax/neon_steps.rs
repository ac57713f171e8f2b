//! The steps of the softmax on NEON (`neon`), as text for its `asm!`: which registers hold what is said
//! there.

/// `$op` on `$of` lanes, for destinations `v$d` and what follows each.
macro_rules! each {
    ($of:literal, $op:literal, $($d:literal $a:literal $b:literal),+) => {
        concat!($($op, " v", $d, ".", $of, ", v", $a, ".", $of, ", v", $b, ".", $of, "\n"),+)
    };
}

/// Four vectors of scores: as numbers, times the keys' scales in `$k`, and masked.
macro_rules! scores {
    ($masked:tt, $a0:literal $a1:literal $a2:literal $a3:literal, $k0:literal $k1:literal $k2:literal $k3:literal) => {
        concat!(
            "ld1 {{v", $a0, ".4s-v", $a3, ".4s}}, [{scores}], #64\n",
            "ld1 {{v", $k0, ".4s-v", $k3, ".4s}}, [{k_scale}], #64\n",
            "scvtf v", $a0, ".4s, v", $a0, ".4s\n",
            "scvtf v", $a1, ".4s, v", $a1, ".4s\n",
            "scvtf v", $a2, ".4s, v", $a2, ".4s\n",
            "scvtf v", $a3, ".4s, v", $a3, ".4s\n",
            each!("4s", "fmul", $a0 $a0 $k0, $a1 $a1 $k1, $a2 $a2 $k2, $a3 $a3 $k3),
            scores!(@ $masked, $a0 $a1 $a2 $a3),
        )
    };
    (@ whole, $a0:literal $a1:literal $a2:literal $a3:literal) => { "" };
    (@ masked, $a0:literal $a1:literal $a2:literal $a3:literal) => {
        concat!(
            "ld1 {{v24.4s-v27.4s}}, [{most}], #64\n",
            each!("4s", "fmin", $a0 $a0 "24", $a1 $a1 "25", $a2 $a2 "26", $a3 $a3 "27"),
        )
    };
}

/// z of eight keys, whose scores are `$a` and `$b`, into `$a`.
macro_rules! below {
    ($a:literal $b:literal) => {
        concat!(
            each!("4s", "fsub", $a "16" $a, $b "16" $b),
            each!("4s", "fmul", $a $a "17", $b $b "17"),
            "fcvtnu v", $a, ".4s, v", $a, ".4s\n",
            "fcvtnu v", $b, ".4s, v", $b, ".4s\n",
            "uqxtn v", $a, ".4h, v", $a, ".4s\n",
            "uqxtn2 v", $a, ".8h, v", $b, ".4s\n",
        )
    };
}

/// From z in `$z` to y there and e in `$e`, of eight keys with the values' scales in `$mantissa` and
/// `$shift`.
macro_rules! weight {
    ($z:literal $e:literal, $mantissa:literal $shift:literal) => {
        concat!(
            "shl v30.8h, v",
            $z,
            ".8h, #5\n",
            "sqrdmulh v31.8h, v30.8h, v27.8h\n",
            "uqadd v",
            $z,
            ".8h, v",
            $z,
            ".8h, v28.8h\n",
            "add v31.8h, v31.8h, v26.8h\n",
            "ushr v",
            $z,
            ".8h, v",
            $z,
            ".8h, #11\n",
            "sqrdmulh v31.8h, v30.8h, v31.8h\n",
            "neg v",
            $z,
            ".8h, v",
            $z,
            ".8h\n",
            "add v31.8h, v31.8h, v25.8h\n",
            "sqrdmulh v31.8h, v30.8h, v31.8h\n",
            "add v31.8h, v31.8h, v24.8h\n",
            "ushl v",
            $e,
            ".8h, v31.8h, v",
            $z,
            ".8h\n",
            "uadalp v29.4s, v",
            $e,
            ".8h\n",
            "sub v",
            $e,
            ".8h, v",
            $shift,
            ".8h, v",
            $z,
            ".8h\n",
            "sqrdmulh v",
            $z,
            ".8h, v31.8h, v",
            $mantissa,
            ".8h\n",
        )
    };
}

/// The scales of 32 keys' values.
macro_rules! values {
    (whole) => {
        "ld1 {{v16.8h-v19.8h}}, [{mantissa}], #64\nld1 {{v20.8h-v23.8h}}, [{shift}], #64\n"
    };
    (masked) => {
        concat!(
            values!(whole),
            "ld1 {{v30.8h, v31.8h}}, [{least}], #32\n",
            each!("8h", "smax", "20" "20" "30", "21" "21" "31"),
            "ld1 {{v30.8h, v31.8h}}, [{least}], #32\n",
            each!("8h", "smax", "22" "22" "30", "23" "23" "31"),
        )
    };
}

/// w of eight keys, from y in `$y` and e in `$e`. ushl takes the lowest byte of a shift, so it has to fit
/// one.
macro_rules! shifted {
    ($y:literal $e:literal) => {
        concat!(
            each!("8h", "sub", $e "17" $e),
            each!("8h", "smax", $e $e "18"),
            each!("8h", "ushl", $y $y $e),
        )
    };
}
