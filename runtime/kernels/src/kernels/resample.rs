//! Resizing pictures.

use super::Kernels;
use crate::jobs::RowRing;
use crate::operands::axis::ResampleAxis;

impl Kernels {
    /// Resizes a row of RGB8 pixels to as many as the axis has windows.
    pub fn resample_row(&self, axis: &ResampleAxis, source: &[u8], out: &mut [u8]) {
        assert!(
            out.len() == 3 * axis.len() && source.len() >= 3 * axis.end(),
            "a target of the axis, and the source of its windows"
        );
        // SAFETY: a `Kernels` exists only for an instruction set that this machine has.
        unsafe { (self.table.resample_row)(axis, source, out) }
    }

    /// Makes target row `target` of the source rows in its window, which have to be in the ring.
    pub fn blend_rows(
        &self,
        axis: &ResampleAxis,
        target: usize,
        rows: RowRing<'_>,
        out: &mut [u8],
    ) {
        assert!(
            rows.values.len() == rows.places * rows.width
                && rows.places >= axis.window(target).len()
                && out.len() == rows.width,
            "a ring for the rows of a window, as wide as the target"
        );
        // SAFETY: a `Kernels` exists only for an instruction set that this machine has.
        unsafe { (self.table.blend_rows)(axis, target, rows, out) }
    }
}
