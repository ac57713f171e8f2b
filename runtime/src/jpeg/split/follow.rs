//! Whether a picture was a frame of the stream or a thumbnail inside one whose beginning is missing: told
//! by what follows it. A frame is followed by the next one, or by a gap; a thumbnail by the rest of the
//! frame it belongs to, segments that no start marker precedes.

use super::marker::{begins_picture_data, longest_segment};
use super::piece::START;

/// How far to look: as long as the segment can be that a thumbnail is in.
const FURTHEST: usize = 0xffff;

/// The bytes behind a picture, one after another.
#[derive(Debug, Default)]
pub(super) struct Follow {
    seen: usize,
    /// The last four.
    tail: [u8; 4],
    /// How many bytes of padding, zeros or 0xff, they begin with, once that is known.
    padding: Option<usize>,
}

impl Follow {
    /// Takes one byte more; whether the picture was a thumbnail, as soon as that is decided.
    pub(super) fn take(&mut self, byte: u8) -> Option<bool> {
        if self.padding.is_none() && !matches!(byte, 0 | 0xff) {
            self.padding = Some(self.seen);
        }
        self.seen += 1;
        let [_, a, b, c] = self.tail;
        self.tail = [a, b, c, byte];
        if [b, c, byte] == START {
            return Some(false);
        }
        if let [0xff, code, high, low] = self.tail {
            let length = usize::from(u16::from_be_bytes([high, low]));
            let fits = longest_segment(code).is_some_and(|most| (2..=most).contains(&length));
            // An application's segment may have any length: among other bytes it means nothing.
            let first = self.padding == self.seen.checked_sub(3);
            if fits && (first || begins_picture_data(code)) {
                return Some(true);
            }
        }
        (self.seen >= FURTHEST).then_some(false)
    }
}
