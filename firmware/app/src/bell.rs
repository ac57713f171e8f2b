//! What the threads share: the frame queue, a bell for each side to wake the other, the wish to stop.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use crate::source::FrameBuffer;
use igpt_firmware_core::queue::FrameQueue;

/// Frame buffers in circulation: one being filled, one being classified, the one classified last
/// (shown again when the camera is lost), and two waiting.
pub(super) const BUFFERS: usize = 5;

/// Wakes a thread. A ring that comes between looking and waiting is not missed: the waiter says
/// which rings it has heard.
#[derive(Debug, Default)]
pub(super) struct Bell {
    rings: Mutex<u64>,
    rung: Condvar,
}

impl Bell {
    /// Rings so far. Take this first, then look for work, then [`wait`](Self::wait).
    pub(super) fn heard(&self) -> u64 {
        *self.rings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn ring(&self) {
        *self.rings.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.rung.notify_all();
    }

    /// Sleeps until a ring after those `heard`, or for `longest`.
    pub(super) fn wait(&self, heard: u64, longest: Duration) {
        let rings = self.rings.lock().unwrap_or_else(PoisonError::into_inner);
        // Whether it rang or the time ran out, the caller looks again.
        let _ = self
            .rung
            .wait_timeout_while(rings, longest, |rings| *rings == heard);
    }
}

/// Shared by capture, inference and the signal handler.
pub struct Shared {
    pub(super) queue: FrameQueue<FrameBuffer, BUFFERS>,
    /// Rung for the inference side: a frame, a message, a signal.
    pub(super) news: Bell,
    /// Rung for the capture side: a buffer is free, or it is time to stop.
    pub(super) space: Bell,
    stop: AtomicBool,
}

impl Shared {
    /// With all buffers empty.
    pub fn new() -> Self {
        let queue = FrameQueue::new();
        for _ in 0..BUFFERS {
            // The queue has room for exactly as many.
            let _ = queue.supply(FrameBuffer::default());
        }
        Self {
            queue,
            news: Bell::default(),
            space: Bell::default(),
            stop: AtomicBool::new(false),
        }
    }

    /// Asks every thread to come to its end.
    pub fn request_stop(&self) {
        self.stop.store(true, Ordering::Release);
        self.news.ring();
        self.space.ring();
    }

    /// Whether somebody asked.
    pub fn stop_requested(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }
}

impl Default for Shared {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::Bell;
    use std::sync::Arc;
    use std::thread;
    use std::time::{Duration, Instant};

    const LONG: Duration = Duration::from_secs(30);

    #[test]
    fn a_ring_between_looking_and_waiting_is_not_missed() {
        let bell = Bell::default();
        let heard = bell.heard();
        bell.ring();
        let start = Instant::now();
        bell.wait(heard, LONG);
        assert!(start.elapsed() < LONG / 2);
    }

    #[test]
    fn a_ring_wakes_and_silence_ends_the_wait_in_time() {
        let bell = Arc::new(Bell::default());
        let heard = bell.heard();
        let sleeper = thread::spawn({
            let bell = Arc::clone(&bell);
            move || {
                let start = Instant::now();
                bell.wait(heard, LONG);
                start.elapsed()
            }
        });
        bell.ring();
        assert!(sleeper.join().unwrap() < LONG / 2);
        bell.wait(bell.heard(), Duration::from_millis(1));
    }
}
