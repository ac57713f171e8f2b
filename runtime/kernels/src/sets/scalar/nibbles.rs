//! The reference of a row by int4 weights: loops.

use crate::isa::Isa;
use crate::layout::Layout;
use crate::operands::int4::INT4_GROUP;
use crate::set::NibbleRow;

const LAYOUT: Layout = Layout::of(Isa::Scalar);

/// See [`InstructionSet::one_row`](crate::set::InstructionSet::one_row).
pub(super) fn one_row(row: &NibbleRow<'_>, acc: &mut [i32]) {
    const HALF: usize = LAYOUT.nr * LAYOUT.kr / 2;
    let Layout { mr, nr, kr, .. } = LAYOUT;
    let NibbleRow { k_groups, a, w, .. } = *row;
    let groups = (k_groups * kr).div_ceil(INT4_GROUP);
    let (a, values) = (&a[..k_groups * mr * kr], &w.values[..k_groups * HALF]);
    let multipliers = &w.multipliers[..groups * nr / 2];
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
                *sum += i32::from(*a as i8) * i32::from(value) * m;
            }
        }
    }
    acc[..nr].copy_from_slice(&sums);
}
