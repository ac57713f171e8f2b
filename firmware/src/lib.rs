//! The camera app for small boards: a `no_std` core that any board can run, and the Linux app
//! `igpt-cam` around it (feature `linux`, on by default).
//!
//! The core owns no clock, no thread and no device: time and storage are handed in, pictures are
//! drawn on any `DrawTarget`, log points go through defmt.
//!
//! | module | what it is responsible for |
//! |---|---|
//! | [`queue`] | frames between capture and inference: bounded, the newest wins, drops are counted |
//! | [`pipeline`] | the app's life as a state machine: running, source lost, draining, stopped |
//! | [`verdict`] | smoothing, hysteresis, "unsure" |
//! | [`overlay`] | the annotated picture |
//! | [`boot_guard`] | falling back to the last good model after a crash loop |
#![cfg_attr(
    feature = "linux",
    doc = "| [`linux`] | sources, sinks, the model, the command line |"
)]
#![cfg_attr(not(feature = "linux"), no_std)]

pub mod boot_guard;
pub mod overlay;
pub mod pipeline;
pub mod queue;
pub mod verdict;

#[cfg(feature = "linux")]
pub mod linux;
