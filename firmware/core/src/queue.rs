//! The queue between capture and inference: bounded, and the newest frame wins.
//!
//! Frame buffers are handed round, never copied: each belongs to the producer, to the queue or to
//! the consumer. All of them are put in at the start with [`FrameQueue::supply`]; afterwards
//! `N` buffers circulate and nothing allocates.
//!
//! ```text
//!            take_empty            publish            take_newest / take_oldest
//!   empty  ------------> producer --------> ready  ------------------------------> consumer
//!     ^                     ^                 |                                        |
//!     |                     +-----------------+ when nothing is empty, the oldest      |
//!     |                       ready frame is dropped and its buffer reused             |
//!     +--------------------------------- give_back ------------------------------------+
//! ```
//!
//! A live producer uses [`take_empty`](FrameQueue::take_empty) and never waits. One whose frames
//! must all be seen uses [`take_free`](FrameQueue::take_free) and waits until it gives a buffer.
//!
//! Every operation holds a critical section for the move of one handle, so an interrupt handler
//! may be the producer. At any moment `produced = consumed + dropped + queued`.

use core::cell::RefCell;

use critical_section::Mutex;
use heapless::Deque;

/// What has passed through a queue since it was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, defmt::Format)]
pub struct QueueCounters {
    /// Frames published.
    pub produced: u64,
    /// Frames handed to the consumer.
    pub consumed: u64,
    /// Frames that the consumer never saw because a newer one took their place.
    pub dropped: u64,
    /// Frames waiting now.
    pub queued: u64,
}

impl QueueCounters {
    /// Whether every frame is accounted for.
    pub const fn balanced(&self) -> bool {
        self.produced == self.consumed + self.dropped + self.queued
    }
}

struct State<B, const N: usize> {
    empty: Deque<B, N>,
    ready: Deque<B, N>,
    produced: u64,
    consumed: u64,
    dropped: u64,
}

/// A queue of at most `N` frame buffers of type `B`: a `&'static mut` picture on a
/// microcontroller, something that owns a `Vec` on Linux.
///
/// Three buffers are the least with which neither side ever waits: one being filled, one being
/// looked at, one in between.
pub struct FrameQueue<B, const N: usize> {
    state: Mutex<RefCell<State<B, N>>>,
}

impl<B, const N: usize> FrameQueue<B, N> {
    /// A queue without buffers; [`supply`](Self::supply) them next.
    pub const fn new() -> Self {
        Self {
            state: Mutex::new(RefCell::new(State {
                empty: Deque::new(),
                ready: Deque::new(),
                produced: 0,
                consumed: 0,
                dropped: 0,
            })),
        }
    }

    fn with<R>(&self, action: impl FnOnce(&mut State<B, N>) -> R) -> R {
        critical_section::with(|token| action(&mut self.state.borrow_ref_mut(token)))
    }

    /// Puts an empty buffer into circulation.
    ///
    /// # Errors
    /// Gives the buffer back when `N` empty ones are there already.
    pub fn supply(&self, buffer: B) -> Result<(), B> {
        self.with(|state| state.empty.push_back(buffer))
    }

    /// A buffer to fill, for a producer that cannot wait: an empty one, or else the oldest frame
    /// that nobody has looked at yet, which counts as dropped. `None` only while the two sides
    /// hold every buffer themselves.
    pub fn take_empty(&self) -> Option<B> {
        self.with(|state| {
            state.empty.pop_front().or_else(|| {
                let oldest = state.ready.pop_front()?;
                state.dropped += 1;
                Some(oldest)
            })
        })
    }

    /// A buffer to fill, for a producer whose every frame counts: drops nothing, and gives `None`
    /// while all buffers are in use.
    pub fn take_free(&self) -> Option<B> {
        self.with(|state| state.empty.pop_front())
    }

    /// Hands a filled buffer to the consumer.
    ///
    /// # Errors
    /// Gives the buffer back when `N` frames are waiting already, which takes a buffer that did
    /// not come from this queue.
    pub fn publish(&self, buffer: B) -> Result<(), B> {
        self.with(|state| {
            state.ready.push_back(buffer)?;
            state.produced += 1;
            Ok(())
        })
    }

    /// The newest frame. Older ones that wait are dropped, each counted, and their buffers are
    /// empty again.
    pub fn take_newest(&self) -> Option<B> {
        self.with(|state| {
            let newest = state.ready.pop_back()?;
            while let Some(stale) = state.ready.pop_front() {
                state.dropped += 1;
                // Cannot be full: N buffers circulate and `newest` is one of them. Were a foreign
                // one smuggled in, it would be freed here and the counters stay true.
                let _ = state.empty.push_back(stale);
            }
            state.consumed += 1;
            Some(newest)
        })
    }

    /// The frame that has waited longest.
    pub fn take_oldest(&self) -> Option<B> {
        self.with(|state| {
            let oldest = state.ready.pop_front()?;
            state.consumed += 1;
            Some(oldest)
        })
    }

    /// Returns a buffer, looked at or never filled. Gives it back when the queue is full of empty
    /// ones, as [`supply`](Self::supply) does.
    ///
    /// # Errors
    /// See [`supply`](Self::supply).
    pub fn give_back(&self, buffer: B) -> Result<(), B> {
        self.supply(buffer)
    }

    /// Buffers that nobody holds and that hold no frame.
    pub fn empty(&self) -> usize {
        self.with(|state| state.empty.len())
    }

    /// A consistent reading of the counters.
    pub fn counters(&self) -> QueueCounters {
        self.with(|state| QueueCounters {
            produced: state.produced,
            consumed: state.consumed,
            dropped: state.dropped,
            queued: state.ready.len() as u64,
        })
    }
}

impl<B, const N: usize> Default for FrameQueue<B, N> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::{FrameQueue, QueueCounters};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;

    fn queue_of(buffers: u64) -> FrameQueue<u64, 3> {
        let queue = FrameQueue::new();
        for _ in 0..buffers {
            queue.supply(0).unwrap();
        }
        queue
    }

    fn produce(queue: &FrameQueue<u64, 3>, value: u64) {
        queue.take_empty().expect("a buffer");
        queue.publish(value).unwrap();
    }

    #[test]
    fn the_newest_frame_wins_and_the_others_are_counted() {
        let queue = queue_of(3);
        for value in 1..=10 {
            produce(&queue, value);
            assert!(queue.counters().balanced());
        }
        assert_eq!(queue.take_newest(), Some(10));
        let expected = QueueCounters {
            produced: 10,
            consumed: 1,
            dropped: 9,
            queued: 0,
        };
        assert_eq!(queue.counters(), expected);
        assert_eq!(queue.take_newest(), None);
    }

    #[test]
    fn without_drops_every_frame_arrives_in_order_and_the_producer_must_wait() {
        let queue = queue_of(3);
        for value in 1..=3 {
            queue.take_free().expect("a buffer");
            queue.publish(value).unwrap();
        }
        assert_eq!(
            queue.take_free(),
            None,
            "three are waiting, so the producer waits"
        );
        for value in 1..=3 {
            assert_eq!(queue.take_oldest(), Some(value));
            queue.give_back(value).unwrap();
        }
        assert!(queue.take_free().is_some());
        assert_eq!(
            queue.counters(),
            QueueCounters {
                produced: 3,
                consumed: 3,
                dropped: 0,
                queued: 0
            }
        );
    }

    #[test]
    fn a_buffer_held_by_the_consumer_is_not_overwritten() {
        let queue = queue_of(3);
        produce(&queue, 1);
        let held = queue.take_newest().unwrap();
        for value in 2..20 {
            produce(&queue, value);
        }
        assert_eq!(held, 1);
        assert_eq!(queue.take_newest(), Some(19));
    }

    #[test]
    fn when_both_sides_hold_every_buffer_there_is_none_to_take() {
        let queue = queue_of(1);
        produce(&queue, 7);
        let held = queue.take_oldest().unwrap();
        assert_eq!(queue.take_empty(), None);
        queue.give_back(held).unwrap();
        assert!(queue.take_empty().is_some());
    }

    #[test]
    fn a_foreign_buffer_is_refused_not_lost() {
        let queue = queue_of(3);
        assert_eq!(queue.supply(9), Err(9));
        for value in 1..=3 {
            queue.publish(value).unwrap();
        }
        assert_eq!(queue.publish(4), Err(4));
        assert!(queue.counters().balanced());
    }

    /// Two threads at full speed, a third reads the counters: they balance at every moment, the
    /// consumer sees rising numbers only, and nothing is lost without being counted.
    #[test]
    fn counters_balance_at_every_moment_across_threads() {
        const FRAMES: u64 = 200_000;
        let queue = Arc::new(FrameQueue::<u64, 3>::new());
        for _ in 0..3 {
            queue.supply(0).unwrap();
        }
        let done = Arc::new(AtomicBool::new(false));
        let consumer = thread::spawn({
            let (queue, done) = (Arc::clone(&queue), Arc::clone(&done));
            move || {
                let (mut last, mut seen) = (0, 0_u64);
                loop {
                    // Read before looking: what was published before `done` is then seen below.
                    let finished = done.load(Ordering::Acquire);
                    match queue.take_newest() {
                        Some(frame) => {
                            assert!(frame > last, "frame {frame} after {last}");
                            last = frame;
                            seen += 1;
                            queue.give_back(frame).unwrap();
                        }
                        None if finished => return (last, seen),
                        None => thread::yield_now(),
                    }
                }
            }
        });
        let observer = thread::spawn({
            let (queue, done) = (Arc::clone(&queue), Arc::clone(&done));
            move || {
                while !done.load(Ordering::Acquire) {
                    let counters = queue.counters();
                    assert!(counters.balanced(), "{counters:?}");
                    assert!(counters.queued <= 3);
                }
            }
        });
        for frame in 1..=FRAMES {
            let buffer = queue.take_empty();
            assert!(
                buffer.is_some(),
                "two sides hold one each, so one of three is left"
            );
            queue.publish(frame).unwrap();
        }
        done.store(true, Ordering::Release);
        let (last, seen) = consumer.join().unwrap();
        observer.join().unwrap();
        let end = queue.counters();
        assert_eq!(last, FRAMES, "the newest frame arrives");
        assert_eq!((end.produced, end.consumed, end.queued), (FRAMES, seen, 0));
        assert_eq!(end.dropped, FRAMES - seen);
    }
}
