//! What models of maps need beside linear layers and attention: LayerNorm, queries apart from keys and values, windows, and the depthwise
//! convolution.

use core::ops::Range;

use super::Kernels;
use crate::jobs::{Depthwise, NonFinite, Windows};
use crate::layout::{Heads, KV_TILE};
use crate::operands::kv::KvInt8;
use crate::operands::rows::PackedRows;

impl Kernels {
    /// LayerNorm of rows as wide as `gain`.
    pub fn layer_norm(&self, x: &[f32], gain: &[f32], bias: &[f32], eps: f32, out: &mut [f32]) {
        assert!(
            gain.len() == bias.len() && x.len().is_multiple_of(gain.len()) && x.len() == out.len(),
            "whole rows, and one gain and one bias a channel"
        );
        // SAFETY: a `Kernels` exists only for an instruction set that this machine has.
        unsafe { (self.table.layer_norm)(x, gain, bias, eps, out) }
    }

    /// Quantises queries (`[rows, width]`), head by head.
    ///
    /// # Errors
    /// If a row is not finite.
    pub fn split_q(
        &self,
        heads: Heads,
        q: &[f32],
        out: &mut [PackedRows],
    ) -> Result<(), NonFinite> {
        assert!(
            out.len() >= heads.count && q.len().is_multiple_of(heads.count * heads.dim),
            "whole rows, and a buffer for each head"
        );
        // SAFETY: a `Kernels` exists only for an instruction set that this machine has.
        unsafe { (self.table.split_q)(heads, q, out) }
    }

    /// Quantises the keys and values of the rows of `kv` (`[rows, 2 * width]`, keys first), which are tokens `first..` of `tile`.
    ///
    /// # Errors
    /// If a row is not finite.
    pub fn split_kv(
        &self,
        heads: Heads,
        kv: &[f32],
        first: usize,
        tile: &mut KvInt8,
    ) -> Result<(), NonFinite> {
        let width = 2 * heads.count * heads.dim;
        assert!(
            kv.len().is_multiple_of(width)
                && first + kv.len() / width <= KV_TILE
                && tile.is_for(self.table.layout, heads),
            "whole rows that fit a tile of these kernels"
        );
        // SAFETY: a `Kernels` exists only for an instruction set that this machine has.
        unsafe { (self.table.split_kv)(heads, kv, first, tile) }
    }

    /// Gathers windows `rows`, quantises and packs them, with a scale each.
    ///
    /// # Errors
    /// If a window holds a number that is not finite.
    pub fn prepare_windows(
        &self,
        windows: Windows<'_>,
        rows: Range<usize>,
        out: &mut PackedRows,
    ) -> Result<(), NonFinite> {
        assert_windows(&windows, &rows);
        // SAFETY: a `Kernels` exists only for an instruction set that this machine has.
        unsafe { (self.table.prepare_windows)(windows, rows, out) }
    }

    /// Gathers windows `rows`.
    pub fn gather(&self, windows: Windows<'_>, rows: Range<usize>, out: &mut [f32]) {
        assert_windows(&windows, &rows);
        assert_eq!(
            out.len(),
            rows.len() * windows.width(),
            "room for each window"
        );
        // SAFETY: a `Kernels` exists only for an instruction set that this machine has.
        unsafe { (self.table.gather)(windows, rows, out) }
    }

    /// A depthwise convolution and its activation, quantised and packed: rows that may be one-sided, as the MLP's second matrix takes them.
    ///
    /// # Errors
    /// If a pixel of the result is not finite; its row is counted from the first of `job.tokens`.
    pub fn depthwise(&self, job: Depthwise<'_>, out: &mut PackedRows) -> Result<(), NonFinite> {
        assert!(job.is_whole(), "a map, taps and biases of its channels");
        // SAFETY: a `Kernels` exists only for an instruction set that this machine has.
        unsafe { (self.table.depthwise)(job, out) }
    }

    /// A depthwise convolution and its activation, in f32.
    pub fn depthwise_f32(&self, job: Depthwise<'_>, out: &mut [f32]) {
        assert!(job.is_whole(), "a map, taps and biases of its channels");
        assert_eq!(
            out.len(),
            job.tokens.len() * job.map.channels,
            "room for each pixel"
        );
        // SAFETY: a `Kernels` exists only for an instruction set that this machine has.
        unsafe { (self.table.depthwise_f32)(job, out) }
    }
}

/// Refuses windows that are not there.
fn assert_windows(windows: &Windows<'_>, rows: &Range<usize>) {
    let (down, across) = windows.grid();
    assert!(
        windows.map.is_whole() && rows.start <= rows.end && rows.end <= down * across,
        "windows of a map"
    );
}
