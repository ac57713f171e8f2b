//! The reference tile: three loops.

use super::Layout;
use crate::isa::Isa;

pub(super) const LAYOUT: Layout = Layout::of(Isa::Scalar);

/// See [`super::Tile`].
///
/// # Safety
/// As [`super::Tile`].
#[allow(clippy::too_many_arguments, reason = "the signature of every tile")]
pub(super) unsafe fn tile(
    rows: usize,
    k_groups: usize,
    a: *const u8,
    w: *const i8,
    _comp: *const i32,
    acc: *mut i32,
    ldc: usize,
    _ahead: *const u8,
) {
    let Layout { mr, nr, kr, .. } = LAYOUT;
    // SAFETY: the caller vouches for these lengths.
    let (a, w) = unsafe {
        (
            core::slice::from_raw_parts(a.cast::<i8>(), k_groups * mr * kr),
            core::slice::from_raw_parts(w, k_groups * nr * kr),
        )
    };
    for i in 0..rows {
        let mut sums = [0i32; LAYOUT.nr];
        for (a, w) in a.chunks_exact(mr * kr).zip(w.chunks_exact(nr * kr)) {
            for (sum, w) in sums.iter_mut().zip(w.chunks_exact(kr)) {
                *sum += a[i * kr..][..kr]
                    .iter()
                    .zip(w)
                    .map(|(a, w)| i32::from(*a) * i32::from(*w))
                    .sum::<i32>();
            }
        }
        // SAFETY: row i < rows <= mr lies within the accumulator that the caller vouches for.
        unsafe { acc.add(i * ldc).copy_from_nonoverlapping(sums.as_ptr(), nr) };
    }
}
