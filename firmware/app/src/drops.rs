//! Frames that nobody looks at: those that the queue dropped, and those lost before they came to it.

/// Frames that were dropped before a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Dropped {
    /// Since the verdict before.
    pub(super) since_last: u64,
    /// Since the start.
    pub(super) in_all: u64,
}

/// What is known of them at the last verdict.
#[derive(Debug, Default)]
pub(super) struct Drops {
    /// Lost before they came to the queue, as the source reports.
    pub(super) upstream: u64,
    /// All of them.
    pub(super) in_all: u64,
}

impl Drops {
    /// Before a frame that follows `upstream` lost ones, when the queue has dropped so many.
    pub(super) fn next(&mut self, upstream: u64, by_queue: u64) -> Dropped {
        self.upstream += upstream;
        let in_all = by_queue + self.upstream;
        let since_last = in_all.saturating_sub(self.in_all);
        self.in_all = in_all;
        Dropped { since_last, in_all }
    }
}

#[cfg(test)]
mod tests {
    use super::{Dropped, Drops};

    #[test]
    fn drops_of_queue_and_source_are_told_once_and_in_all() {
        let mut drops = Drops::default();
        let told = [(0, 0), (2, 3), (0, 3), (1, 7)].map(|(up, queue)| drops.next(up, queue));
        let expected = [(0, 0), (5, 5), (0, 5), (5, 10)];
        assert_eq!(
            told,
            expected.map(|(since_last, in_all)| Dropped { since_last, in_all })
        );
    }
}
