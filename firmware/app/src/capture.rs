//! The capture thread: opens the source, fills buffers, hands them over, reports its end.
//!
//! One thread is one attempt: it ends with the stream or with an error, and the inference side
//! decides whether to start another. A read that blocks for ever (a silent pipe, a hung driver)
//! keeps only this thread from ending; nobody waits for it. A panic in a decoder is an error like
//! any other: a thread that died without a word would be waited for for ever.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use super::bell::{BUFFERS, Shared};
use crate::source::{
    FrameBuffer, FrameSource, ReadOutcome, SkipCallback, Skipped, SourceError, SourceOptions,
};

/// Opens the source; called again for each attempt.
pub type Opener =
    Arc<dyn Fn(&SourceOptions) -> Result<Box<dyn FrameSource>, SourceError> + Send + Sync>;

/// What the thread has to say.
#[derive(Debug)]
pub(super) enum Message {
    /// The source is open.
    Ready {
        /// What it is.
        description: String,
        /// Whether frames arrive by themselves.
        live: bool,
    },
    /// Something was passed over.
    Skipped(Skipped),
    /// The stream is over.
    Ended,
    /// Opening or reading failed.
    Failed(SourceError),
}

/// What a capture thread needs.
#[derive(Clone)]
pub(super) struct Capture {
    pub(super) shared: Arc<Shared>,
    pub(super) messages: Sender<Message>,
    pub(super) opener: Opener,
    /// What the opener opens, for the report of a panic.
    pub(super) spec: String,
    pub(super) options: SourceOptions,
    /// Whether to drop frames while the model works; `None` does so for live sources.
    pub(super) drop: Option<bool>,
    /// Whether something that would be passed over is an error instead.
    pub(super) strict: bool,
}

/// Bytes of a picture beyond which only one is in memory at a time: 16 megapixels.
pub(super) const LARGE: usize = 3 << 24;

impl Capture {
    /// Starts a thread whose frames are numbered from `first_seq`.
    pub(super) fn start(&self, first_seq: u64) -> std::io::Result<()> {
        let capture = self.clone();
        thread::Builder::new()
            .name("capture".to_owned())
            .spawn(move || capture.run(first_seq))?;
        Ok(())
    }

    fn run(mut self, first_seq: u64) {
        let (messages, shared) = (self.messages.clone(), Arc::clone(&self.shared));
        let refused = Arc::new(Mutex::new(None));
        let (strict, first) = (self.strict, Arc::clone(&refused));
        let on_skipped: SkipCallback = Arc::new(move |skipped: &Skipped| {
            if strict {
                let mut first = first.lock().unwrap_or_else(PoisonError::into_inner);
                first.get_or_insert_with(|| skipped.clone());
                return;
            }
            // Once the other side is gone, nobody wants to know.
            let _ = messages.send(Message::Skipped(skipped.clone()));
            shared.news.ring();
        });
        self.options.on_skipped = Some(on_skipped);
        let mut held = None;
        // Unwind safe: the source ends with the attempt, and a half filled buffer counts as empty.
        let attempt = catch_unwind(AssertUnwindSafe(|| {
            self.attempt(first_seq, &mut held, &refused)
        }));
        if let Some(buffer) = held {
            // The buffer came from this queue, so there is room for it.
            let _ = self.shared.queue.give_back(buffer);
        }
        let last_words = attempt.unwrap_or_else(|payload| {
            Some(Message::Failed(SourceError::Panicked {
                name: self.spec.clone(),
                message: panic_message(&*payload),
            }))
        });
        if let Some(last_words) = last_words {
            self.tell(last_words);
        }
    }

    /// Opens and reads until the end. `None` when told to stop: whoever said so needs no answer.
    /// `held` is the buffer being filled, which outlives a panic.
    /// `refused` is what `--strict` does not let pass.
    fn attempt(
        &self,
        first_seq: u64,
        held: &mut Option<FrameBuffer>,
        refused: &Mutex<Option<Skipped>>,
    ) -> Option<Message> {
        let refused = || {
            let skipped = refused
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take();
            skipped.map(|Skipped { name, reason }| SourceError::Strict { name, reason })
        };
        let mut source = match (self.opener)(&self.options) {
            Ok(source) => source,
            Err(error) => return Some(Message::Failed(refused().unwrap_or(error))),
        };
        if let Some(error) = refused() {
            return Some(Message::Failed(error));
        }
        let live = source.is_live();
        self.tell(Message::Ready {
            description: source.describe(),
            live,
        });
        let drop = self.drop.unwrap_or(live);
        let queue = &self.shared.queue;
        // Until nobody holds a large picture any more, none is read. Of a live source the last one stays, for its
        // screen.
        let (mut large, all) = (false, if live { BUFFERS - 1 } else { BUFFERS });
        loop {
            let heard = self.shared.space.heard();
            if self.shared.stop_requested() {
                return None;
            }
            if large && !drop && queue.empty() < all {
                self.shared.space.wait(heard, Duration::from_secs(1));
                continue;
            }
            let buffer = if drop {
                queue.take_empty()
            } else {
                queue.take_free()
            };
            let Some(buffer) = buffer else {
                self.shared.space.wait(heard, Duration::from_secs(1));
                continue;
            };
            let read = source.read(held.insert(buffer));
            if let Some(error) = refused() {
                return Some(Message::Failed(error));
            }
            match read {
                Ok(ReadOutcome::Frame) => {
                    if let Some(mut frame) = held.take() {
                        large = frame.rgb.len() > LARGE;
                        frame.seq = frame.seq.saturating_add(first_seq);
                        // The buffer came from this queue, so there is room for it.
                        let _ = queue.publish(frame);
                    }
                    self.shared.news.ring();
                }
                Ok(ReadOutcome::End) => return Some(Message::Ended),
                Err(error) => return Some(Message::Failed(error)),
            }
        }
    }

    fn tell(&self, message: Message) {
        // Once the other side is gone, nobody wants to know.
        let _ = self.messages.send(message);
        self.shared.news.ring();
    }
}

/// What `panic!` was called with; anything but text is left to the panic's own line on standard error.
fn panic_message(payload: &(dyn Any + Send)) -> String {
    let text = payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "no message".to_owned())
}
