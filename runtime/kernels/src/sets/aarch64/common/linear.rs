//! The int8 linear layer over whole tiles, from operands to finished rows.
//!
//! A [tile](crate::set::InstructionSet::tile) leaves its sums in memory, and what comes after reads them back. Here they stay
//! in registers: a loop (`loops`) over the inner dimension, then the rows' end (`finish`), then the next
//! rows. Everything is written out, because one register too many on the way spills sixteen.

use super::arm::{Arm, Job};
use crate::arithmetic::lanes::Line;
use crate::jobs::{Linear, LinearScratch};
use crate::layout::Layout;

/// What sums start from, one load for four registers.
pub(in crate::sets::aarch64) static ZEROS: Line<[i32; 16]> = Line([0; 16]);

/// Whether there are such tiles for an inner dimension of `k_groups` and what becomes of the rows.
const fn fits<A: Arm>(k_groups: usize, asymmetric: bool, add: bool) -> bool {
    let bytes = k_groups * A::LAYOUT.kr;
    bytes > 0 && bytes.is_multiple_of(A::TURN) && (add || !asymmetric)
}

/// See [`InstructionSet::linear_panels`](crate::set::InstructionSet::linear_panels): all panels whose columns are columns of the matrix, of
/// whole panels of rows.
///
/// # Safety
/// As there.
#[inline(always)]
pub(crate) unsafe fn layer<A: Arm>(job: &mut Linear<'_>, asymmetric: bool) -> usize {
    let Layout { mr, nr, .. } = A::LAYOUT;
    let Linear { a, w, ldo, add, .. } = *job;
    let k_groups = w.k_groups();
    let whole = job.panels.start..job.panels.end.min(w.n() / nr);
    if whole.is_empty() || !a.rows().is_multiple_of(mr) || !fits::<A>(k_groups, asymmetric, add) {
        return 0;
    }
    let LinearScratch {
        unpacked,
        rearranged,
    } = &mut *job.scratch;
    let first = whole.start * nr;
    let (w_scale, bias, out) = (job.w_scale, job.bias, &mut *job.out);
    let mut some =
        |panels: core::ops::Range<usize>, weights: &[u8], each: &mut dyn FnMut(&mut Job<'_>)| {
            let columns = panels.start * nr..panels.end * nr;
            each(&mut Job {
                a: a.data.as_slice(),
                scales: a.scales(),
                zero_points: &a.zero_points[..a.rows()],
                asymmetric,
                weights,
                w_scale: &w_scale[columns.clone()],
                w_sums: w.sums_of(panels),
                bias: &bias[columns.clone()],
                out: &mut out[columns.start - first..],
                ldo,
                add,
            });
        };
    // SAFETY: the caller's.
    let split = unsafe { A::split(a, w, rearranged) };
    // Whole panels of int8 weights lie one after the other.
    if split.is_none()
        && let Some(weights) = w.whole_panels(whole.clone())
    {
        // SAFETY: the caller's; the shape fits.
        some(whole.clone(), weights, &mut |job| unsafe {
            panels::<A>(k_groups, job)
        });
        return whole.len();
    }
    for panel in whole.clone() {
        // SAFETY: the caller's.
        let weights = unsafe { w.panel(panel).int8::<A>(unpacked) };
        some(panel..panel + 1, weights, &mut |job| {
            // SAFETY: the caller's; the shape fits, and the rows have been rearranged.
            unsafe {
                match split.and_then(|split| split.panel(panel)) {
                    Some(remainders) => A::split_panel(w.k(), remainders, job, rearranged),
                    None => panels::<A>(k_groups, job),
                }
            }
        });
    }
    whole.len()
}

/// All rows of all columns.
///
/// # Safety
/// This machine must have the instruction set, and the operands must be laid out for it.
#[inline(always)]
unsafe fn panels<A: Arm>(k_groups: usize, job: &mut Job<'_>) {
    let Layout { mr, nr, kr, .. } = A::LAYOUT;
    let (k, rows, columns) = (k_groups * kr, job.scales.len(), job.w_scale.len());
    assert!(fits::<A>(k_groups, job.asymmetric, job.add));
    assert!(rows > 0 && rows.is_multiple_of(mr) && job.zero_points.len() == rows);
    assert!(columns > 0 && columns.is_multiple_of(nr));
    assert!(job.a.len() >= k * rows && job.weights.len() >= k * columns);
    assert!(job.w_sums.len() == columns && job.bias.len() == columns);
    assert!(job.out.len() >= (rows - 1) * job.ldo + columns);
    // SAFETY: the lengths were checked just above; the caller vouches for the rest.
    unsafe { A::panels(k, job) }
}

/// Numbers of `NR` columns in 16 lanes as a tile's end reads them: once for each of as many rows as that
/// makes, or with those of each two columns twice.
#[inline(always)]
pub(in crate::sets::aarch64) fn spread<const NR: usize>(
    pairs: bool,
    columns: &[f32; NR],
) -> Line<[f32; 16]> {
    let mut lanes = Line([0.0; 16]);
    for (i, lane) in lanes.0.iter_mut().enumerate() {
        *lane = columns[if pairs { i / 4 * 2 + i % 2 } else { i % NR }];
    }
    lanes
}

/// A function `$name` for rows that are asymmetric or not, stored or added.
macro_rules! kind {
    ($name:ident, $features:literal, $turn:expr, $registers:ident $finish:ident, $asymmetric:tt, $add:tt) => {
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
                        load_scales!($registers, $asymmetric),
                        $finish!($asymmetric, $add),
                        "subs {panels}, {panels}, #1",
                        "b.ne 3b",
                        "/* {zero_points} {w_sums} */",
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
                        zero_points = inout(reg) job.zero_points.as_ptr() => _,
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

/// The three kinds of a loop of `$turn` k a turn, and the function `panels` that picks one; rows that are stored may end otherwise.
macro_rules! kinds {
    ($loop:ident, $features:literal, $k:expr, $turn:expr, $stored:tt, $other:tt) => {
        mod $loop {
            use super::LAYOUT;
            use crate::sets::aarch64::common::arm::Job;
            use crate::sets::aarch64::common::linear::{ZEROS, spread};

            const NR: usize = LAYOUT.nr;
            const MR: usize = LAYOUT.mr;
            const TURN: usize = $k;

            kinds!(@ stored, $features, $turn, $stored, no, no);
            kinds!(@ added, $features, $turn, $other, no, yes);
            kinds!(@ asymmetric, $features, $turn, $other, yes, yes);

            /// # Safety
            /// As the function of this name in `common::linear`.
            #[inline]
            #[target_feature(enable = $features)]
            pub(super) unsafe fn panels(k: usize, job: &mut Job<'_>) {
                // SAFETY: the caller's.
                unsafe {
                    match (job.asymmetric, job.add) {
                        (false, false) => stored(k, job),
                        (false, true) => added(k, job),
                        (true, _) => asymmetric(k, job),
                    }
                }
            }
        }
    };
    (@ $name:ident, $features:literal, $turn:expr, [$registers:ident $finish:ident],
     $asymmetric:tt, $add:tt) => {
        kind!($name, $features, $turn, $registers $finish, $asymmetric, $add);
    };
}
