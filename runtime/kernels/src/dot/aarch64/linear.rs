//! The int8 linear layer over whole tiles, from operands to finished rows.
//!
//! [`Tile`](crate::dot::Tile) leaves its sums in memory, and what comes after reads them back. Here they stay
//! in registers: a loop (`loops`) over the inner dimension, then the rows' end (`finish`), then the next
//! rows. Everything is written out, because one register too many on the way spills sixteen.

use core::arch::asm;

use crate::dot::Layout;
use crate::isa::Isa;
use crate::portable::lanes::Line;

/// Bytes of k of a row or a column that a turn of `isa`'s loop takes, a multiple of its kr.
pub(super) const fn turn(isa: Isa) -> usize {
    match isa {
        Isa::Dotprod => 32,
        _ => 64,
    }
}

/// Likewise of the loop for many k, which counts less often. NEON's needs no other.
const fn long_turn(isa: Isa) -> usize {
    match isa {
        Isa::Dotprod => 128,
        Isa::I8mm => 256,
        _ => turn(isa),
    }
}

const _: () = {
    let (neon, dotprod, i8mm) = (
        Layout::of(Isa::Neon),
        Layout::of(Isa::Dotprod),
        Layout::of(Isa::I8mm),
    );
    assert!(neon.mr == 4 && neon.nr == 4 && neon.kr == 16);
    assert!(dotprod.mr == 8 && dotprod.nr == 8 && dotprod.kr == 4);
    assert!(i8mm.mr == 8 && i8mm.nr == 8 && i8mm.kr == 8);
};

/// A panel of columns, and all rows that it is multiplied by.
pub(crate) struct Job<'a> {
    /// Panels of rows.
    pub(crate) a: &'a [u8],
    /// Scale and shift of each row: how many there are, a multiple of mr.
    pub(crate) scales: &'a [f32],
    pub(crate) shifts: &'a [i32],
    /// Whether some shift is not 0.
    pub(crate) shifted: bool,
    pub(crate) weights: &'a [u8],
    /// Of all nr columns.
    pub(crate) w_scale: &'a [f32],
    pub(crate) w_sums: &'a [i32],
    pub(crate) bias: &'a [f32],
    /// From the first column of the first row on.
    pub(crate) out: &'a mut [f32],
    pub(crate) ldo: usize,
    /// Whether rows are added to what is there.
    pub(crate) add: bool,
}

/// What sums start from, one load for four registers.
pub(super) static ZEROS: Line<[i32; 16]> = Line([0; 16]);

/// Whether there are such tiles for `isa`, an inner dimension of `k_groups` and what becomes of the rows.
pub(crate) const fn fits(isa: Isa, k_groups: usize, shifted: bool, add: bool) -> bool {
    let bytes = k_groups * Layout::of(isa).kr;
    let known = matches!(isa, Isa::Neon | Isa::Dotprod | Isa::I8mm);
    known && bytes > 0 && bytes.is_multiple_of(turn(isa)) && (add || !shifted)
}

/// All rows of a panel of columns.
///
/// # Safety
/// This machine must have `isa`, for which `fits` said yes, and the operands must be laid out for it.
#[inline(always)]
pub(crate) unsafe fn panel(isa: Isa, k_groups: usize, job: &mut Job<'_>) {
    let Layout { mr, nr, kr, .. } = Layout::of(isa);
    let (k, rows) = (k_groups * kr, job.scales.len());
    assert!(fits(isa, k_groups, job.shifted, job.add));
    assert!(rows > 0 && rows.is_multiple_of(mr) && job.shifts.len() == rows);
    assert!(job.a.len() >= k * rows && job.weights.len() >= k * nr);
    assert!(job.w_scale.len() >= nr && job.w_sums.len() >= nr && job.bias.len() == nr);
    assert!(job.out.len() >= (rows - 1) * job.ldo + nr);
    let paired = pairs(isa) && !job.shifted && !job.add;
    let (mut bias, mut w_scale) = (Line([0.0; 16]), Line([0.0; 16]));
    for (to, from) in [(&mut bias, job.bias), (&mut w_scale, &job.w_scale[..nr])] {
        if paired {
            let twos = from.as_chunks::<2>().0;
            for (to, two) in to.0.as_chunks_mut::<2>().0.chunks_exact_mut(2).zip(twos) {
                to.fill(*two);
            }
        } else {
            for to in to.0.chunks_exact_mut(nr) {
                to.copy_from_slice(from);
            }
        }
    }
    let long = k.is_multiple_of(long_turn(isa));
    let turns = k / if long { long_turn(isa) } else { turn(isa) };
    let (panels, columns) = (rows / mr, (&bias.0, &w_scale.0));
    // SAFETY: the lengths were checked just above; the caller vouches for the rest.
    unsafe {
        match (isa, long) {
            (Isa::I8mm, true) => i8mm_long::panel(turns, panels, columns, job),
            (Isa::I8mm, false) => i8mm::panel(turns, panels, columns, job),
            (Isa::Dotprod, true) => dotprod_long::panel(turns, panels, columns, job),
            (Isa::Dotprod, false) => dotprod::panel(turns, panels, columns, job),
            _ => neon::panel(turns, panels, columns, job),
        }
    }
}

/// Whether rows that are stored as they come are finished two at a time, as the registers of `isa` hold them.
const fn pairs(isa: Isa) -> bool {
    matches!(isa, Isa::I8mm)
}

/// Bias and scale of a panel's columns: once for each of as many rows as fill 16 lanes, or each two columns'
/// twice.
type Columns<'a> = (&'a [f32; 16], &'a [f32; 16]);

/// A function `$name` for rows that are shifted or not, stored or added.
macro_rules! kind {
    ($name:ident, $features:literal, $turn:expr, $registers:ident, $finish:ident, $shifted:tt, $add:tt) => {
        /// # Safety
        /// The instructions must be there; `turns` and `panels` of rows must not be 0, and everything as long
        /// as they say.
        #[inline]
        #[target_feature(enable = $features)]
        unsafe fn $name(
            turns: usize,
            panels: usize,
            (bias, w_scale): Columns<'_>,
            job: &mut Job<'_>,
        ) {
            // SAFETY: it reads `turns` turns of the weights and of `panels` panels of rows, a scale and a
            // shift for each row, a scale, a sum and a bias for each column, and writes a panel's columns of
            // all rows.
            unsafe {
                asm!(
                    "3:",
                    "ld1 {{v16.4s-v19.4s}}, [{zeros}]",
                    "mov {w}, {weights}",
                    "ld1 {{v20.4s-v23.4s}}, [{zeros}]",
                    "mov {turns}, {all}",
                    "ld1 {{v24.4s-v27.4s}}, [{zeros}]",
                    "ld1 {{v28.4s-v31.4s}}, [{zeros}]",
                    "2:",
                    $turn,
                    "b.ne 2b",
                    load_scales!($registers, $shifted),
                    $finish!($shifted, $add),
                    "subs {panels}, {panels}, #1",
                    "b.ne 3b",
                    "/* {shifts} {w_sums} */",
                    a = inout(reg) job.a.as_ptr() => _,
                    w = out(reg) _,
                    weights = in(reg) job.weights.as_ptr(),
                    turns = out(reg) _,
                    all = in(reg) turns,
                    panels = inout(reg) panels => _,
                    out = inout(reg) job.out.as_mut_ptr() => _,
                    ldo = in(reg) job.ldo * size_of::<f32>(),
                    zeros = in(reg) ZEROS.0.as_ptr(),
                    w_scale = in(reg) w_scale.as_ptr(),
                    w_sums = in(reg) job.w_sums.as_ptr(),
                    bias = in(reg) bias.as_ptr(),
                    scales = inout(reg) job.scales.as_ptr() => _,
                    shifts = inout(reg) job.shifts.as_ptr() => _,
                    out("v0") _, out("v1") _, out("v2") _, out("v3") _,
                    out("v4") _, out("v5") _, out("v6") _, out("v7") _,
                    out("v8") _, out("v9") _, out("v10") _, out("v11") _,
                    out("v12") _, out("v13") _, out("v14") _, out("v15") _,
                    out("v16") _, out("v17") _, out("v18") _, out("v19") _,
                    out("v20") _, out("v21") _, out("v22") _, out("v23") _,
                    out("v24") _, out("v25") _, out("v26") _, out("v27") _,
                    out("v28") _, out("v29") _, out("v30") _, out("v31") _,
                    options(nostack),
                );
            }
        }
    };
}

/// The three kinds of a loop; rows that are stored may end otherwise.
macro_rules! kinds {
    ($loop:ident, $features:literal, $turn:expr, $registers:ident $finish:ident,
     $stored_registers:ident $stored_finish:ident) => {
        mod $loop {
            use super::{Columns, Job, ZEROS, asm};

            kind!(
                stored,
                $features,
                $turn,
                $stored_registers,
                $stored_finish,
                no,
                no
            );
            kind!(added, $features, $turn, $registers, $finish, no, yes);
            kind!(shifted, $features, $turn, $registers, $finish, yes, yes);

            /// # Safety
            /// As of each kind.
            #[inline]
            #[target_feature(enable = $features)]
            pub(super) unsafe fn panel(
                turns: usize,
                panels: usize,
                columns: Columns<'_>,
                job: &mut Job<'_>,
            ) {
                // SAFETY: the caller's.
                unsafe {
                    match (job.shifted, job.add) {
                        (false, false) => stored(turns, panels, columns, job),
                        (false, true) => added(turns, panels, columns, job),
                        (true, _) => shifted(turns, panels, columns, job),
                    }
                }
            }
        }
    };
}

kinds!(neon, "neon", neon_turn!(), one neon_finish, one neon_finish);
kinds!(dotprod, "neon,dotprod", dotprod_turn!(), two dotprod_finish, two dotprod_finish);
kinds!(dotprod_long, "neon,dotprod", dotprod_turn!(long), two dotprod_finish, two dotprod_finish);
kinds!(i8mm, "neon,i8mm", i8mm_turn!(), two i8mm_finish, pairs i8mm_pairs);
kinds!(i8mm_long, "neon,i8mm", i8mm_turn!(long), two i8mm_finish, pairs i8mm_pairs);
