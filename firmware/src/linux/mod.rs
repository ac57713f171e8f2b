//! The Linux side of the app: where frames come from and where pictures go.

pub mod sink;
pub mod source;
