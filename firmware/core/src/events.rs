//! From verdicts to events: something has changed, and has been so for long enough to be worth telling.
//!
//! A frame says a class, or that it is sure of none. What is believed changes when `k` of the last `n` frames say the same other thing; a
//! frame in between that says something else does not begin the count anew. While nothing reaches `k`, what was believed stays.

use heapless::Deque;

/// What a frame says, and what is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, defmt::Format)]
pub enum Belief {
    /// It is this class.
    Class(u16),
    /// It is none that the model is sure of.
    Unknown,
}

/// How many frames must agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventSettings {
    /// So many of the last frames, 1 or more.
    pub k: usize,
    /// Of so many, up to the filter's `N`.
    pub n: usize,
}

impl Default for EventSettings {
    /// Three of five.
    fn default() -> Self {
        Self { k: 3, n: 5 }
    }
}

/// Why a filter cannot be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{k} of {n} frames: expected 1 or more of up to {most}, and no more than there are")]
pub struct EventError {
    /// Frames that must agree.
    pub k: usize,
    /// Of so many.
    pub n: usize,
    /// The most possible.
    pub most: usize,
}

/// What is believed has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, defmt::Format)]
pub struct Change {
    /// What was believed before; nothing at first.
    pub from: Option<Belief>,
    /// What is believed now.
    pub to: Belief,
    /// Frames that say so,
    pub frames: usize,
    /// of so many that were looked at.
    pub of: usize,
    /// Frames since the change before, or since the beginning.
    pub after: u64,
}

/// Keeps the last `N` frames' words at most.
#[derive(Debug)]
pub struct EventFilter<const N: usize> {
    settings: EventSettings,
    said: Deque<Belief, N>,
    believed: Option<Belief>,
    since: u64,
}

impl<const N: usize> EventFilter<N> {
    /// # Errors
    /// If no frames are to agree, or more than are looked at or kept.
    pub fn new(settings: EventSettings) -> Result<Self, EventError> {
        let EventSettings { k, n } = settings;
        if k == 0 || k > n || n > N {
            return Err(EventError { k, n, most: N });
        }
        Ok(Self {
            settings,
            said: Deque::new(),
            believed: None,
            since: 0,
        })
    }

    /// What is believed; nothing until enough frames agree.
    #[must_use]
    pub fn believed(&self) -> Option<Belief> {
        self.believed
    }

    /// Looks at no earlier frame any more: another source, another scene. What is believed stays until enough new ones
    /// say otherwise.
    pub fn interrupt(&mut self) {
        self.said.clear();
    }

    /// Takes what the next frame says; the change, if it makes one.
    pub fn push(&mut self, says: Belief) -> Option<Change> {
        self.since = self.since.saturating_add(1);
        if self.said.len() == self.settings.n {
            self.said.pop_front();
        }
        // There is room: `n` is at most `N`.
        let _ = self.said.push_back(says);
        let frames = self.said.iter().filter(|said| **said == says).count();
        if frames < self.settings.k || self.believed == Some(says) {
            return None;
        }
        let from = self.believed.replace(says);
        Some(Change {
            from,
            to: says,
            frames,
            of: self.said.len(),
            after: core::mem::take(&mut self.since),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Belief::{Class, Unknown};

    fn filter(k: usize, n: usize) -> EventFilter<8> {
        EventFilter::new(EventSettings { k, n }).unwrap()
    }

    /// What is believed after each frame that changed it, and how long that took.
    fn changes(filter: &mut EventFilter<8>, says: &[Belief]) -> std::vec::Vec<(usize, Belief)> {
        let pushed = says.iter().enumerate();
        let changed = pushed.filter_map(|(at, says)| Some((at, filter.push(*says)?.to)));
        changed.collect()
    }

    #[test]
    fn a_change_needs_k_of_n_and_one_frame_that_differs_does_not_begin_it_anew() {
        let (a, b) = (Class(1), Class(2));
        let found = changes(&mut filter(3, 5), &[a, a, b, a, b, b, a, b, b, b]);
        assert_eq!(found, [(3, a), (5, b)]);
        // Two in five never are three.
        let found = changes(&mut filter(3, 5), &[a, a, a, b, a, b, a, a, b, a, b, a, a]);
        assert_eq!(found, [(2, a)]);
    }

    #[test]
    fn nothing_that_is_believed_is_told_twice() {
        let mut filter = filter(1, 1);
        let first = filter.push(Unknown).unwrap();
        assert_eq!((first.from, first.to, first.after), (None, Unknown, 1));
        assert_eq!(filter.push(Unknown), None);
        let second = filter.push(Class(0)).unwrap();
        assert_eq!((second.from, second.after), (Some(Unknown), 2));
        assert_eq!((second.frames, second.of), (1, 1));
        assert_eq!(filter.believed(), Some(Class(0)));
    }

    #[test]
    fn what_came_before_an_interruption_does_not_count() {
        let mut filter = filter(2, 4);
        assert_eq!(
            changes(&mut filter, &[Class(1), Class(1), Class(2)]).len(),
            1
        );
        filter.interrupt();
        assert_eq!(filter.push(Class(2)), None);
        assert_eq!(filter.believed(), Some(Class(1)));
        assert_eq!(filter.push(Class(2)).unwrap().frames, 2);
    }

    #[test]
    fn against_counting_by_hand_on_random_words() {
        let mut random = 7u32;
        for (k, n) in [(1, 1), (1, 4), (2, 3), (3, 5), (5, 8), (8, 8)] {
            let mut filter = filter(k, n);
            let (mut said, mut believed) = (std::vec::Vec::new(), None);
            for _ in 0..2000 {
                random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let says = match random >> 30 {
                    3 => Unknown,
                    class => Class(class as u16),
                };
                said.push(says);
                let last = &said[said.len().saturating_sub(n)..];
                let count = last.iter().filter(|it| **it == says).count();
                let changes = count >= k && believed != Some(says);
                assert_eq!(filter.push(says).is_some(), changes, "{k} of {n}");
                if changes {
                    believed = Some(says);
                }
                assert_eq!(filter.believed(), believed);
            }
        }
    }

    #[test]
    fn settings_that_make_no_sense_are_refused() {
        for (k, n) in [(0, 5), (6, 5), (1, 9)] {
            let error = EventFilter::<8>::new(EventSettings { k, n }).unwrap_err();
            assert_eq!((error.k, error.n, error.most), (k, n, 8));
        }
        let most = EventSettings { k: 8, n: 8 };
        assert!(EventFilter::<8>::new(most).is_ok());
    }
}
