//! The steps of the softmax on NEON (`softmax`), as text for its `asm!`: which registers hold what is said
//! there.

/// `$op` on `$of` lanes, for destinations `v$d`, what follows each, and an immediate for all.
macro_rules! by {
    ($of:literal, $op:literal, $n:literal, $($d:literal $a:literal),+) => {
        concat!($($op, " v", $d, ".", $of, ", v", $a, ".", $of, ", #", $n, "\n"),+)
    };
}

/// Four vectors of scores: as numbers, times the keys' scales from `{$k}` on in four vectors, and masked.
macro_rules! scores {
    ($seen:tt, $k:literal, $a0:literal $a1:literal $a2:literal $a3:literal,
     $k0:literal $k1:literal $k2:literal $k3:literal) => {
        concat!(
            "ld1 {{v", $a0, ".4s-v", $a3, ".4s}}, [{scores}], #64\n",
            "ld1 {{v", $k0, ".4s-v", $k3, ".4s}}, [{", $k, "}]\n",
            "scvtf v", $a0, ".4s, v", $a0, ".4s\n",
            "scvtf v", $a1, ".4s, v", $a1, ".4s\n",
            "scvtf v", $a2, ".4s, v", $a2, ".4s\n",
            "scvtf v", $a3, ".4s, v", $a3, ".4s\n",
            each!("4s", "fmul", $a0 $a0 $k0, $a1 $a1 $k1, $a2 $a2 $k2, $a3 $a3 $k3),
            scores!(@ $seen, $a0 $a1 $a2 $a3),
        )
    };
    (@ near, $a0:literal $a1:literal $a2:literal $a3:literal) => { "" };
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
            each!("4s", "fsub", $a $a "16", $b $b "16"),
            each!("4s", "fmul", $a $a "17", $b $b "17"),
            "fcvtzs v", $a, ".4s, v", $a, ".4s\n",
            "fcvtzs v", $b, ".4s, v", $b, ".4s\n",
            each!("8h", "uzp2", $a $a $b),
        )
    };
}

/// From z in four `$z` to y there and e in `$e`, of 32 keys with the values' scales from `{$mantissa}` and
/// `{$shift}` on.
///
/// `sqrdmlah` adds what `sqrdmulh` makes, and overwrites what it adds to: one load brings four fresh ones.
macro_rules! weights {
    (rdm, $seen:tt, $mantissa:literal $shift:literal, $z0:literal $z1:literal $z2:literal $z3:literal,
     $e0:literal $e1:literal $e2:literal $e3:literal) => {
        concat!(
            by!("8h", "shl", 6, "24" $z0, "25" $z1, "26" $z2, "27" $z3),
            by!("8h", "srshr", 10, $z0 $z0, $z1 $z1, $z2 $z2, $z3 $z3),
            "ld1 {{v16.8h-v19.8h}}, [{c2}]\n",
            "ld1 {{v20.8h-v23.8h}}, [{c1}]\n",
            each!("8h", "sqrdmlah", "16" "24" "28", "17" "25" "28", "18" "26" "28", "19" "27" "28"),
            each!("8h", "sqrdmlah", "20" "24" "16", "21" "25" "17", "22" "26" "18", "23" "27" "19"),
            "ld1 {{v16.8h-v19.8h}}, [{c0}]\n",
            each!("8h", "sqrdmlah", "16" "24" "20", "17" "25" "21", "18" "26" "22", "19" "27" "23"),
            "ld1 {{v20.8h-v23.8h}}, [{", $mantissa, "}]\n",
            "ld1 {{v24.8h-v27.8h}}, [{", $shift, "}]\n",
            unseen!($seen, "24" "25" "26" "27", $e0 $e1 $e2 $e3),
            each!("8h", "ushl", $e0 "16" $z0, $e1 "17" $z1, $e2 "18" $z2, $e3 "19" $z3),
            "uadalp v29.4s, v", $e0, ".8h\n",
            "uadalp v29.4s, v", $e1, ".8h\n",
            "uadalp v29.4s, v", $e2, ".8h\n",
            "uadalp v29.4s, v", $e3, ".8h\n",
            each!("8h", "sub", $e0 "24" $z0, $e1 "25" $z1, $e2 "26" $z2, $e3 "27" $z3),
            each!("8h", "sqrdmulh", $z0 "16" "20", $z1 "17" "21", $z2 "18" "22", $z3 "19" "23"),
        )
    };
    (neon, $seen:tt, $mantissa:literal $shift:literal, $z0:literal $z1:literal $z2:literal $z3:literal,
     $e0:literal $e1:literal $e2:literal $e3:literal) => {
        concat!(
            "ld1 {{v24.8h-v27.8h}}, [{constants}]\n",
            "ld1 {{v16.8h-v19.8h}}, [{", $mantissa, "}]\n",
            "ld1 {{v20.8h-v23.8h}}, [{", $shift, "}]\n",
            unseen!($seen, "20" "21" "22" "23", $e0 $e1 $e2 $e3),
            weights!(@ $z0 $e0, "16" "20"),
            weights!(@ $z1 $e1, "17" "21"),
            weights!(@ $z2 $e2, "18" "22"),
            weights!(@ $z3 $e3, "19" "23"),
        )
    };
    (@ $z:literal $e:literal, $mantissa:literal $shift:literal) => {
        concat!(
            by!("8h", "shl", 6, "30" $z),
            each!("8h", "sqrdmulh", "31" "30" "27"),
            by!("8h", "srshr", 10, $z $z),
            each!("8h", "add", "31" "31" "26"),
            each!("8h", "sqrdmulh", "31" "30" "31"),
            each!("8h", "add", "31" "31" "25"),
            each!("8h", "sqrdmulh", "31" "30" "31"),
            each!("8h", "add", "31" "31" "24"),
            each!("8h", "ushl", $e "31" $z),
            "uadalp v29.4s, v", $e, ".8h\n",
            each!("8h", "sub", $e $shift $z),
            each!("8h", "sqrdmulh", $z "31" $mantissa),
        )
    };
}

/// The shifts of 32 values, of which some keys are not seen, by way of `$e`.
macro_rules! unseen {
    (near, $s0:literal $s1:literal $s2:literal $s3:literal,
     $e0:literal $e1:literal $e2:literal $e3:literal) => { "" };
    (masked, $s0:literal $s1:literal $s2:literal $s3:literal,
     $e0:literal $e1:literal $e2:literal $e3:literal) => {
        concat!(
            "ld1 {{v", $e0, ".8h}}, [{least}], #16\n",
            "ld1 {{v", $e1, ".8h}}, [{least}], #16\n",
            "ld1 {{v", $e2, ".8h}}, [{least}], #16\n",
            "ld1 {{v", $e3, ".8h}}, [{least}], #16\n",
            each!("8h", "smax", $s0 $s0 $e0, $s1 $s1 $e1, $s2 $s2 $e2, $s3 $s3 $e3),
        )
    };
}

/// The least shift that matters, where there are others.
macro_rules! least {
    (near) => {
        ""
    };
    (masked) => {
        "mvni v18.8h, #15\n"
    };
}

/// w of eight keys, from y in `$y` and e in `$e`. `ushl` takes the lowest byte of a shift, so it has to fit
/// one: it does where all are near, but for those of a y of zero.
macro_rules! shifted {
    (near, $($y:literal $e:literal),+) => {
        concat!($(each!("8h", "sub", $e "17" $e), each!("8h", "ushl", $y $y $e)),+)
    };
    (masked, $($y:literal $e:literal),+) => {
        concat!(
            $(
                each!("8h", "sub", $e "17" $e),
                each!("8h", "smax", $e $e "18"),
                each!("8h", "ushl", $y $y $e)
            ),+
        )
    };
}

/// The masks of the next row, which sees as many keys or one more.
macro_rules! next {
    (near) => {
        ""
    };
    (masked) => {
        "sub {most}, {most}, {rewind}\nsub {least}, {least}, {rewind}, lsr #1\n"
    };
}

/// Each lane of v0-v3 to its group of the panel.
macro_rules! put_bytes {
    (4) => { put_bytes!("s", "0" "1" "2" "3") };
    (8) => { put_bytes!("d", "0" "1") };
    (16) => {
        concat!(
            "st1 {{v0.16b}}, [{to}], {step}\nst1 {{v1.16b}}, [{to}], {step}\n",
            "st1 {{v2.16b}}, [{to}], {step}\nst1 {{v3.16b}}, [{to}], {step}\n",
        )
    };
    ($of:literal, $($lane:literal)+) => {
        concat!(
            put_bytes!(@ "0", $of, $($lane)+), put_bytes!(@ "1", $of, $($lane)+),
            put_bytes!(@ "2", $of, $($lane)+), put_bytes!(@ "3", $of, $($lane)+),
        )
    };
    (@ $v:literal, $of:literal, $($lane:literal)+) => {
        concat!($("st1 {{v", $v, ".", $of, "}}[", $lane, "], [{to}], {step}\n"),+)
    };
}

/// u as the product wants it.
macro_rules! flipped {
    (unsigned) => { "" };
    (signed) => {
        concat!(
            "movi v19.16b, #0x80\n",
            each!("16b", "eor", "0" "0" "19", "1" "1" "19", "2" "2" "19", "3" "3" "19"),
        )
    };
}

/// What is the same in every row, into registers.
macro_rules! kept {
    (rdm) => {
        "ldr q28, [{constants}, #48]\n"
    };
    (neon) => {
        ""
    };
}
