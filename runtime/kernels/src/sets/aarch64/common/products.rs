//! The functions of attention's products (`attention`) around the text of their loops (`loops`) and of what
//! becomes of the sums (`update`).

/// All sums zero, for an instruction set whose products do not see to that themselves.
macro_rules! zeros {
    (neon) => {
        ""
    };
    ($isa:ident) => {
        zeros!()
    };
    () => {
        concat!(
            "ld1 {{v16.4s-v19.4s}}, [{zeros}]\nld1 {{v20.4s-v23.4s}}, [{zeros}]\n",
            "ld1 {{v24.4s-v27.4s}}, [{zeros}]\nld1 {{v28.4s-v31.4s}}, [{zeros}]\n",
        )
    };
}

/// Turns of a loop.
macro_rules! turns {
    ($turn:expr) => {
        concat!("mov {turns}, {all}\n2:\n", $turn, "b.ne 2b\n")
    };
}

/// A function `$name` for scores, whose products over all k are `$products`.
macro_rules! scores_fn {
    ($name:ident, $isa:ident, $features:literal, $products:expr) => {
        /// # Safety
        /// As the function that calls it, which has checked the lengths; `turns` and `panels` must not be 0.
        #[inline]
        #[target_feature(enable = $features)]
        pub(super) unsafe fn $name(
            turns: usize,
            panels: usize,
            q: *const u8,
            k: *const u8,
            out: *mut i32,
        ) {
            const LDO: usize = KV_TILE * size_of::<i32>();
            // SAFETY: it reads a panel of `q` and `panels` of `k`, and writes as many columns of a panel's
            // rows.
            unsafe {
                asm_all_vectors!(
                    "3:",
                    "mov {a}, {q}",
                    zeros!($isa),
                    $products,
                    scores_end!($isa),
                    "subs {panels}, {panels}, #1",
                    "b.ne 3b",
                    "/* {turns} {all} {zeros} */",
                    a = out(reg) _,
                    w = inout(reg) k => _,
                    q = in(reg) q,
                    turns = out(reg) _,
                    all = in(reg) turns,
                    panels = inout(reg) panels => _,
                    out = inout(reg) out => _,
                    ldo = in(reg) LDO,
                    back = in(reg) back(LAYOUT, LDO),
                    zeros = in(reg) ZEROS.0.as_ptr(),
                );
            }
        }
    };
}

/// A function `$name` for an update, whose products over keys are `$products`.
macro_rules! update_fn {
    ($name:ident, $isa:ident, $features:literal, $products:expr) => {
        /// # Safety
        /// As the function that calls it, which has checked the lengths.
        #[inline]
        #[target_feature(enable = $features)]
        pub(super) unsafe fn $name(turns: usize, panels: usize, update: &Update<'_>, o: *mut f32) {
            let mut pairs = core::mem::MaybeUninit::<Line<[f32; 4 * LAYOUT.mr]>>::uninit();
            // SAFETY: it reads a panel of `p`, `panels` of `v` and of `v_comp`, and alpha and scale of each
            // row; it reads and writes as many panels of output, and writes each factor twice to `pairs`.
            unsafe {
                asm_all_vectors!(
                    prepare_factors!($isa),
                    "3:",
                    "mov {a}, {p}",
                    start!($isa),
                    $products,
                    factors!($isa),
                    whole!($isa),
                    by_rows!($isa, updated),
                    "subs {panels}, {panels}, #1",
                    "b.ne 3b",
                    "/* {turns} {all} {skip} {zeros} {comp} {factors} {pairs} {scale} */",
                    a = out(reg) _,
                    w = inout(reg) update.v.as_ptr() => _,
                    p = in(reg) update.p.as_ptr(),
                    turns = out(reg) _,
                    all = in(reg) turns,
                    panels = inout(reg) panels => _,
                    skip = in(reg) (KV_TILE - turns.min(KV_TILE / LAYOUT.kr) * LAYOUT.kr) * LAYOUT.nr,
                    comp = inout(reg) update.v_correction.as_ptr() => _,
                    factors = in(reg) update.factors.as_ptr(),
                    pairs = in(reg) pairs.as_mut_ptr(),
                    scale = out(reg) _,
                    o = inout(reg) o => _,
                    zeros = in(reg) ZEROS.0.as_ptr(),
                );
            }
        }
    };
}

/// The function `finish` of an instruction set.
macro_rules! finish_fn {
    ($isa:ident, $features:literal) => {
        /// # Safety
        /// As the function that calls it, which has checked the lengths.
        #[inline]
        #[target_feature(enable = $features)]
        pub(super) unsafe fn finish(
            panels: usize,
            o: *const f32,
            l: &[f32; MAX_MR],
            out: *mut f32,
            ldo: usize,
        ) {
            let ldo = ldo * size_of::<f32>();
            // SAFETY: it reads `panels` panels of output and a number for each row, and writes as many
            // columns of a panel's rows.
            unsafe {
                core::arch::asm!(
                    inverse!($isa),
                    "3:",
                    by_rows!($isa, divided),
                    "subs {panels}, {panels}, #1",
                    "b.ne 3b",
                    "/* {ldo} */",
                    o = inout(reg) o => _,
                    l = in(reg) l,
                    panels = inout(reg) panels => _,
                    out = inout(reg) out => _,
                    ldo = in(reg) ldo,
                    back = in(reg) back(LAYOUT, ldo),
                    out("v0") _, out("v1") _, out("v2") _, out("v3") _,
                    out("v4") _, out("v5") _, out("v6") _, out("v7") _,
                    out("v8") _, out("v9") _, out("v10") _, out("v11") _,
                    options(nostack),
                );
            }
        }
    };
}
