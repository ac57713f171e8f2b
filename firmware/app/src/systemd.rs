//! systemd's notifications; each does nothing when the app was not started by systemd.

use std::time::{Duration, Instant};

use sd_notify::NotifyState;

/// Tells systemd that the app is up, alive, and ending.
pub(super) struct Systemd {
    /// Half of what the unit's WatchdogSec= allows.
    every: Option<Duration>,
    last: Instant,
    ready: bool,
}

impl Systemd {
    pub(super) fn new() -> Self {
        Self {
            every: sd_notify::watchdog_enabled().map(|limit| limit / 2),
            last: Instant::now(),
            ready: false,
        }
    }

    /// The model is loaded and the source is open. Later calls only change the status line.
    pub(super) fn ready(&mut self, status: &str) {
        let mut states = vec![NotifyState::Status(status)];
        if !self.ready {
            states.push(NotifyState::Ready);
            self.ready = true;
        }
        notify(&states);
    }

    pub(super) fn status(&self, status: &str) {
        notify(&[NotifyState::Status(status)]);
    }

    /// Called on every turn of the main loop, which is what the watchdog watches.
    pub(super) fn alive(&mut self) {
        if self.every.is_some_and(|every| self.last.elapsed() >= every) {
            notify(&[NotifyState::Watchdog]);
            self.last = Instant::now();
        }
    }

    /// How long the main loop may sleep.
    pub(super) fn patience(&self) -> Option<Duration> {
        self.every
    }

    pub(super) fn stopping(&self) {
        notify(&[NotifyState::Stopping]);
    }
}

fn notify(states: &[NotifyState<'_>]) {
    // A notification that does not arrive changes nothing here; systemd acts on its absence.
    let _ = sd_notify::notify(states);
}
