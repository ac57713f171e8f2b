//! The Linux side of the app: where frames come from and where pictures go, the log, the app itself.

pub mod app;
pub mod defmt_log;
mod folder;
pub mod sink;
pub mod source;
