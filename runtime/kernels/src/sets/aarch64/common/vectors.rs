//! Text that all `asm!` here is made of, and `asm!` that needs every vector register there is.

/// `$op` on `$of` lanes for each of a list of registers: the destination, and what follows it.
macro_rules! each {
    ($of:literal, $op:literal, $($d:literal $a:literal $b:literal),+) => {
        concat!($($op, " v", $d, ".", $of, ", v", $a, ".", $of, ", v", $b, ".", $of, "\n"),+)
    };
    ($of:literal, $op:literal, $($d:literal $a:literal),+) => {
        concat!($($op, " v", $d, ".", $of, ", v", $a, ".", $of, "\n"),+)
    };
}

/// `asm!` of these templates and operands, the last with a comma behind it, that may change all vector registers and leaves the stack
/// alone.
macro_rules! asm_all_vectors {
    ($($what:tt)*) => {
        core::arch::asm!(
            $($what)*
            out("v0") _, out("v1") _, out("v2") _, out("v3") _,
            out("v4") _, out("v5") _, out("v6") _, out("v7") _,
            out("v8") _, out("v9") _, out("v10") _, out("v11") _,
            out("v12") _, out("v13") _, out("v14") _, out("v15") _,
            out("v16") _, out("v17") _, out("v18") _, out("v19") _,
            out("v20") _, out("v21") _, out("v22") _, out("v23") _,
            out("v24") _, out("v25") _, out("v26") _, out("v27") _,
            out("v28") _, out("v29") _, out("v30") _, out("v31") _,
            options(nostack),
        )
    };
}
