//! What an instruction set is: its integer dot-product tile and the layout that wants, and whatever else it does in a way of its own.
//!
//! A tile multiplies a panel of `mr` packed rows by a panel of `nr` packed columns:
//!
//! ```text
//! A panel  [k/kr][mr][kr]   bytes, each the int8 value XOR `offset`
//! W panel  [k/kr][nr][kr]   int8
//! acc      [mr][ldc]        int32, columns 0..nr written
//! acc[i][j] = sum over k of a[i][k] * w[k][j]       (exact)
//! ```
//!
//! `vpdpbusd` multiplies unsigned by signed bytes, so that kernel wants `offset` = 0x80 (value + 128) and starts each
//! column from `correction[j] = -128 * sum over k of w[k][j]`. The others have `offset` = 0 and ignore the correction.

use crate::arithmetic::activation::{self, Activation};
use crate::arithmetic::epilogue::{Channels, Output};
use crate::arithmetic::lanes::{Range, amax_bits};
use crate::arithmetic::layer_norm::{self, Affine};
use crate::arithmetic::online::Factors;
use crate::arithmetic::rows;
use crate::arithmetic::softmax::{RowStats, Scores};
use crate::arithmetic::softmax_portable;
use crate::jobs::{AttentionRow, AttentionScratch, Linear, NonFinite, Visible};
use crate::layout::{GROUP, Heads, Layout, MAX_MR};
use crate::operands::axis::ResampleAxis;
use crate::operands::int4::INT4_GROUP;
use crate::operands::kv::{HeadPanels, KvInt8};
use crate::operands::nibbles::NibblePanel;
use crate::operands::packing::Packing;
use crate::operands::rows::Slots;

/// An instruction set. Required are its name ([`Packing::ISA`]), the tile and one row by int4 weights; everything else has a default: the
/// portable formula, or the answer that there is no shortcut. A function that has one answers whether it took it.
///
/// Every function computes what its default does, to the last bit; `src/tests` and `tests/same_bits` compare them. They are compiled with
/// the set's features inside (`#[target_feature]` on each), and called from code that `tables.rs` compiles with those features.
///
/// # Safety
/// Calling any of the functions needs a machine that has the instruction set.
pub(crate) trait InstructionSet: Packing {
    /// Rows `0..rows` (it may write up to `mr`) and columns `0..nr` of a tile, into rows of `acc` that are `ldc` apart.
    ///
    /// # Safety
    /// This machine must have the instruction set, and the operands the lengths that [`multiply`] checks. The weights must not contain
    /// -128 (the NEON kernel's 16-bit sums rely on it).
    unsafe fn tile(tile: &Tile<'_>, acc: &mut [i32], ldc: usize);

    /// Row 0 of a panel of packed rows by a panel of int4 weights: what the int8 tile gives for it.
    ///
    /// # Safety
    /// This machine must have the instruction set, and the operands the lengths that [`one_row`] checks. No value may be -8.
    unsafe fn one_row(row: &NibbleRow<'_>, acc: &mut [i32]);

    /// The softmax of the rows of a panel against one kv tile; the bytes go to the panel `p`.
    ///
    /// # Safety
    /// This machine must have the instruction set. `p` must hold `mr * KV_TILE` bytes.
    #[inline(always)]
    unsafe fn softmax(scores: &Scores<'_>, stats: &mut RowStats, p: &mut [u8]) {
        softmax_portable::softmax(Self::LAYOUT, scores, stats, p);
    }

    /// RMS norm of a row, and the bits of the largest magnitude it leaves.
    ///
    /// # Safety
    /// This machine must have the instruction set.
    #[inline(always)]
    unsafe fn norm_amax(x: &[f32], gain: &[f32], eps: f32, out: &mut [f32]) -> u32 {
        rows::norm_amax(x, gain, eps, out)
    }

    /// LayerNorm of four rows into rows that follow each other, and the bits of the largest magnitude that it leaves of each.
    ///
    /// # Safety
    /// This machine must have the instruction set.
    #[inline(always)]
    unsafe fn layer_norm(
        rows: [&[f32]; GROUP],
        affine: Affine<'_>,
        out: &mut [f32],
    ) -> [u32; GROUP] {
        layer_norm::layer_norm(rows, affine, out)
    }

    /// The bits of the largest magnitude of a row.
    ///
    /// # Safety
    /// This machine must have the instruction set.
    #[inline(always)]
    unsafe fn amax_bits(x: &[f32]) -> u32 {
        amax_bits(x)
    }

    /// A row times a number, rounded to `bytes` (value XOR `offset`).
    ///
    /// # Safety
    /// This machine must have the instruction set.
    #[inline(always)]
    unsafe fn round(x: &[f32], inverse: f32, bytes: &mut [u8], offset: u8) {
        rows::round(x, inverse, bytes, offset);
    }

    /// Quantises a row to `bytes` (value XOR `offset`) and gives its scale; its largest magnitude if that is NaN or infinity.
    ///
    /// # Safety
    /// This machine must have the instruction set.
    #[inline(always)]
    unsafe fn quantize(x: &[f32], bytes: &mut [u8], offset: u8) -> Result<f32, f32> {
        // SAFETY: the caller's.
        unsafe { Self::quantize_known(x, Self::amax_bits(x), bytes, offset) }
    }

    /// [`InstructionSet::quantize`] where the bits of the largest magnitude are known.
    ///
    /// # Safety
    /// This machine must have the instruction set.
    #[inline(always)]
    unsafe fn quantize_known(
        x: &[f32],
        amax_bits: u32,
        bytes: &mut [u8],
        offset: u8,
    ) -> Result<f32, f32> {
        rows::quantize_by(
            amax_bits,
            &mut bytes[..x.len()],
            offset,
            |inverse, bytes| {
                // SAFETY: the caller's.
                unsafe { Self::round(x, inverse, bytes, offset) };
            },
        )
    }

    /// Quantises a row that may be one-sided: its scale and its zero point, negated; see [`rows::quantize_skewed`].
    ///
    /// # Safety
    /// This machine must have the instruction set.
    #[inline(always)]
    unsafe fn quantize_skewed(
        x: &[f32],
        range: Range,
        bytes: &mut [u8],
        offset: u8,
    ) -> Result<(f32, i32), f32> {
        rows::quantize_skewed(x, range, bytes, offset)
    }

    /// Whether it quantises four rows together, straight to where a tile reads them: by the three functions that follow, which nobody calls
    /// if it does not.
    const FOUR: bool = false;

    /// The bits of the largest magnitudes of four rows of one width.
    ///
    /// # Safety
    /// This machine must have the instruction set.
    #[inline(always)]
    unsafe fn amax_four(rows: [&[f32]; GROUP]) -> [u32; GROUP] {
        // SAFETY: the caller's.
        rows.map(|row| unsafe { Self::amax_bits(row) })
    }

    /// Four rows of one width, times a number each, rounded and stored.
    ///
    /// # Safety
    /// This machine must have the instruction set.
    #[inline(always)]
    unsafe fn round_four(rows: [&[f32]; GROUP], inverses: [f32; GROUP], slots: Slots<'_>) {
        let _ = (rows, inverses, slots);
        unreachable!("asked only where rows are quantised four together");
    }

    /// The same of rows that may be one-sided: a number that multiplies and one that is added to what that is rounded to, as
    /// [`rows::quantize_skewed`] does.
    ///
    /// # Safety
    /// This machine must have the instruction set.
    #[inline(always)]
    unsafe fn round_skewed_four(
        rows: [&[f32]; GROUP],
        skews: [(f32, i32); GROUP],
        slots: Slots<'_>,
    ) {
        let _ = (rows, skews, slots);
        unreachable!("asked only where rows are quantised four together");
    }

    /// Four pixels side by side of a depthwise convolution, activated as closely as bytes want it, into rows that follow each other, and the
    /// range of each.
    ///
    /// # Safety
    /// This machine must have the instruction set.
    #[inline(always)]
    unsafe fn convolve_four(taps: &Taps<'_>, kind: Activation, out: &mut [f32]) -> [Range; GROUP] {
        let _ = (taps, kind, out);
        unreachable!("asked only where rows are quantised four together");
    }

    /// Applies an activation as closely as bytes want it, and gives the range of the result.
    ///
    /// # Safety
    /// This machine must have the instruction set.
    #[inline(always)]
    unsafe fn activate_range(kind: Activation, from: &[f32], to: &mut [f32]) -> Range {
        activation::activate_range(kind, from, to)
    }

    /// A row of RGB8 through windows of its pixels: of how many target pixels, from the first on.
    ///
    /// # Safety
    /// This machine must have the instruction set.
    #[inline(always)]
    unsafe fn resample_row(axis: &ResampleAxis, source: &[u8], out: &mut [u8]) -> usize {
        let _ = (axis, source, out);
        0
    }

    /// The first panels of a linear layer, all its rows: how many of them it has computed. `asymmetric`: some zero point is not 0.
    ///
    /// # Safety
    /// This machine must have the instruction set.
    #[inline(always)]
    unsafe fn linear_panels(job: &mut Linear<'_>, asymmetric: bool) -> usize {
        let _ = (job, asymmetric);
        0
    }

    /// A tile of a linear layer from operands to finished rows. If `alone`, no other rows are multiplied by these columns, and the tile asks
    /// for all that follows them.
    ///
    /// # Safety
    /// As [`InstructionSet::tile`].
    #[inline(always)]
    unsafe fn linear_tile(
        tile: &Tile<'_>,
        alone: bool,
        channels: &Channels<'_>,
        output: &mut Output<'_>,
    ) -> bool {
        let _ = (tile, alone, channels, output);
        false
    }

    /// Attention of one query, all heads that are asked for.
    ///
    /// # Safety
    /// This machine must have the instruction set.
    #[inline(always)]
    unsafe fn attend_row(job: &mut AttentionRow<'_>) -> Option<Result<(), NonFinite>> {
        let _ = job;
        None
    }

    /// Attention of a whole panel of queries, into rows of `out` that are `ldo` apart; the row of the panel that is no number is refused.
    ///
    /// # Safety
    /// This machine must have the instruction set; `scratch` has been given the shape of its panels.
    #[inline(always)]
    unsafe fn attend_panel(
        panel: &QueryPanel<'_>,
        scratch: &mut AttentionScratch,
        out: &mut [f32],
        ldo: usize,
    ) -> Option<Result<(), NonFinite>> {
        let _ = (panel, scratch, out, ldo);
        None
    }

    /// A kv tile's weighed values into the output of all rows of a panel, which are `ldo` apart.
    ///
    /// # Safety
    /// This machine must have the instruction set.
    #[inline(always)]
    unsafe fn update(values: &Values<'_>, output: &mut [f32], ldo: usize) -> bool {
        let _ = (values, output, ldo);
        false
    }

    /// `rounds` rounds of its dot-product instructions on registers alone, and the multiply-accumulates of one; without such instructions the
    /// tile stands for them.
    ///
    /// # Safety
    /// This machine must have the instruction set.
    #[inline(always)]
    unsafe fn peak(rounds: u64) -> Option<u64> {
        let _ = rounds;
        None
    }
}

/// What four pixels side by side of a depthwise 3x3 convolution are the sums of.
#[allow(dead_code, reason = "read by instruction sets of one architecture")]
pub(crate) struct Taps<'a> {
    /// From the pixel above and to the left of the first on, of those that are on the map.
    pub(crate) values: &'a [f32],
    /// From a row of the map to the next, in numbers.
    pub(crate) line: usize,
    pub(crate) channels: usize,
    /// Rows of pixels that are on the map, one to three.
    pub(crate) rows: usize,
    /// Whether the map ends to the left of the first pixel, and to the right of the last.
    pub(crate) ends: [bool; 2],
    /// From the first row's taps on.
    pub(crate) weight: &'a [f32],
    pub(crate) bias: &'a [f32],
}

/// The operands of a tile.
#[allow(dead_code, reason = "read by instruction sets of one architecture")]
#[derive(Clone, Copy)]
pub(crate) struct Tile<'a> {
    pub(crate) rows: usize,
    /// k / kr, padded up.
    pub(crate) k_groups: usize,
    pub(crate) a: &'a [u8],
    pub(crate) w: &'a [u8],
    /// What the sums of each column start from, where the layout has an offset.
    pub(crate) correction: &'a [i32],
    /// Where the bytes begin that are wanted next. A tile of all rows may prefetch a quarter as many of them as it reads of `w`, spread over
    /// its loop, one of fewer rows as many; it never reads them. If that is `w` itself, what follows `w` is wanted next, and nobody else asks
    /// for it.
    pub(crate) ahead: &'a [u8],
}

/// The operands of one row by int4 weights.
#[derive(Clone, Copy)]
pub(crate) struct NibbleRow<'a> {
    pub(crate) k_groups: usize,
    pub(crate) a: &'a [u8],
    pub(crate) w: NibblePanel<'a>,
    pub(crate) correction: &'a [i32],
}

/// The queries of a panel, all of which see some keys of each of `tiles`, and those of all but the last of them.
#[allow(dead_code, reason = "read by instruction sets of one architecture")]
#[derive(Clone, Copy)]
pub(crate) struct QueryPanel<'a> {
    pub(crate) heads: Heads,
    pub(crate) head: usize,
    pub(crate) q: &'a [u8],
    /// What makes scores of each row's products.
    pub(crate) c: &'a [f32; MAX_MR],
    /// Which keys they see.
    pub(crate) visible: Visible,
    pub(crate) tiles: &'a [KvInt8],
}

/// What a kv tile's values are to do to the output of a panel of rows.
#[allow(dead_code, reason = "read by instruction sets of one architecture")]
#[derive(Clone, Copy)]
pub(crate) struct Values<'a> {
    pub(crate) dim: usize,
    /// How many keys from the first on may have weights that are not 0.
    pub(crate) span: usize,
    /// Weights of the tile's keys.
    pub(crate) p: &'a [u8],
    pub(crate) panels: HeadPanels<'a>,
    /// What is read after them.
    pub(crate) after: HeadPanels<'a>,
    pub(crate) factors: Factors<'a>,
}

/// [`InstructionSet::tile`], bounds checked.
///
/// # Safety
/// This machine must have the instruction set.
#[inline(always)]
pub(crate) unsafe fn multiply<S: InstructionSet>(tile: &Tile<'_>, acc: &mut [i32], ldc: usize) {
    let Layout { mr, nr, kr, .. } = S::LAYOUT;
    assert!((1..=mr).contains(&tile.rows) && ldc >= nr);
    assert!(tile.a.len() >= tile.k_groups * mr * kr && tile.w.len() >= tile.k_groups * nr * kr);
    assert!(tile.correction.len() >= nr && acc.len() >= (mr - 1) * ldc + nr);
    // SAFETY: the lengths were checked just above; the caller vouches for the instruction set; packing never writes -128.
    unsafe { S::tile(tile, acc, ldc) }
}

/// [`InstructionSet::one_row`], bounds checked.
///
/// # Safety
/// This machine must have the instruction set.
#[inline(always)]
pub(crate) unsafe fn one_row<S: InstructionSet>(row: &NibbleRow<'_>, acc: &mut [i32]) {
    let Layout { mr, nr, kr, .. } = S::LAYOUT;
    let NibbleRow { k_groups, a, w, .. } = *row;
    assert!(a.len() >= k_groups * mr * kr && w.values.len() >= k_groups * nr * kr / 2);
    assert!(w.multipliers.len() >= (k_groups * kr).div_ceil(INT4_GROUP) * nr / 2);
    assert!(row.correction.len() >= nr && acc.len() >= nr);
    // SAFETY: the lengths were checked just above; the caller vouches for the instruction set; an `Int4Matrix` has no -8.
    unsafe { S::one_row(row, acc) }
}
