//! What a stream is cut into, and what begins and bounds a picture.

use super::marker::SOI;

/// The largest JPEG accepted, in bytes. It bounds what a stream without an end marker can claim.
pub const MAX_FRAME_BYTES: usize = 16 << 20;

/// How a picture begins: its start marker, and the first byte of the segment that must follow.
pub(super) const START: [u8; 3] = [0xff, SOI, 0xff];

/// How many of a [`START`]'s bytes these end with.
pub(super) fn begun(bytes: &[u8]) -> usize {
    (1..=START.len())
        .rev()
        .find(|&count| START.get(..count).is_some_and(|part| bytes.ends_with(part)))
        .unwrap_or(0)
}

/// What the next stretch of the stream is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// The buffer holds one JPEG, from its start marker to its end marker.
    Jpeg,
    /// The buffer holds a JPEG without an end marker: another picture begins behind its scan, or the
    /// stream ends, for `reason`. It may be complete, or cut; what was between it and the next
    /// picture is at its end. `in_rest`: it lies in what a broken picture claimed, and if it cannot be decoded
    /// it is part of that loss.
    Unended {
        /// Why it has no end.
        reason: &'static str,
        /// It lies in what a broken picture claimed.
        in_rest: bool,
    },
    /// This many bytes lie between pictures, and none was lost with them.
    Between {
        /// How many.
        bytes: u64,
    },
    /// This many bytes are what is left of a picture.
    Broken {
        /// How many.
        bytes: u64,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The stream is over.
    End,
}
