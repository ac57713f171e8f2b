//! The reference of [`super::OneRow`]: loops.

use super::{ByNibbles, portable};
use crate::dot::Layout;
use crate::int4::INT4_GROUP;
use crate::isa::Isa;

const LAYOUT: Layout = Layout::of(Isa::Scalar);

pub(crate) const NIBBLES: ByNibbles = ByNibbles {
    one_row,
    unpack: portable,
};

/// See [`super::OneRow`].
///
/// # Safety
/// As [`super::OneRow`].
unsafe fn one_row(
    k_groups: usize,
    a: *const u8,
    values: *const u8,
    multipliers: *const u8,
    _comp: *const i32,
    acc: *mut i32,
) {
    const HALF: usize = LAYOUT.nr * LAYOUT.kr / 2;
    let Layout { mr, nr, kr, .. } = LAYOUT;
    let groups = (k_groups * kr).div_ceil(INT4_GROUP);
    // SAFETY: the caller vouches for these lengths.
    let (a, values, multipliers) = unsafe {
        (
            core::slice::from_raw_parts(a.cast::<i8>(), k_groups * mr * kr),
            core::slice::from_raw_parts(values, k_groups * HALF),
            core::slice::from_raw_parts(multipliers, groups * nr / 2),
        )
    };
    let mut sums = [0i32; LAYOUT.nr];
    for (group, (a, values)) in a
        .chunks_exact(mr * kr)
        .zip(values.chunks_exact(HALF))
        .enumerate()
    {
        let multipliers = &multipliers[group * kr / INT4_GROUP * nr / 2..][..nr / 2];
        for (j, sum) in sums.iter_mut().enumerate() {
            let m = i32::from(multipliers[j % (nr / 2)] >> (j / (nr / 2) * 4) & 0x0f) + 1;
            for (r, a) in a[..kr].iter().enumerate() {
                let i = j * kr + r;
                let byte = values[i % HALF];
                let value = (if i < HALF { byte << 4 } else { byte }) as i8 >> 4;
                *sum += i32::from(*a) * i32::from(value) * m;
            }
        }
    }
    // SAFETY: the accumulator has `nr` columns.
    unsafe { acc.copy_from_nonoverlapping(sums.as_ptr(), nr) };
}
