//! The state machine's table of transitions, walked through event by event.

use core::time::Duration;

use super::{Action, Cause, Event, Pipeline, RetryPolicy, State, UnexpectedEvent};

const LOST: Event = Event::SourceFailed { retryable: true };
const BROKEN: Event = Event::SourceFailed { retryable: false };

fn seconds(s: u64) -> Duration {
    Duration::from_secs(s)
}

fn policy() -> RetryPolicy {
    RetryPolicy {
        first: seconds(1),
        longest: seconds(5),
        limit: Some(4),
    }
}

fn running() -> Pipeline {
    let mut pipeline = Pipeline::new(policy());
    assert_eq!(
        pipeline.handle(Event::SourceReady, seconds(0)),
        Ok(Action::Continue)
    );
    pipeline
}

#[test]
fn a_stream_starts_runs_drains_and_stops() {
    let mut pipeline = running();
    for _ in 0..3 {
        pipeline.handle(Event::Captured, seconds(1)).unwrap();
    }
    pipeline.handle(Event::Undecodable, seconds(1)).unwrap();
    pipeline.handle(Event::Classified, seconds(1)).unwrap();
    assert_eq!(
        pipeline.handle(Event::SourceEnded, seconds(2)),
        Ok(Action::Drain)
    );
    // What was captured before the end is still classified.
    pipeline.handle(Event::Classified, seconds(2)).unwrap();
    pipeline.handle(Event::OutputFailed, seconds(2)).unwrap();
    assert_eq!(
        pipeline.handle(Event::Drained, seconds(3)),
        Ok(Action::Finish)
    );
    assert_eq!(
        pipeline.state(),
        State::Stopped {
            cause: Cause::EndOfStream
        }
    );
    let counters = pipeline.counters();
    assert_eq!((counters.captured, counters.classified), (3, 2));
    assert_eq!(
        (
            counters.undecodable,
            counters.output_failures,
            counters.source_losses
        ),
        (1, 1, 0)
    );
}

#[test]
fn a_lost_source_is_retried_with_growing_pauses_then_given_up() {
    let mut pipeline = running();
    let mut now = seconds(10);
    for (retries, pause) in [(1, 1), (2, 2), (3, 4), (4, 5)] {
        let at = now + seconds(pause);
        assert_eq!(pipeline.handle(LOST, now), Ok(Action::Reopen { at }));
        assert_eq!(
            pipeline.state(),
            State::SourceLost {
                since: seconds(10),
                retries
            }
        );
        now = at;
    }
    assert_eq!(pipeline.handle(LOST, now), Ok(Action::Drain));
    assert_eq!(
        pipeline.state(),
        State::Draining {
            cause: Cause::SourceLost
        }
    );
    assert_eq!(
        pipeline.counters().source_losses,
        1,
        "one loss, however many attempts"
    );
}

#[test]
fn a_source_that_comes_back_starts_with_a_fresh_count_of_retries() {
    let mut pipeline = running();
    pipeline.handle(LOST, seconds(1)).unwrap();
    pipeline.handle(LOST, seconds(2)).unwrap();
    assert_eq!(
        pipeline.handle(Event::SourceReady, seconds(4)),
        Ok(Action::Continue)
    );
    assert_eq!(pipeline.state(), State::Running);
    assert_eq!(
        pipeline.handle(LOST, seconds(9)),
        Ok(Action::Reopen { at: seconds(10) })
    );
    assert_eq!(
        pipeline.state(),
        State::SourceLost {
            since: seconds(9),
            retries: 1
        }
    );
    assert_eq!(
        (
            pipeline.counters().source_losses,
            pipeline.counters().source_recoveries
        ),
        (2, 1)
    );
}

#[test]
fn what_opening_again_does_not_cure_is_not_retried() {
    let mut pipeline = running();
    assert_eq!(pipeline.handle(BROKEN, seconds(1)), Ok(Action::Drain));
    assert_eq!(
        pipeline.state(),
        State::Draining {
            cause: Cause::SourceLost
        }
    );

    let mut lost = running();
    lost.handle(LOST, seconds(1)).unwrap();
    assert_eq!(lost.handle(BROKEN, seconds(2)), Ok(Action::Drain));
}

#[test]
fn a_source_that_never_opened_is_not_retried() {
    let mut pipeline = Pipeline::new(policy());
    assert_eq!(pipeline.handle(LOST, seconds(0)), Ok(Action::Drain));
    assert_eq!(
        pipeline.state(),
        State::Draining {
            cause: Cause::NeverOpened
        }
    );
}

#[test]
fn a_stop_ends_every_state_and_the_first_cause_stays() {
    for prepare in [&[][..], &[Event::SourceReady], &[Event::SourceReady, LOST]] {
        let mut pipeline = Pipeline::new(policy());
        for event in prepare {
            pipeline.handle(*event, seconds(0)).unwrap();
        }
        assert_eq!(
            pipeline.handle(Event::StopRequested, seconds(1)),
            Ok(Action::Drain),
            "{prepare:?}"
        );
        // The capture thread reports its own end afterwards.
        assert_eq!(
            pipeline.handle(Event::SourceEnded, seconds(1)),
            Ok(Action::Drain)
        );
        assert_eq!(pipeline.handle(LOST, seconds(1)), Ok(Action::Drain));
        assert_eq!(
            pipeline.handle(Event::Drained, seconds(1)),
            Ok(Action::Finish)
        );
        assert_eq!(
            pipeline.state(),
            State::Stopped {
                cause: Cause::Requested
            }
        );
        assert_eq!(
            pipeline.handle(Event::StopRequested, seconds(2)),
            Ok(Action::Finish)
        );
    }
}

#[test]
fn an_event_out_of_place_changes_nothing() {
    let cases: [(&[Event], Event); 5] = [
        (&[], Event::Captured),
        (&[], Event::SourceEnded),
        (&[Event::SourceReady], Event::SourceReady),
        (&[Event::SourceReady], Event::Drained),
        (
            &[Event::SourceReady, Event::SourceEnded, Event::Drained],
            Event::Captured,
        ),
    ];
    for (prepare, event) in cases {
        let mut pipeline = Pipeline::new(policy());
        for event in prepare {
            pipeline.handle(*event, seconds(0)).unwrap();
        }
        let (state, counters) = (pipeline.state(), pipeline.counters());
        assert_eq!(
            pipeline.handle(event, seconds(1)),
            Err(UnexpectedEvent { event, state })
        );
        assert_eq!((pipeline.state(), pipeline.counters()), (state, counters));
    }
}

#[test]
fn pauses_double_up_to_the_longest_and_never_overflow() {
    let policy = RetryPolicy {
        first: seconds(1),
        longest: seconds(60),
        limit: None,
    };
    assert_eq!(policy.pause(0), seconds(1));
    assert_eq!(policy.pause(5), seconds(32));
    assert_eq!(policy.pause(6), seconds(60));
    assert_eq!(policy.pause(u32::MAX), seconds(60));
    let patient = RetryPolicy {
        first: Duration::MAX,
        longest: Duration::MAX,
        limit: None,
    };
    assert_eq!(patient.pause(9), Duration::MAX);
}
