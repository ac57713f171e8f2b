//! How the rows of a map are shared out: runs of whole panels, as even as those are.

use std::ops::Range;

/// Most rows of a task: their activations stay in the nearest caches.
const MOST: usize = 64;

/// Runs of rows, one a task.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shares {
    rows: usize,
    tasks: usize,
    /// Rows that a tile multiplies together.
    panel: usize,
}

impl Shares {
    /// `rows` rows among so many threads: as many tasks for each, where there are that many panels.
    pub(crate) fn new(rows: usize, threads: usize, panel: usize) -> Self {
        let wanted = rows.div_ceil(MOST).max(1).next_multiple_of(threads);
        Self {
            rows,
            tasks: wanted.min(rows.div_ceil(panel)),
            panel,
        }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.tasks
    }

    /// Where task `i` begins.
    pub(crate) fn start(&self, i: usize) -> usize {
        let panels = self.rows.div_ceil(self.panel);
        self.rows.min(i * panels / self.tasks.max(1) * self.panel)
    }

    /// The rows of each.
    pub(crate) fn ranges(self) -> impl ExactSizeIterator<Item = Range<usize>> {
        (0..self.tasks).map(move |i| self.start(i)..self.start(i + 1))
    }

    /// `x`, rows so wide, cut up so.
    pub(crate) fn cut<T>(self, x: &[T], width: usize) -> impl ExactSizeIterator<Item = &[T]> {
        self.ranges()
            .map(move |rows| &x[rows.start * width..rows.end * width])
    }

    /// As [`Shares::cut`].
    pub(crate) fn cut_mut<T>(
        self,
        x: &mut [T],
        width: usize,
    ) -> impl ExactSizeIterator<Item = &mut [T]> {
        let mut rest = x;
        self.ranges().map(move |rows| {
            let (here, after) = std::mem::take(&mut rest).split_at_mut(rows.len() * width);
            rest = after;
            here
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lengths(rows: usize, threads: usize, panel: usize) -> Vec<usize> {
        let shares = Shares::new(rows, threads, panel);
        shares.ranges().map(|rows| rows.len()).collect()
    }

    #[test]
    fn the_last_stages_of_a_mix_transformer_are_shared_evenly() {
        assert_eq!(lengths(196, 2, 12), [48, 48, 48, 52]);
        assert_eq!(lengths(49, 2, 12), [24, 25]);
        assert_eq!(lengths(49, 1, 12), [49]);
        assert_eq!(lengths(196, 4, 8), [48, 48, 48, 52]);
        assert_eq!(lengths(1, 2, 12), [1]);
        assert_eq!(lengths(0, 2, 12), [0usize; 0]);
    }

    #[test]
    fn every_row_is_in_one_share_and_panels_are_whole() {
        for rows in 0..400 {
            for (threads, panel) in [(1, 12), (2, 12), (3, 8), (4, 4), (16, 8), (7, 1)] {
                let shares = Shares::new(rows, threads, panel);
                let mut numbers: Vec<usize> = (0..2 * rows).collect();
                let mut next = 0;
                for (range, x) in shares.ranges().zip(shares.cut(&numbers, 2)) {
                    assert!(
                        range.start == next && !range.is_empty() && range.len() < MOST + 2 * panel
                    );
                    assert!(range.start.is_multiple_of(panel));
                    assert_eq!((x[0], x.len()), (2 * range.start, 2 * range.len()));
                    next = range.end;
                }
                assert_eq!(next, rows);
                let cut = shares.cut_mut(&mut numbers, 2);
                assert_eq!(cut.map(|x| x.len()).sum::<usize>(), 2 * rows);
            }
        }
    }
}
