//! The main loop: hears the capture thread, follows the state machine, hands frames to the worker.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use anyhow::Context;

use super::bell::Shared;
use super::capture::{Capture, LARGE, Message, Opener};
use super::conclusion;
use super::drops::Drops;
use super::exit::{Failure, chain};
use super::guard::Guard;
use super::lines;
use super::log::{Event as LogEvent, Log};
use super::report::Summary;
use super::settings::Settings;
use super::systemd::Systemd;
use super::teach::control::{Asked, Control};
use super::teach::request::Request;
use super::teach::showing::{Showing, failed};
use super::worker::{Outcome, Worker};
use crate::source::{FrameBuffer, SourceError};
use igpt_firmware_core::pipeline::{Action, Cause, Event, Pipeline, State};

/// The longest sleep of the main loop.
const PATIENCE: Duration = Duration::from_secs(1);

/// What the app is made of.
pub(super) struct Parts {
    pub(super) settings: Settings,
    pub(super) shared: Arc<Shared>,
    pub(super) opener: Opener,
    pub(super) worker: Worker,
    pub(super) guard: Option<Guard>,
    pub(super) log: Arc<Log>,
    /// What the outputs say they are, for the summary.
    pub(super) outputs: Vec<String>,
    /// Where requests come from, if from anywhere.
    pub(super) control: Option<Control>,
    /// The one request that the run is for: it ends with it.
    pub(super) errand: Option<Asked>,
}

/// The running app.
pub(super) struct Engine {
    shared: Arc<Shared>,
    capture: Capture,
    messages: Receiver<Message>,
    pipeline: Pipeline,
    worker: Worker,
    guard: Option<Guard>,
    log: Arc<Log>,
    systemd: Systemd,
    settings: Settings,
    outputs: Vec<String>,
    control: Option<Control>,
    /// What is to be shown as soon as the source is open, after which the run ends.
    errand: Option<Asked>,
    /// Whether the run ends with what is being shown.
    for_errand: bool,
    showing: Option<Showing>,
    started: Instant,
    /// Whether frames are dropped while the model works.
    drop: bool,
    /// Whether frames arrive by themselves.
    live: bool,
    reopen_at: Option<Duration>,
    /// Not before this is the next frame classified.
    due: Duration,
    next_seq: u64,
    drops: Drops,
    /// The last frame, for a screen whose camera is lost.
    last: Option<FrameBuffer>,
    source_error: Option<SourceError>,
}

impl Engine {
    pub(super) fn new(parts: Parts) -> Self {
        let Parts {
            settings,
            shared,
            opener,
            worker,
            guard,
            log,
            outputs,
            control,
            errand,
        } = parts;
        let (sender, messages) = channel();
        let capture = Capture {
            shared: Arc::clone(&shared),
            messages: sender,
            opener,
            spec: settings.source.clone(),
            options: settings.source_options.clone(),
            drop: settings.drop,
            strict: settings.strict,
        };
        Self {
            shared,
            capture,
            messages,
            pipeline: Pipeline::new(settings.retry),
            worker,
            guard,
            log,
            systemd: Systemd::new(),
            settings,
            outputs,
            control,
            for_errand: errand.is_some(),
            errand,
            showing: None,
            started: Instant::now(),
            drop: false,
            live: false,
            reopen_at: None,
            due: Duration::ZERO,
            next_seq: 0,
            drops: Drops::default(),
            last: None,
            source_error: None,
        }
    }

    /// Runs to the end, prints the summary, and says whether all went well.
    ///
    /// # Errors
    /// When the source never opened or is lost for good, the model keeps failing, or an output did not take
    /// everything.
    pub(super) fn run(mut self) -> Result<Summary, Failure> {
        let outcome = self.main_loop();
        self.end_showing();
        // Nobody is answered any more.
        self.control = None;
        // Whatever the reason, nobody is to fill another frame.
        self.shared.request_stop();
        self.systemd.stopping();
        let cause = match self.pipeline.state() {
            State::Draining { cause } | State::Stopped { cause } => cause,
            _ => Cause::Requested,
        };
        let summary = Summary {
            cause,
            counters: self.pipeline.counters(),
            queue: self.shared.queue.counters(),
            lost_upstream: self.drops.upstream,
            unclassified: self.worker.unclassified,
            exits: self.worker.exits,
            elapsed: self.started.elapsed(),
            outputs: self.outputs,
            stats: std::mem::take(&mut self.worker.stats),
        };
        if let Some(guard) = &mut self.guard
            && let Err(error) = guard.stopped(summary.counters.classified)
        {
            self.log.write(&LogEvent::GuardFailed { error: &error });
        }
        let mut failure = outcome
            .err()
            .or_else(|| conclusion::failure(&self.settings, &summary, self.source_error.take()));
        failure = failure.or_else(|| lines::failure(&self.worker.lost()));
        if cause != Cause::NeverOpened || self.settings.json {
            // A reader that is gone needs no summary; any other error is among the losses now.
            let _ = self.worker.reporter().end(&summary, failure.as_ref());
        }
        match failure.or_else(|| lines::failure(&self.worker.lost())) {
            Some(failure) => Err(failure),
            None => Ok(summary),
        }
    }

    fn main_loop(&mut self) -> Result<(), Failure> {
        self.start_capture()?;
        loop {
            let heard = self.shared.news.heard();
            self.systemd.alive();
            self.hear()?;
            self.count_captured();
            self.obey();
            if self.shared.stop_requested() {
                self.event(Event::StopRequested);
                // Now, not after the frames that still wait: the summary shows them as left.
                self.event(Event::Drained);
                return Ok(());
            }
            if matches!(self.pipeline.state(), State::Draining { .. })
                && self.shared.queue.counters().queued == 0
            {
                self.event(Event::Drained);
                return Ok(());
            }
            if self.reopen_at.is_some_and(|at| self.now() >= at) {
                self.reopen_at = None;
                self.start_capture()?;
            }
            if self.now() >= self.due && self.one_frame()? {
                continue;
            }
            self.shared.news.wait(heard, self.patience());
        }
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    /// Tells the state machine of frames that came into the queue. One that came in before
    /// its source was reported open waits for that report.
    fn count_captured(&mut self) {
        if self.pipeline.state() != State::Starting {
            for _ in self.pipeline.counters().captured..self.shared.queue.counters().produced {
                self.event(Event::Captured);
            }
        }
    }

    /// How long the loop may sleep: until the next frame may be classified, the source may be
    /// reopened, or the watchdog wants to hear from us.
    fn patience(&self) -> Duration {
        let now = self.now();
        let mut patience = self.systemd.patience().unwrap_or(PATIENCE).min(PATIENCE);
        if self.due > now {
            patience = patience.min(self.due - now);
        }
        if let Some(at) = self.reopen_at {
            patience = patience.min(at.saturating_sub(now));
        }
        patience
    }

    fn start_capture(&mut self) -> Result<(), Failure> {
        self.capture
            .start(self.next_seq)
            .context("cannot start the capture thread")
            .map_err(Failure::Runtime)
    }

    /// Hands an event to the state machine and does what it says.
    fn event(&mut self, event: Event) {
        let before = self.pipeline.state();
        match self.pipeline.handle(event, self.now()) {
            Ok(Action::Reopen { at }) => self.reopen_at = Some(at),
            Ok(Action::Drain | Action::Finish) => self.reopen_at = None,
            Ok(Action::Continue) => {}
            // A mistake of ours. It changed nothing, so a camera in the field goes on.
            Err(error) => {
                if cfg!(test) {
                    panic!("{error}");
                }
                self.log.write(&LogEvent::Unexpected { error: &error });
            }
        }
        let after = self.pipeline.state();
        let changed = std::mem::discriminant(&before) != std::mem::discriminant(&after);
        // While it runs, the status is what it runs on.
        if changed && after != State::Running {
            self.systemd.status(&after.to_string());
        }
    }

    /// Takes in what the capture thread said.
    fn hear(&mut self) -> Result<(), Failure> {
        while let Ok(message) = self.messages.try_recv() {
            match message {
                Message::Ready { description, live } => {
                    self.drop = self.settings.drop.unwrap_or(live);
                    self.live = live;
                    self.worker.set_filter(self.settings.filter(live))?;
                    self.worker.stabilize(self.settings.stabilizer(live));
                    self.worker.interrupt_changes();
                    self.log.write(&LogEvent::SourceOpened {
                        description: &description,
                    });
                    self.systemd.ready(&description);
                    self.event(Event::SourceReady);
                    if let Some(errand) = self.errand.take() {
                        self.obey_one(errand);
                        // It could not even begin.
                        if self.showing.is_none() {
                            self.shared.request_stop();
                        }
                    }
                }
                Message::Skipped(skipped) => {
                    // If it cannot be written, that is counted and told at the end.
                    let _ = self
                        .worker
                        .reporter()
                        .skipped(&skipped.name, &skipped.reason);
                    self.log.write(&LogEvent::Skipped {
                        name: &skipped.name,
                        reason: &skipped.reason,
                    });
                    self.event(Event::Undecodable);
                }
                Message::Ended => self.event(Event::SourceEnded),
                Message::Failed(error) => self.source_failed(error),
            }
        }
        Ok(())
    }

    fn source_failed(&mut self, error: SourceError) {
        let first = self.pipeline.state() == State::Running;
        self.event(Event::SourceFailed {
            retryable: error.is_retryable(),
        });
        if let (State::SourceLost { .. }, Some(at)) = (self.pipeline.state(), self.reopen_at) {
            let retry_in = at.saturating_sub(self.now());
            self.log.write(&LogEvent::SourceLost {
                error: &error,
                retry_in,
            });
            if let (true, Some(frame)) = (first, &self.last) {
                let dropped = self.drops.in_all;
                let failures = self.worker.show_lost(frame, dropped, &self.log);
                for _ in 0..failures {
                    self.event(Event::OutputFailed);
                }
            }
        }
        self.source_error = Some(error);
    }

    /// Classifies the next frame, if one waits.
    fn one_frame(&mut self) -> Result<bool, Failure> {
        let queue = &self.shared.queue;
        let Some(frame) = (if self.drop {
            queue.take_newest()
        } else {
            queue.take_oldest()
        }) else {
            return Ok(false);
        };
        // Newest wins: buffers of older frames are free again.
        self.shared.space.ring();
        self.due = self.now() + self.settings.interval;
        self.next_seq = frame.seq.saturating_add(1);
        let by_queue = self.shared.queue.counters().dropped;
        let dropped = self.drops.next(frame.dropped_before, by_queue);
        let started = self.started;
        let since_start = || started.elapsed();
        let outcome = self.worker.process(&frame, dropped, since_start, &self.log);
        if matches!(outcome, Ok(Outcome::Classified { .. })) {
            self.show(&frame);
        }
        self.keep(frame);
        match outcome? {
            Outcome::Unclassified => {}
            Outcome::Classified {
                output_failures,
                in_vain,
            } => {
                self.event(Event::Classified);
                for _ in 0..output_failures {
                    self.event(Event::OutputFailed);
                }
                if let Some(guard) = &mut self.guard
                    && let Err(error) = guard.verdict()
                {
                    self.log.write(&LogEvent::GuardFailed { error: &error });
                }
                let enough = self
                    .settings
                    .frames
                    .is_some_and(|most| self.pipeline.counters().classified >= most);
                if enough || in_vain {
                    self.shared.request_stop();
                }
            }
        }
        Ok(true)
    }

    /// Does what was asked for over the socket, between two frames.
    fn obey(&mut self) {
        while let Some(asked) = self.control.as_ref().and_then(|c| c.asked.try_recv().ok()) {
            self.obey_one(asked);
        }
        let now = self.now();
        if self
            .showing
            .as_ref()
            .is_some_and(|showing| showing.is_late(now))
        {
            self.end_showing();
        }
    }

    /// Does one thing, and answers.
    fn obey_one(&mut self, Asked { request, answers }: Asked) {
        let (now, live) = (self.now(), self.live);
        let busy = self.showing.as_ref().map(Showing::word);
        let model = self.worker.pupil().name().to_owned();
        let Some(teacher) = self.worker.pupil().teacher() else {
            // Whoever asked may have gone.
            let _ = answers.send(failed(
                "what is taught is kept nowhere: start the app with --taught FILE, and a model that takes pictures",
            ));
            return;
        };
        let (answer, changed) = match &request {
            Request::Teach { .. } if busy.is_some() => {
                let busy = busy.unwrap_or_default();
                (
                    failed(&format!("{busy} is being shown; wait for its end")),
                    false,
                )
            }
            Request::Teach { .. } => {
                self.showing = Showing::new(&request, answers, live, now);
                self.notice();
                return;
            }
            Request::Undo {} | Request::Forget { .. } if busy.is_some() => {
                let busy = busy.unwrap_or_default();
                (
                    failed(&format!("{busy} is being shown; wait for its end")),
                    false,
                )
            }
            other => match teacher.obey(other, &model, busy.as_deref()) {
                Ok(answer) => (
                    answer,
                    matches!(other, Request::Undo {} | Request::Forget { .. }),
                ),
                Err(error) => (failed(&chain(&error)), false),
            },
        };
        let _ = answers.send(answer);
        if changed {
            self.swap();
        }
    }

    /// Makes a frame an example, if one is wanted.
    fn show(&mut self, frame: &FrameBuffer) {
        let now = self.now();
        let Some(mut showing) = self.showing.take_if(|showing| showing.wants(now)) else {
            return;
        };
        let done_at = || self.started.elapsed();
        match showing.take(self.worker.pupil(), frame, done_at) {
            Ok(true) => self.showing = Some(showing),
            Ok(false) => {
                self.showing = Some(showing);
                self.end_showing();
            }
            Err(error) => {
                showing.fail(&chain(&error));
                if self.for_errand {
                    self.shared.request_stop();
                }
            }
        }
        self.notice();
        self.swap();
    }

    /// What is being shown is over.
    fn end_showing(&mut self) {
        if let (Some(showing), Some(teacher)) = (self.showing.take(), self.worker.pupil().teacher())
        {
            showing.end(teacher);
            if self.for_errand {
                self.shared.request_stop();
            }
        }
        self.notice();
    }

    /// The screen says what is being shown.
    fn notice(&mut self) {
        self.worker.notice(self.showing.as_ref().map(Showing::word));
    }

    /// Another head from the next frame on.
    fn swap(&mut self) {
        let filter = self.settings.filter(self.live);
        // On an errand the answers tell it.
        let swapped = match self.for_errand {
            true => self.worker.set_filter(filter),
            false => self.worker.taught(filter, &self.log),
        };
        if let Err(error) = swapped {
            self.log.write(&LogEvent::Unexpected { error: &error });
        }
    }

    /// Keeps the frame of a live source for [`Worker::show_lost`], and frees the one kept before. A file is
    /// not lost: its frame is free at once, and its memory too if that is much.
    fn keep(&mut self, mut frame: FrameBuffer) {
        let free = if self.live {
            self.last.replace(frame)
        } else {
            if frame.rgb.capacity() > LARGE {
                frame.rgb = Vec::new();
            }
            Some(frame)
        };
        if let Some(free) = free {
            // It came from this queue.
            let _ = self.shared.queue.give_back(free);
            self.shared.space.ring();
        }
    }
}
