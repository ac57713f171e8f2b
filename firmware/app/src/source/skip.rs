//! Keeps count of what a source passes over, and tells whoever wants to know.

use std::fmt;

use super::error::SourceError;
use super::options::{SkipCallback, Skipped, SourceOptions};

/// The broken pictures of one source.
pub(super) struct Skips {
    count: u64,
    last: Option<Skipped>,
    callback: Option<SkipCallback>,
}

impl Skips {
    pub(super) fn new(options: &SourceOptions) -> Self {
        Self {
            count: 0,
            last: None,
            callback: options.on_skipped.clone(),
        }
    }

    pub(super) fn add(&mut self, name: String, reason: String) {
        self.count += 1;
        let skipped = Skipped { name, reason };
        if let Some(callback) = &self.callback {
            callback(&skipped);
        }
        self.last = Some(skipped);
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// The error for a stream that ends without one usable frame.
    pub(super) fn no_frames(&self, name: &str) -> SourceError {
        SourceError::NoFrames {
            name: name.to_owned(),
            skipped: self.count,
            last: self.last.clone(),
        }
    }
}

impl fmt::Debug for Skips {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Skips")
            .field("count", &self.count)
            .field("last", &self.last)
            .finish_non_exhaustive()
    }
}
