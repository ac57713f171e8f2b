//! The life of the app as an explicit state machine: what happened goes in, what to do comes out.
//!
//! ```text
//!                      SourceFailed (retries left)
//!              +------------------------------------+
//!              v                                    |
//!  Starting --SourceReady--> Running --SourceFailed--> SourceLost --SourceReady--> Running
//!     |                        |                          |
//!     | SourceFailed           | SourceEnded,             | retries used up,
//!     | StopRequested          | StopRequested            | StopRequested
//!     v                        v                          v
//!  Draining <--------------- Draining <------------------ Draining --Drained--> Stopped
//! ```
//!
//! It knows no clock, no thread and no device: time is handed in with each event, as a
//! [`Duration`] since an origin of the caller's choice that never runs backwards.

use core::fmt;
use core::time::Duration;

/// Where the pipeline is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// The source is being opened for the first time.
    Starting,
    /// Frames arrive.
    Running,
    /// The source stopped working after it had worked; it is being opened again.
    SourceLost {
        /// When it was lost.
        since: Duration,
        /// Attempts made so far.
        retries: u32,
    },
    /// No frame will arrive any more; those that wait are being finished.
    Draining {
        /// Why.
        cause: Cause,
    },
    /// Nothing is left to do.
    Stopped {
        /// Why.
        cause: Cause,
    },
}

/// Why the pipeline came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, defmt::Format)]
pub enum Cause {
    /// The source had no more frames.
    EndOfStream,
    /// Somebody asked for it: a signal, a frame limit.
    Requested,
    /// The source never opened.
    NeverOpened,
    /// The source was lost and did not come back, or its failure is of a kind that opening
    /// again does not cure.
    SourceLost,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, defmt::Format)]
pub enum Event {
    /// The source is open.
    SourceReady,
    /// A frame came out of the source.
    Captured,
    /// Something in the stream could not be decoded and was passed over.
    Undecodable,
    /// A frame has its verdict.
    Classified,
    /// A verdict could not be shown or recorded (a full disk, say).
    OutputFailed,
    /// Opening or reading the source failed.
    SourceFailed {
        /// Whether opening it again may help.
        retryable: bool,
    },
    /// The source is at its end.
    SourceEnded,
    /// A person or the system asks for the end.
    StopRequested,
    /// All frames that waited are finished.
    Drained,
}

/// What the caller does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Go on.
    Continue,
    /// Open the source again, not before this time.
    Reopen {
        /// On the same clock as `now`.
        at: Duration,
    },
    /// Finish what is queued, then report [`Event::Drained`].
    Drain,
    /// Print the summary and leave.
    Finish,
}

/// How often and how patiently a lost source is opened again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Pause before the first attempt; it doubles with each further one.
    pub first: Duration,
    /// The longest pause.
    pub longest: Duration,
    /// Attempts before giving up; `None` tries for ever.
    pub limit: Option<u32>,
}

impl RetryPolicy {
    /// The pause before attempt number `retries` (from 0).
    pub fn pause(&self, retries: u32) -> Duration {
        // 2^16 times the first pause is beyond any sensible longest one, and cannot overflow u32.
        let factor = 1_u32 << retries.min(16);
        self.first.saturating_mul(factor).min(self.longest)
    }
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            first: Duration::from_millis(250),
            longest: Duration::from_secs(8),
            limit: Some(30),
        }
    }
}

/// Counts of what happened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, defmt::Format)]
pub struct Counters {
    /// Frames that came out of the source.
    pub captured: u64,
    /// Pictures passed over because they could not be decoded.
    pub undecodable: u64,
    /// Frames with a verdict.
    pub classified: u64,
    /// Outputs that failed.
    pub output_failures: u64,
    /// Times the source was lost while running.
    pub source_losses: u32,
    /// Times it came back.
    pub source_recoveries: u32,
}

/// An event that makes no sense in the state it met: a mistake of the caller. Nothing changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("event {event:?} is not expected while {state}")]
pub struct UnexpectedEvent {
    /// The event.
    pub event: Event,
    /// The state it met.
    pub state: State,
}

/// The state machine with its counters.
#[derive(Debug, Clone)]
pub struct Pipeline {
    state: State,
    counters: Counters,
    policy: RetryPolicy,
}

impl Pipeline {
    /// A pipeline whose source is about to be opened.
    pub const fn new(policy: RetryPolicy) -> Self {
        Self {
            state: State::Starting,
            counters: Counters {
                captured: 0,
                undecodable: 0,
                classified: 0,
                output_failures: 0,
                source_losses: 0,
                source_recoveries: 0,
            },
            policy,
        }
    }

    /// Where it is.
    pub const fn state(&self) -> State {
        self.state
    }

    /// What has happened so far.
    pub const fn counters(&self) -> Counters {
        self.counters
    }

    /// Takes in one event and says what to do.
    ///
    /// # Errors
    /// [`UnexpectedEvent`], with nothing changed, for an event that cannot happen in this state.
    pub fn handle(&mut self, event: Event, now: Duration) -> Result<Action, UnexpectedEvent> {
        let before = self.state;
        let (next, action) = self.transition(event, now)?;
        self.count(event, before);
        self.state = next;
        if next != before {
            defmt::info!("pipeline: {} -> {} on {}", before, next, event);
        }
        Ok(action)
    }

    fn transition(&self, event: Event, now: Duration) -> Result<(State, Action), UnexpectedEvent> {
        let state = self.state;
        let drain = |cause| Ok((State::Draining { cause }, Action::Drain));
        match (state, event) {
            // Frames captured before the end was known are still classified, shown and counted.
            (State::Stopped { .. }, Event::StopRequested | Event::Drained) => {
                Ok((state, Action::Finish))
            }
            (State::Stopped { .. }, _) => Err(UnexpectedEvent { event, state }),
            // Opening a stream may mean to search it for its first frame.
            (_, Event::Undecodable) => Ok((state, Action::Continue)),
            (_, Event::Captured | Event::Classified | Event::OutputFailed) => match state {
                State::Starting => Err(UnexpectedEvent { event, state }),
                _ => Ok((state, Action::Continue)),
            },

            (State::Starting | State::SourceLost { .. }, Event::SourceReady) => {
                Ok((State::Running, Action::Continue))
            }
            (State::Starting, Event::SourceFailed { .. }) => drain(Cause::NeverOpened),
            (State::Running, Event::SourceFailed { retryable: true }) => self.retry(now, 0, now),
            (State::SourceLost { since, retries }, Event::SourceFailed { retryable: true }) => {
                self.retry(since, retries, now)
            }
            (State::Running | State::SourceLost { .. }, Event::SourceFailed { .. }) => {
                drain(Cause::SourceLost)
            }
            (State::Running, Event::SourceEnded) => drain(Cause::EndOfStream),

            (State::Draining { cause }, Event::Drained) => {
                Ok((State::Stopped { cause }, Action::Finish))
            }
            // The capture side learns of the end later than we do: its last words are no news.
            (
                State::Draining { .. },
                Event::SourceReady
                | Event::SourceFailed { .. }
                | Event::SourceEnded
                | Event::StopRequested,
            ) => Ok((state, Action::Drain)),
            (_, Event::StopRequested) => drain(Cause::Requested),

            (State::Running, Event::SourceReady)
            | (State::Starting | State::SourceLost { .. }, Event::SourceEnded)
            | (_, Event::Drained) => Err(UnexpectedEvent { event, state }),
        }
    }

    fn retry(
        &self,
        since: Duration,
        retries: u32,
        now: Duration,
    ) -> Result<(State, Action), UnexpectedEvent> {
        if self.policy.limit.is_some_and(|limit| retries >= limit) {
            return Ok((
                State::Draining {
                    cause: Cause::SourceLost,
                },
                Action::Drain,
            ));
        }
        let at = now.saturating_add(self.policy.pause(retries));
        let state = State::SourceLost {
            since,
            retries: retries.saturating_add(1),
        };
        Ok((state, Action::Reopen { at }))
    }

    fn count(&mut self, event: Event, before: State) {
        let counters = &mut self.counters;
        match event {
            Event::Captured => counters.captured += 1,
            Event::Undecodable => counters.undecodable += 1,
            Event::Classified => counters.classified += 1,
            Event::OutputFailed => counters.output_failures += 1,
            Event::SourceFailed { .. } if before == State::Running => counters.source_losses += 1,
            Event::SourceReady if matches!(before, State::SourceLost { .. }) => {
                counters.source_recoveries += 1
            }
            _ => {}
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Starting => f.write_str("starting"),
            Self::Running => f.write_str("running"),
            Self::SourceLost { retries, .. } => write!(f, "source lost (attempt {retries})"),
            Self::Draining { cause } => write!(f, "finishing ({cause})"),
            Self::Stopped { cause } => write!(f, "stopped ({cause})"),
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EndOfStream => "end of the stream",
            Self::Requested => "as asked",
            Self::NeverOpened => "the source could not be opened",
            Self::SourceLost => "the source is lost",
        })
    }
}

impl defmt::Format for State {
    fn format(&self, f: defmt::Formatter<'_>) {
        match self {
            Self::Starting => defmt::write!(f, "Starting"),
            Self::Running => defmt::write!(f, "Running"),
            Self::SourceLost { since, retries } => {
                defmt::write!(
                    f,
                    "SourceLost(since {=u64:ms}, retries {=u32})",
                    since.as_millis() as u64,
                    retries
                );
            }
            Self::Draining { cause } => defmt::write!(f, "Draining({})", cause),
            Self::Stopped { cause } => defmt::write!(f, "Stopped({})", cause),
        }
    }
}

#[cfg(test)]
mod tests;
