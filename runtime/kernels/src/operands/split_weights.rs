//! What of a weight matrix keeps four products from fitting a 16-bit lane of plain ARMv8.0.
//!
//! `smull` and three `smlal` add four products before `sadalp` widens their sum: exact where the four weights
//! that meet in a lane have magnitudes of at most 255 together, as activations are at least -128. Of normally
//! distributed weights one lane in a hundred or fewer breaks that. There a weight is split, `w = kept + remainder`:
//! the loop multiplies by what is kept, and the few remainders are added back (`sets/aarch64/neon/split.rs`).

use alloc::vec::Vec;
use core::ops::Range;

use crate::isa::Isa;
use crate::layout::Layout;

/// Columns of a panel.
pub(crate) const NR: usize = Layout::of(Isa::Neon).nr;

/// Rows of a group, two to a lane.
pub(crate) const KR: usize = Layout::of(Isa::Neon).kr;

/// Rows whose products meet in the lanes of a chain: two groups.
pub(crate) const CHAIN: usize = 2 * KR;

/// Rows of a turn of the loop, four chains.
pub(crate) const TURN: usize = 4 * CHAIN;

/// What magnitudes of weights may add up to: 255 * 128 < 2^15.
const LIMIT: u16 = i16::MAX as u16 / 128;

/// A chain as a panel has it: two groups of [`KR`] rows of every column.
pub(crate) type Chain = [[u8; KR]; 2 * NR];

/// Of each column of a chain, of each lane.
pub(crate) type LaneSums = [[u16; KR / 2]; NR];

/// A weight that is split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Remainder {
    /// Its row in the matrix.
    pub(crate) k: u16,
    pub(crate) kept: i8,
    pub(crate) remainder: i8,
}

/// The split weights of a matrix.
#[derive(Clone, Debug)]
pub(crate) struct SplitWeights {
    remainders: Vec<Remainder>,
    /// Those of each column of a panel; nothing for a panel whose remainders do not fit 16 bits themselves.
    panels: Vec<Option<[Range<u32>; NR]>>,
    /// Whether some panel is there.
    any: bool,
    /// Of a panel on its way: chains in which some weights are split, and why.
    full: Vec<(usize, LaneSums)>,
}

impl SplitWeights {
    /// For a matrix of `k` rows, if the loop takes such.
    pub(crate) fn new(layout: Layout, k: usize) -> Option<Self> {
        let fits = k > 0 && k.is_multiple_of(TURN) && k - 1 <= usize::from(u16::MAX);
        (fits && layout == Layout::of(Isa::Neon)).then(|| Self {
            remainders: Vec::new(),
            panels: Vec::new(),
            any: false,
            full: Vec::new(),
        })
    }

    /// Takes in the next panel; `lane_sums` is that of an instruction set.
    pub(crate) fn push(&mut self, panel: &[u8], lane_sums: impl Fn(&Chain) -> (LaneSums, u16)) {
        let (groups, _) = panel.as_chunks::<KR>();
        let (chains, _) = groups.as_chunks::<{ 2 * NR }>();
        let mut full = core::mem::take(&mut self.full);
        full.clear();
        for (chain, groups) in chains.iter().enumerate() {
            let (sums, most) = lane_sums(groups);
            if most > LIMIT {
                full.push((chain, sums));
            }
        }
        let first = self.remainders.len();
        let mut columns = [const { 0..0 }; NR];
        let mut fits = true;
        for (column, range) in columns.iter_mut().enumerate() {
            let start = self.remainders.len();
            let mut total = 0;
            for (chain, sums) in &full {
                let weights = &chains[*chain];
                let weights = [&weights[column], &weights[NR + column]];
                for (lane, sum) in sums[column].iter().enumerate() {
                    if *sum > LIMIT {
                        total += sum - LIMIT;
                        self.split(*chain, lane, weights, sum - LIMIT);
                    }
                }
                if total > LIMIT {
                    break;
                }
            }
            fits &= total <= LIMIT;
            *range = start as u32..self.remainders.len() as u32;
        }
        self.full = full;
        if !fits {
            self.remainders.truncate(first);
        }
        self.panels.push(fits.then_some(columns));
        self.any |= fits;
    }

    /// Splits weights of a lane of a column, whose magnitudes add up to `excess` too much.
    fn split(&mut self, chain: usize, lane: usize, weights: [&[u8; KR]; 2], mut excess: u16) {
        let mut rows: [usize; 4] = core::array::from_fn(|i| i * KR / 2 + lane);
        let weight = |row: usize| weights[row / KR][row % KR];
        rows.sort_unstable_by_key(|row| core::cmp::Reverse(magnitude(weight(*row))));
        for row in rows {
            let w = weight(row) as i8;
            let remainder = excess.min(magnitude(weight(row)));
            if remainder == 0 {
                break;
            }
            excess -= remainder;
            let remainder = remainder as i8 * w.signum();
            self.remainders.push(Remainder {
                k: (chain * CHAIN + row) as u16,
                kept: w - remainder,
                remainder,
            });
        }
    }

    #[allow(dead_code, reason = "read by instruction sets of one architecture")]
    /// Whether the loop takes some panel.
    #[inline(always)]
    pub(crate) fn any(&self) -> bool {
        self.any
    }

    #[allow(dead_code, reason = "read by instruction sets of one architecture")]
    /// The split weights of each column of a panel, all of rows that the matrix has.
    #[inline(always)]
    pub(crate) fn panel(&self, panel: usize) -> Option<[&[Remainder]; NR]> {
        let columns = self.panels[panel].as_ref()?;
        Some(core::array::from_fn(|c| {
            &self.remainders[columns[c].start as usize..columns[c].end as usize]
        }))
    }

    pub(crate) fn size_in_bytes(&self) -> usize {
        size_of_val(&self.remainders[..]) + size_of_val(&self.panels[..])
    }
}

/// What magnitudes in each lane of each column of a chain add up to, and the most.
pub(crate) fn lane_sums(chain: &Chain) -> (LaneSums, u16) {
    let sums: LaneSums = core::array::from_fn(|column| {
        core::array::from_fn(|lane| {
            let of = |w: &[u8; KR]| magnitude(w[lane]) + magnitude(w[lane + KR / 2]);
            of(&chain[column]) + of(&chain[NR + column])
        })
    });
    let most = sums
        .as_flattened()
        .iter()
        .fold(0, |most, sum| most.max(*sum));
    (sums, most)
}

fn magnitude(byte: u8) -> u16 {
    u16::from((byte as i8).unsigned_abs())
}

#[cfg(test)]
mod tests {
    use std::vec;
    use std::vec::Vec;

    use super::*;
    use crate::operands::panels::Panels;

    const LAYOUT: Layout = Layout::of(Isa::Neon);

    fn of(w: &[i8], k: usize, n: usize) -> SplitWeights {
        let mut chains = SplitWeights::new(LAYOUT, k).expect("a k of whole turns");
        let packed = Panels::of(Isa::Neon).pack(w, k, n);
        packed
            .chunks(k * NR)
            .for_each(|panel| chains.push(panel, lane_sums));
        chains
    }

    /// What is kept of `w`, after checking that it and the remainders are `w`, and that both fit.
    fn kept(w: &[i8], k: usize, n: usize) -> Vec<i8> {
        let chains = of(w, k, n);
        let mut kept = w.to_vec();
        for panel in 0..n.div_ceil(NR) {
            for (c, remainders) in chains
                .panel(panel)
                .expect("a panel")
                .into_iter()
                .enumerate()
            {
                let mut total = 0;
                for Remainder {
                    k,
                    kept: keep,
                    remainder,
                } in remainders
                {
                    let w = &mut kept[usize::from(*k) * n + panel * NR + c];
                    assert_eq!(i16::from(*keep) + i16::from(*remainder), i16::from(*w));
                    *w = *keep;
                    total += u16::from(remainder.unsigned_abs());
                }
                assert!(total <= LIMIT, "remainders of {total} in a column");
            }
        }
        for column in 0..n {
            for lane in (0..k).filter(|row| row % CHAIN < KR / 2) {
                let rows = (0..4).map(|i| lane + i * KR / 2);
                let sum: u16 = rows
                    .map(|row| u16::from(kept[row * n + column].unsigned_abs()))
                    .sum();
                assert!(
                    sum <= LIMIT,
                    "{sum} in the lane of row {lane}, column {column}"
                );
            }
        }
        kept
    }

    #[test]
    fn a_lane_of_255_is_left_and_one_of_256_is_split_wherever_it_is() {
        let (k, n) = (TURN, 2 * NR);
        for row in (0..k).filter(|row| row % CHAIN < KR / 2) {
            for column in 0..n {
                for (last, count) in [(74i8, 0), (75, 1), (-74, 0), (-75, 1), (127, 1)] {
                    let mut w = vec![0; k * n];
                    let rows: [usize; 4] = core::array::from_fn(|i| row + i * KR / 2);
                    for (row, value) in rows.into_iter().zip([60, -60, 61, last]) {
                        w[row * n + column] = value;
                    }
                    let chains = of(&w, k, n);
                    assert_eq!(
                        chains.remainders.len(),
                        count,
                        "row {row} column {column} {last}"
                    );
                    assert_eq!(kept(&w, k, n) == w, count == 0);
                }
            }
        }
    }

    #[test]
    fn weights_of_any_distribution_are_split_or_the_panel_is_left_alone() {
        let (k, n) = (512, 8 * NR);
        let mut state = 1u64;
        let mut uniform = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 40) as f32 / (1 << 24) as f32
        };
        // Near enough to normal, 127 being 3.1 standard deviations.
        let normal: Vec<i8> = (0..k * n)
            .map(|_| ((0..12).map(|_| uniform()).sum::<f32>() - 6.0) * 41.0)
            .map(|w| w.round().clamp(-127.0, 127.0) as i8)
            .collect();
        let thinned = kept(&normal, k, n);
        assert_ne!(thinned, normal, "some weights are split");
        let flat: Vec<i8> = (0..k * n)
            .map(|_| ((uniform() - 0.5) * 255.0) as i8)
            .collect();
        let chains = of(&flat, k, n);
        assert!((0..n / NR).all(|panel| chains.panel(panel).is_none()));
        assert!(chains.remainders.is_empty());
        // Two lanes of 508 are too much for a column; one is not, and takes two or more weights.
        let mut w = vec![0i8; k * n];
        let mut fill = |row: usize| (0..4).for_each(|i| w[(row + i * KR / 2) * n] = -127);
        fill(3);
        assert_eq!(of(&w, k, n).remainders.len(), 2);
        kept(&w, k, n);
        let mut fill = |row: usize| (0..4).for_each(|i| w[(row + i * KR / 2) * n] = 127);
        fill(CHAIN);
        assert!(of(&w, k, n).panel(0).is_none() && of(&w, k, n).panel(1).is_some());
    }

    #[test]
    fn only_what_the_loop_takes_has_chains() {
        assert!(SplitWeights::new(LAYOUT, TURN - CHAIN).is_none());
        assert!(SplitWeights::new(LAYOUT, 0).is_none());
        assert!(SplitWeights::new(LAYOUT, (1 << 16) + TURN).is_none());
        assert!(SplitWeights::new(LAYOUT, 1 << 16).is_some());
        assert!(SplitWeights::new(Layout::of(Isa::Dotprod), TURN).is_none());
    }
}
