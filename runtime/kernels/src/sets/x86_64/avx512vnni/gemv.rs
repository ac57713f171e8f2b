//! A few rows of an int8 linear layer: of one token, or of a token each of several sequences in lockstep.
//!
//! In panels of `mr` rows each of their groups of k lies in a line of its own, and with k = 2048 they fill the first cache, through which
//! all weights pass. So they are moved together first, and int4 weights are multiplied as they are.

use super::nibbles;
use super::tile::{self, LAYOUT, products, start, store};
use crate::arithmetic::epilogue::{Channels, Output};
use crate::arithmetic::lanes::Line;
use crate::jobs::Linear;
use crate::layout::{Layout, MAX_TILE};
use crate::memory::aligned::AlignedBytes;
use crate::memory::prefetch::AHEAD;
use crate::operands::rows::PackedRows;
use crate::operands::weights::Panel;

/// Rows that are moved together, at most.
const GATHERED: usize = 4;

/// Whether `rows` rows by weights of this kind are for these kernels.
const fn fits(rows: usize, panel: &Panel<'_>) -> bool {
    let most = match panel {
        Panel::Int8(_) => GATHERED,
        Panel::Int4(_) => LAYOUT.mr,
    };
    rows <= most
}

/// See [`InstructionSet::linear_panels`](crate::set::InstructionSet::linear_panels): all panels, if the rows are few.
///
/// # Safety
/// As there.
#[inline(always)]
pub(super) unsafe fn linear(job: &mut Linear<'_>, asymmetric: bool) -> usize {
    let Linear { a, w, ldo, .. } = *job;
    if job.panels.is_empty() || !fits(a.rows(), &w.panel(job.panels.start)) {
        return 0;
    }
    let (nr, k_groups) = (LAYOUT.nr, w.k_groups());
    let rows = Rows::of(a, &mut job.scratch.rearranged.rows);
    let mut acc = Line([0i32; MAX_TILE]);
    let first = job.panels.start * nr;
    for panel in job.panels.clone() {
        let columns = panel * nr..w.n().min((panel + 1) * nr);
        // SAFETY: the caller's.
        unsafe { rows.multiply(k_groups, w.panel(panel), w.correction(panel), &mut acc.0) };
        let channels = Channels {
            w_sums: w.sums(panel),
            w_scale: &job.w_scale[columns.clone()],
            bias: &job.bias[columns.clone()],
        };
        let output = Output {
            scales: a.scales(),
            zero_points: &a.zero_points[..a.rows()],
            out: &mut job.out[columns.start - first..],
            ldo,
            asymmetric,
            add: job.add,
        };
        output.finish(&acc.0, nr, &channels);
    }
    job.panels.len()
}

/// The rows of a layer, few or at most a panel of them.
struct Rows<'a> {
    a: &'a [u8],
    /// From group to group.
    lda: usize,
    count: usize,
}

impl<'a> Rows<'a> {
    /// The rows of `a`, in `buffer` if they are few.
    #[inline(always)]
    fn of(a: &'a PackedRows, buffer: &'a mut AlignedBytes) -> Self {
        let Layout { mr, kr, .. } = LAYOUT;
        let (panel, count) = (a.panel(0), a.rows());
        if count > GATHERED {
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
    unsafe fn multiply(
        &self,
        k_groups: usize,
        w: Panel<'_>,
        correction: &[i32],
        acc: &mut [i32; MAX_TILE],
    ) {
        let Layout { nr, kr, .. } = LAYOUT;
        assert!(correction.len() >= nr && (1..=LAYOUT.mr).contains(&self.count));
        let mut row = 0;
        while row < self.count {
            let (a, acc) = (
                &self.a[(row * kr).min(self.a.len())..],
                &mut acc[row * nr..],
            );
            let rows = (a, self.lda);
            let here = (self.count - row).next_power_of_two().min(GATHERED);
            // SAFETY: this machine has the instructions, for which the caller vouches.
            unsafe {
                match here {
                    1 => product::<1, 4>(k_groups, rows, w, correction, acc),
                    2 => product::<2, 2>(k_groups, rows, w, correction, acc),
                    _ => product::<GATHERED, 2>(k_groups, rows, w, correction, acc),
                }
            }
            row += here;
        }
    }
}

/// `R` rows, whose groups are so many bytes apart.
///
/// # Safety
/// This machine must have AVX-512 VNNI.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
unsafe fn product<const R: usize, const UNROLL: usize>(
    k_groups: usize,
    (a, lda): (&[u8], usize),
    w: Panel<'_>,
    correction: &[i32],
    acc: &mut [i32],
) {
    let Layout { nr, kr, .. } = LAYOUT;
    assert!(
        a.len() + lda >= k_groups * lda + R * kr && acc.len() >= R * nr && correction.len() >= nr
    );
    let rows = tile::Rows { a: a.as_ptr(), lda };
    let (correction, acc) = (correction.as_ptr(), acc.as_mut_ptr());
    match w {
        Panel::Int8(w) => {
            assert!(w.len() >= k_groups * nr * kr);
            // One row is as fast as its weights come if they are asked for; for two to four the hardware's own guesses are faster.
            let next = (R == 1).then(|| w.as_ptr().wrapping_add(AHEAD));
            // SAFETY: as was checked above.
            unsafe {
                let w = w.as_ptr().cast();
                let sums = products::<R, UNROLL>(k_groups, rows, w, start(correction), next);
                store(sums, acc, nr);
            }
        }
        Panel::Int4(w) => {
            assert!(w.values.len() >= k_groups * nr * kr / 2);
            assert!(w.multipliers.len() >= k_groups.div_ceil(32 / kr) * nr / 2);
            // SAFETY: as was checked above; no value is -8 in an int4 matrix.
            unsafe { nibbles::gemv::<R>(k_groups, rows, w, correction, acc) };
        }
    }
}
