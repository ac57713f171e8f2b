//! Weights into a packed matrix: what its columns sum up to is found by the tile itself.

use alloc::vec;

use bytes::Bytes;

use crate::layout::{KV_TILE, Layout, MAX_TILE};
use crate::memory::aligned::AlignedBytes;
use crate::operands::int4::Int4Matrix;
use crate::operands::nibbles::Memory;
use crate::operands::panels::PanelsError;
use crate::operands::split_weights::SplitWeights;
use crate::operands::weights::{PackedInt8, Panel};
use crate::set::{InstructionSet, Tile, multiply};

/// A weight matrix `[k, n]` that lies packed in `bytes`.
///
/// # Errors
/// If that is not a packed matrix of this shape.
///
/// # Safety
/// This machine must have the instruction set.
#[inline(always)]
pub(crate) unsafe fn int8<S: InstructionSet>(
    bytes: Bytes,
    k: usize,
    n: usize,
) -> Result<PackedInt8, PanelsError> {
    // SAFETY: the caller's.
    PackedInt8::new(S::LAYOUT, bytes, k, n, unsafe { panel_sums::<S>(k) })
}

/// The int8 matrix that `w` stands for, as int4 in `memory`.
///
/// # Safety
/// This machine must have the instruction set.
#[inline(always)]
pub(crate) unsafe fn int4<S: InstructionSet>(w: &Int4Matrix<'_>, memory: Memory) -> PackedInt8 {
    // SAFETY: the caller's.
    PackedInt8::int4(S::LAYOUT, w, memory, unsafe { panel_sums::<S>(w.k()) })
}

/// What sums the columns of a panel of `k` rows, and shows it to the weights that may be split.
///
/// # Safety
/// This machine must have the instruction set whenever that is called.
#[inline(always)]
unsafe fn panel_sums<S: InstructionSet>(
    k: usize,
) -> impl FnMut(Panel<'_>, &mut [i32], Option<&mut SplitWeights>) {
    let Layout { mr, nr, kr, .. } = S::LAYOUT;
    let groups = k.div_ceil(kr);
    // A row of ones sums the columns as fast as memory gives them. The tile only ever sees the bytes, so a byte of 1 multiplies by one
    // where the layout has an offset too: sums start from zero here, not from the correction.
    let ones = vec![1; groups * mr * kr];
    let (mut acc, mut unpacked) = ([0; MAX_TILE], AlignedBytes::default());
    move |panel, sums, split| {
        // SAFETY: the caller's.
        let w = unsafe { panel.int8::<S>(&mut unpacked) };
        let tile = Tile {
            rows: 1,
            k_groups: groups,
            a: &ones,
            w,
            correction: &[0; KV_TILE],
            ahead: w,
        };
        // SAFETY: the caller's.
        unsafe { multiply::<S>(&tile, &mut acc, nr) };
        if let Some(split) = split {
            // SAFETY: the caller's.
            split.push(w, |chain| unsafe { S::lane_sums(chain) });
        }
        sums.copy_from_slice(&acc[..nr]);
    }
}
