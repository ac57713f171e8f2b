//! What the shared code asks of a set of this architecture, and the jobs that it gives it.

use crate::jobs::Rearranged;
use crate::layout::MAX_MR;
use crate::operands::rows::PackedRows;
use crate::operands::split_weights::{NR, Remainder, SplitWeights};
use crate::operands::weights::PackedInt8;
use crate::set::InstructionSet;

/// Panels of columns, and all rows that they are multiplied by.
pub(in crate::sets::aarch64) struct Job<'a> {
    /// Panels of rows.
    pub(in crate::sets::aarch64) a: &'a [u8],
    /// Scale and zero point, negated, of each row: how many there are, a multiple of mr.
    pub(in crate::sets::aarch64) scales: &'a [f32],
    pub(in crate::sets::aarch64) zero_points: &'a [i32],
    /// Whether some zero point is not 0.
    pub(in crate::sets::aarch64) asymmetric: bool,
    pub(in crate::sets::aarch64) weights: &'a [u8],
    /// Of all columns, a multiple of nr.
    pub(in crate::sets::aarch64) w_scale: &'a [f32],
    pub(in crate::sets::aarch64) w_sums: &'a [i32],
    pub(in crate::sets::aarch64) bias: &'a [f32],
    /// From the first column of the first row on.
    pub(in crate::sets::aarch64) out: &'a mut [f32],
    pub(in crate::sets::aarch64) ldo: usize,
    /// Whether rows are added to what is there.
    pub(in crate::sets::aarch64) add: bool,
}

/// What a kv tile's values are to do to the output of a panel of rows.
pub(in crate::sets::aarch64) struct Update<'a> {
    /// Weights of the tile's keys, less 128 unless the set takes them as they are.
    pub(in crate::sets::aarch64) p: &'a [u8],
    /// How many keys from the first on may have weights that are not 0.
    pub(in crate::sets::aarch64) span: usize,
    /// All panels of the values.
    pub(in crate::sets::aarch64) v: &'a [u8],
    /// 128 times the sum of each column of `v`.
    pub(in crate::sets::aarch64) v_correction: &'a [i32],
    /// alpha of each row, then scale of each.
    pub(in crate::sets::aarch64) factors: &'a [f32],
}

/// The written-out loops of a set, for operands whose lengths the functions of `linear` and `attention` have checked.
///
/// # Safety
/// Calling any of the functions needs a machine that has the instruction set.
pub(in crate::sets::aarch64) trait Arm: InstructionSet {
    /// Bytes of k of a row or a column that a turn of the loop takes, a multiple of its kr.
    const TURN: usize;

    /// Whether values are multiplied by weights as they are, not less 128.
    const UNSIGNED: bool = false;

    /// All rows of all columns of a linear layer.
    ///
    /// # Safety
    /// As of [`panels`](super::linear::panels), which has checked the lengths.
    unsafe fn panels(k: usize, job: &mut Job<'_>);

    /// The scores of a panel of queries with `panels` panels of keys.
    ///
    /// # Safety
    /// As of [`scores`](super::attention::scores), which has checked the lengths.
    unsafe fn scores(dim: usize, panels: usize, q: *const u8, k: *const u8, out: *mut i32);

    /// `panels` panels of values into the output.
    ///
    /// # Safety
    /// As of [`update`](super::attention::update), which has checked the lengths.
    unsafe fn values(panels: usize, update: &Update<'_>, o: *mut f32);

    /// The output of a panel, divided, to its rows.
    ///
    /// # Safety
    /// As of [`finish`](super::attention::finish), which has checked the lengths.
    unsafe fn finish(panels: usize, o: *const f32, l: &[f32; MAX_MR], out: *mut f32, ldo: usize);

    /// The weights of a layer split, if there is a loop for such weights and these rows, which it then has rearranged.
    ///
    /// # Safety
    /// This machine must have the instruction set.
    #[inline(always)]
    unsafe fn split<'a>(
        a: &PackedRows,
        w: &'a PackedInt8,
        rearranged: &mut Rearranged,
    ) -> Option<&'a SplitWeights> {
        let _ = (a, w, rearranged);
        None
    }

    /// All rows of a panel of columns, whose weights are split.
    ///
    /// # Safety
    /// [`Arm::split`] must have given the weights and rearranged the rows, and the panel's remainders be `remainders`.
    #[inline(always)]
    unsafe fn split_panel(
        k: usize,
        remainders: [&[Remainder]; NR],
        job: &mut Job<'_>,
        rearranged: &mut Rearranged,
    ) {
        let _ = (k, remainders, job, rearranged);
        unreachable!("no set splits weights without a loop for them");
    }
}
