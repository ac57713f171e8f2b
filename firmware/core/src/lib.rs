//! The core of a camera app that any board can run, with an operating system or without.
//!
//! It owns no clock, no thread and no device: time and storage are handed in, pictures are
//! drawn on any `DrawTarget`, log points go through defmt.
//!
//! | module | what it is responsible for |
//! |---|---|
//! | [`queue`] | frames between capture and inference: bounded, the newest wins, drops are counted |
//! | [`pipeline`] | the app's life as a state machine: running, source lost, draining, stopped |
//! | [`verdict`] | smoothing, hysteresis, "unsure" |
//! | [`events`] | from verdicts to events: `k` of `n` frames say something else |
//! | [`overlay`] | the annotated picture |
//! | [`boot_guard`] | falling back to the last good model after a crash loop |
#![cfg_attr(not(test), no_std)]

pub mod boot_guard;
pub mod events;
pub mod overlay;
pub mod pipeline;
pub mod queue;
pub mod verdict;

/// Tests on a PC link log points too; nobody reads them.
#[cfg(test)]
mod no_log {
    #[defmt::global_logger]
    struct NoLog;

    // SAFETY: nothing is written, so nothing can be interleaved.
    unsafe impl defmt::Logger for NoLog {
        fn acquire() {}
        unsafe fn flush() {}
        unsafe fn release() {}
        unsafe fn write(_bytes: &[u8]) {}
    }

    defmt::timestamp!("");
}
