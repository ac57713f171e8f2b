//! A few rows of an int8 linear layer on AVX-512 VNNI: of one token, or of a token each of several sequences in lockstep.
//!
//! In panels of `mr` rows each of their groups of k lies in a line of its own, and with k = 2048 they fill the first cache, through which
//! all weights pass. So they are moved together first, and int4 weights are multiplied as they are.

use super::avx512vnni::{LAYOUT, products, start, store};
use crate::aligned::AlignedBytes;
use crate::dot::{Layout, MAX_TILE};
use crate::isa::Isa;
use crate::nibbles::NibblePanel;
use crate::nibbles::avx512::few_rows;
use crate::pack::{PackedRows, Panel};
use crate::prefetch::AHEAD;

/// Rows that are moved together, at most.
const FEW: usize = 4;

/// Whether `rows` rows by weights of this kind are for these kernels, on `isa`.
pub(crate) const fn fits(isa: Isa, rows: usize, panel: &Panel<'_>) -> bool {
    let most = match panel {
        Panel::Int8(_) => FEW,
        Panel::Int4(_) => LAYOUT.mr,
    };
    matches!(isa, Isa::Avx512Vnni) && rows <= most
}

/// The rows of a layer, few or at most a panel of them.
pub(crate) struct Rows<'a> {
    a: &'a [u8],
    /// From group to group.
    lda: usize,
    count: usize,
}

impl<'a> Rows<'a> {
    /// The rows of `a`, in `buffer` if they are few.
    #[inline(always)]
    pub(crate) fn of(a: &'a PackedRows, buffer: &'a mut AlignedBytes) -> Self {
        let Layout { mr, kr, .. } = LAYOUT;
        let (panel, count) = (a.panel(0), a.rows());
        if count > FEW {
            return Self {
                a: panel,
                lda: mr * kr,
                count,
            };
        }
        let lda = count.next_power_of_two() * kr;
        buffer.resize(panel.len() / (mr * kr) * lda);
        for (to, from) in buffer
            .chunks_exact_mut(lda)
            .zip(panel.chunks_exact(mr * kr))
        {
            to.copy_from_slice(&from[..lda]);
        }
        Self {
            a: buffer,
            lda,
            count,
        }
    }

    /// Their products with a panel of weights, into rows of `nr` sums each.
    ///
    /// # Safety
    /// This machine must have AVX-512 VNNI.
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    pub(crate) unsafe fn multiply(
        &self,
        k_groups: usize,
        w: Panel<'_>,
        comp: &[i32],
        acc: &mut [i32; MAX_TILE],
    ) {
        let Layout { nr, kr, .. } = LAYOUT;
        assert!(comp.len() >= nr && (1..=LAYOUT.mr).contains(&self.count));
        let mut row = 0;
        while row < self.count {
            let (a, acc) = (
                &self.a[(row * kr).min(self.a.len())..],
                &mut acc[row * nr..],
            );
            let here = (self.count - row).next_power_of_two().min(FEW);
            // SAFETY: this machine has the instructions, for which the caller vouches.
            unsafe {
                match here {
                    1 => product::<1, 4>(k_groups, a, self.lda, w, comp, acc),
                    2 => product::<2, 2>(k_groups, a, self.lda, w, comp, acc),
                    _ => product::<FEW, 2>(k_groups, a, self.lda, w, comp, acc),
                }
            }
            row += here;
        }
    }
}

/// `R` rows.
///
/// # Safety
/// This machine must have AVX-512 VNNI.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
unsafe fn product<const R: usize, const UNROLL: usize>(
    k_groups: usize,
    a: &[u8],
    lda: usize,
    w: Panel<'_>,
    comp: &[i32],
    acc: &mut [i32],
) {
    let Layout { nr, kr, .. } = LAYOUT;
    assert!(a.len() + lda >= k_groups * lda + R * kr && acc.len() >= R * nr && comp.len() >= nr);
    let (a, comp, acc) = (a.as_ptr(), comp.as_ptr(), acc.as_mut_ptr());
    match w {
        Panel::Int8(w) => {
            assert!(w.len() >= k_groups * nr * kr);
            // One row is as fast as its weights come if they are asked for; for two to four the hardware's own guesses are faster.
            let next = (R == 1).then(|| w.as_ptr().wrapping_add(AHEAD));
            // SAFETY: as was checked above.
            unsafe {
                let w = w.as_ptr().cast();
                let sums = products::<R, UNROLL>(k_groups, a, lda, w, start(comp), next);
                store(sums, acc, nr);
            }
        }
        Panel::Int4(NibblePanel {
            values,
            multipliers,
        }) => {
            assert!(values.len() >= k_groups * nr * kr / 2);
            assert!(multipliers.len() >= k_groups.div_ceil(32 / kr) * nr / 2);
            let (values, multipliers) = (values.as_ptr(), multipliers.as_ptr());
            // SAFETY: as was checked above; no value is -8 in an int4 matrix.
            unsafe { few_rows::<R>(k_groups, a, lda, values, multipliers, comp, acc) };
        }
    }
}
