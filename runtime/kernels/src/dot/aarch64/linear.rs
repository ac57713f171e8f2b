//! The int8 linear layer over whole tiles, from operands to finished rows.
//!
//! [`Tile`](crate::dot::Tile) leaves its sums in memory, and what comes after reads them back. Here they stay
//! in registers: a loop (`loops`) over the inner dimension, then the rows' end (`finish`), then the next
//! rows. Everything is written out, because one register too many on the way spills sixteen.

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

/// Panels of columns, and all rows that they are multiplied by.
pub(crate) struct Job<'a> {
    /// Panels of rows.
    pub(crate) a: &'a [u8],
    /// Scale and shift of each row: how many there are, a multiple of mr.
    pub(crate) scales: &'a [f32],
    pub(crate) shifts: &'a [i32],
    /// Whether some shift is not 0.
    pub(crate) shifted: bool,
    pub(crate) weights: &'a [u8],
    /// Of all columns, a multiple of nr.
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

/// All rows of all columns.
///
/// # Safety
/// This machine must have `isa`, for which `fits` said yes, and the operands must be laid out for it.
#[inline(always)]
pub(crate) unsafe fn panels(isa: Isa, k_groups: usize, job: &mut Job<'_>) {
    let Layout { mr, nr, kr, .. } = Layout::of(isa);
    let (k, rows, columns) = (k_groups * kr, job.scales.len(), job.w_scale.len());
    assert!(fits(isa, k_groups, job.shifted, job.add));
    assert!(rows > 0 && rows.is_multiple_of(mr) && job.shifts.len() == rows);
    assert!(columns > 0 && columns.is_multiple_of(nr));
    assert!(job.a.len() >= k * rows && job.weights.len() >= k * columns);
    assert!(job.w_sums.len() == columns && job.bias.len() == columns);
    assert!(job.out.len() >= (rows - 1) * job.ldo + columns);
    // SAFETY: the lengths were checked just above; the caller vouches for the rest.
    unsafe {
        match (isa, k.is_multiple_of(long_turn(isa))) {
            (Isa::I8mm, true) => i8mm_long::panels(k, job),
            (Isa::I8mm, false) => i8mm::panels(k, job),
            (Isa::Dotprod, true) => dotprod_long::panels(k, job),
            (Isa::Dotprod, false) => dotprod::panels(k, job),
            _ => neon::panels(k, job),
        }
    }
}

/// Numbers of `NR` columns in 16 lanes as a tile's end reads them: once for each of as many rows as that
/// makes, or with those of each two columns twice.
#[inline(always)]
fn spread<const NR: usize>(pairs: bool, columns: &[f32; NR]) -> Line<[f32; 16]> {
    let mut lanes = Line([0.0; 16]);
    for (i, lane) in lanes.0.iter_mut().enumerate() {
        *lane = columns[if pairs { i / 4 * 2 + i % 2 } else { i % NR }];
    }
    lanes
}

/// A function `$name` for rows that are shifted or not, stored or added.
macro_rules! kind {
    ($name:ident, $features:literal, $turn:expr, $registers:ident $finish:ident, $shifted:tt, $add:tt) => {
        /// # Safety
        /// As [`panels`], which has checked the lengths, of such rows.
        #[inline]
        #[target_feature(enable = $features)]
        unsafe fn $name(k: usize, job: &mut Job<'_>) {
            const PAIRS: bool = pairs!($registers);
            let weights = job.weights.chunks_exact(k * NR);
            let (w_scale, _) = job.w_scale.as_chunks::<NR>();
            let (w_sums, _) = job.w_sums.as_chunks::<NR>();
            let (bias, _) = job.bias.as_chunks::<NR>();
            let mut out = job.out.as_mut_ptr();
            for (((weights, w_scale), w_sums), bias) in weights.zip(w_scale).zip(w_sums).zip(bias) {
                let (w_scale, bias) = (spread(PAIRS, w_scale), spread(PAIRS, bias));
                // SAFETY: it reads `k / TURN` turns of the weights and of all panels of rows, a scale and a
                // shift for each row, a scale, a sum and a bias for each column, and writes a panel's columns
                // of all rows.
                unsafe {
                    asm_all_vectors!(
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
                        weights = in(reg) weights.as_ptr(),
                        turns = out(reg) _,
                        all = in(reg) k / TURN,
                        panels = inout(reg) job.scales.len() / MR => _,
                        out = inout(reg) out => _,
                        ldo = in(reg) job.ldo * size_of::<f32>(),
                        zeros = in(reg) ZEROS.0.as_ptr(),
                        w_scale = in(reg) &w_scale,
                        w_sums = in(reg) w_sums,
                        bias = in(reg) &bias,
                        scales = inout(reg) job.scales.as_ptr() => _,
                        shifts = inout(reg) job.shifts.as_ptr() => _,
                    );
                }
                // After the last panel it points nowhere, and nothing reads it.
                out = out.wrapping_add(NR);
            }
        }
    };
}

/// Whether scales that come in these registers are those of each two columns twice.
macro_rules! pairs {
    (pairs) => {
        true
    };
    ($registers:ident) => {
        false
    };
}

/// The three kinds of a loop of `$k` k a turn; rows that are stored may end otherwise.
macro_rules! kinds {
    ($loop:ident, $isa:ident, $features:literal, $k:ident, $turn:expr, $stored:tt, $other:tt) => {
        mod $loop {
            use super::{Isa, Job, Layout, ZEROS, spread};

            const NR: usize = Layout::of(Isa::$isa).nr;
            const MR: usize = Layout::of(Isa::$isa).mr;
            const TURN: usize = super::$k(Isa::$isa);

            kinds!(@ stored, $features, $turn, $stored, no, no);
            kinds!(@ added, $features, $turn, $other, no, yes);
            kinds!(@ shifted, $features, $turn, $other, yes, yes);

            /// # Safety
            /// As the function of this name around.
            #[inline]
            #[target_feature(enable = $features)]
            pub(super) unsafe fn panels(k: usize, job: &mut Job<'_>) {
                // SAFETY: the caller's.
                unsafe {
                    match (job.shifted, job.add) {
                        (false, false) => stored(k, job),
                        (false, true) => added(k, job),
                        (true, _) => shifted(k, job),
                    }
                }
            }
        }
    };
    (@ $name:ident, $features:literal, $turn:expr, [$registers:ident $finish:ident],
     $shifted:tt, $add:tt) => {
        kind!($name, $features, $turn, $registers $finish, $shifted, $add);
    };
}

kinds!(neon, Neon, "neon", turn, neon_turn!(), [one neon_finish], [one neon_finish]);
kinds!(
    dotprod, Dotprod, "neon,dotprod", turn, dotprod_turn!(),
    [two dotprod_finish], [two dotprod_finish]
);
kinds!(
    dotprod_long, Dotprod, "neon,dotprod", long_turn, dotprod_turn!(long),
    [two dotprod_finish], [two dotprod_finish]
);
kinds!(i8mm, I8mm, "neon,i8mm", turn, i8mm_turn!(), [pairs i8mm_pairs], [two i8mm_finish]);
kinds!(i8mm_long, I8mm, "neon,i8mm", long_turn, i8mm_turn!(long), [pairs i8mm_pairs], [two i8mm_finish]);
