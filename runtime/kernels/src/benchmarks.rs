//! What a machine can do at most: the tile on operands that stay near, dot products on registers alone, memory that is only read.

use core::hint::black_box;

use crate::layout::{Layout, MAX_TILE};
use crate::set::{InstructionSet, Tile, multiply};

mod read;

pub use read::read_benchmark;

/// The multiply-accumulates of `rounds` rounds of the set's dot products on registers: no loads, no stores, and enough independent chains to
/// hide the latency. Whatever a kernel reaches is a fraction of this; the rest is what packing, the memory and the other instructions cost.
///
/// # Safety
/// This machine must have the instruction set.
#[inline(always)]
pub(crate) unsafe fn peak<S: InstructionSet>(rounds: u64) -> u64 {
    // SAFETY: the caller's.
    unsafe {
        match S::peak(rounds) {
            Some(macs) => rounds * macs,
            // A tile is 512 k deep; as much work as a round of the others takes about as long.
            None => tiles::<S>(rounds / 64 + 1),
        }
    }
}

/// The tile, `count` times on operands that stay in the nearest cache (k = 512), and the number of multiply-accumulates.
///
/// # Safety
/// This machine must have the instruction set.
#[inline(always)]
pub(crate) unsafe fn tiles<S: InstructionSet>(count: u64) -> u64 {
    const K: usize = 512;
    let Layout { mr, nr, kr, .. } = S::LAYOUT;
    let (a, w) = (alloc::vec![1u8; K * mr], alloc::vec![1u8; K * nr]);
    // As in a layer of many rows, where every tile asks for its share of the next panel.
    let next = w.clone();
    let correction = alloc::vec![0i32; nr];
    let mut acc = [0i32; MAX_TILE];
    let tile = Tile {
        rows: mr,
        k_groups: K / kr,
        a: &a,
        w: &w,
        correction: &correction,
        ahead: &next,
    };
    for _ in 0..count {
        // SAFETY: the caller's.
        unsafe { multiply::<S>(black_box(&tile), &mut acc, nr) };
        black_box(&mut acc);
    }
    count * (mr * nr * K) as u64
}
