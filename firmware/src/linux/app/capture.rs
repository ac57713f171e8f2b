//! The capture thread: opens the source, fills buffers, hands them over, reports its end.
//!
//! One thread is one attempt: it ends with the stream or with an error, and the inference side
//! decides whether to start another. A read that blocks for ever (a silent pipe, a hung driver)
//! keeps only this thread from ending; nobody waits for it.

use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::thread;
use std::time::Duration;

use super::bell::Shared;
use crate::linux::source::{
    FrameSource, ReadOutcome, SkipCallback, Skipped, SourceError, SourceOptions,
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
    pub(super) options: SourceOptions,
    /// Whether to drop frames while the model works; `None` does so for live sources.
    pub(super) drop: Option<bool>,
}

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
        let on_skipped: SkipCallback = Arc::new(move |skipped: &Skipped| {
            // Once the other side is gone, nobody wants to know.
            let _ = messages.send(Message::Skipped(skipped.clone()));
            shared.news.ring();
        });
        self.options.on_skipped = Some(on_skipped);
        match (self.opener)(&self.options) {
            Err(error) => self.tell(Message::Failed(error)),
            Ok(source) => {
                let live = source.is_live();
                self.tell(Message::Ready {
                    description: source.describe(),
                    live,
                });
                let drop = self.drop.unwrap_or(live);
                if let Some(last_words) = self.stream(source, drop, first_seq) {
                    self.tell(last_words);
                }
            }
        }
    }

    /// Reads until the end. `None` when told to stop: whoever said so needs no answer.
    fn stream(
        &self,
        mut source: Box<dyn FrameSource>,
        drop: bool,
        first_seq: u64,
    ) -> Option<Message> {
        let queue = &self.shared.queue;
        loop {
            let heard = self.shared.space.heard();
            if self.shared.stop_requested() {
                return None;
            }
            let buffer = if drop {
                queue.take_empty()
            } else {
                queue.take_free()
            };
            let Some(mut buffer) = buffer else {
                self.shared.space.wait(heard, Duration::from_secs(1));
                continue;
            };
            let last_words = match source.read(&mut buffer) {
                Ok(ReadOutcome::Frame) => {
                    buffer.seq = buffer.seq.saturating_add(first_seq);
                    // The buffer came from this queue, so there is room for it.
                    let _ = queue.publish(buffer);
                    self.shared.news.ring();
                    continue;
                }
                Ok(ReadOutcome::End) => Message::Ended,
                Err(error) => Message::Failed(error),
            };
            let _ = queue.give_back(buffer);
            return Some(last_words);
        }
    }

    fn tell(&self, message: Message) {
        // Once the other side is gone, nobody wants to know.
        let _ = self.messages.send(message);
        self.shared.news.ring();
    }
}
