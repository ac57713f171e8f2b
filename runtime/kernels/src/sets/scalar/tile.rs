//! The reference tile: three loops.

use crate::isa::Isa;
use crate::layout::Layout;
use crate::set::Tile;

const LAYOUT: Layout = Layout::of(Isa::Scalar);

/// See [`InstructionSet::tile`](crate::set::InstructionSet::tile).
pub(super) fn tile(tile: &Tile<'_>, acc: &mut [i32], ldc: usize) {
    let Layout { mr, nr, kr, .. } = LAYOUT;
    let Tile { rows, k_groups, .. } = *tile;
    let (a, w) = (&tile.a[..k_groups * mr * kr], &tile.w[..k_groups * nr * kr]);
    for (i, acc) in acc.chunks_mut(ldc).enumerate().take(rows) {
        let mut sums = [0i32; LAYOUT.nr];
        for (a, w) in a.chunks_exact(mr * kr).zip(w.chunks_exact(nr * kr)) {
            for (sum, w) in sums.iter_mut().zip(w.chunks_exact(kr)) {
                *sum += a[i * kr..][..kr]
                    .iter()
                    .zip(w)
                    .map(|(a, w)| i32::from(*a as i8) * i32::from(*w as i8))
                    .sum::<i32>();
            }
        }
        acc[..nr].copy_from_slice(&sums);
    }
}
