//! The camera app `igpt-cam` for Linux boards, around the core of `igpt-firmware-core`: where frames come from, where
//! verdicts and pictures go, the log, the command line.
//!
//! ```text
//! capture thread:  source --> FrameQueue            (capture.rs; never waits for the model)
//! main thread:     FrameQueue --> model --> filter --> lines, pictures, record   (engine.rs, judge.rs, worker.rs)
//! signal thread:   SIGINT, SIGTERM --> stop         (signals.rs)
//! ```

pub mod defmt_log;
pub mod sink;
pub mod source;

mod bell;
mod capture;
mod changes;
mod classify;
mod command_line;
mod conclusion;
mod drops;
mod embedded;
mod engine;
mod errand;
mod exit;
mod folder;
mod guard;
mod judge;
mod lines;
mod log;
mod model;
mod options;
mod origin;
mod outputs;
mod ranked;
mod record;
mod render;
mod report;
mod sample;
mod service;
mod settings;
mod signals;
mod start;
mod stats;
mod systemd;
mod teach;
mod worker;

#[cfg(test)]
mod tests;

pub use bell::Shared;
pub use capture::Opener;
pub use classify::{Classified, Classify};
pub use command_line::CommandLine;
pub use exit::Failure;
pub use options::Options;
pub use report::{Reporter, Summary};
pub use start::main;
pub use teach::Recognised;
pub use teach::action::Action;
