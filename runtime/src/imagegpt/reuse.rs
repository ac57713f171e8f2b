//! What of an image need not be computed again, because the image before began with the same tokens.

use igpt_kernels::KV_TILE;

/// The share of a pass that has to be saved for keys and values to be kept: storing them costs half as much.
const WORTH: f32 = 0.1;
/// How much the newest image weighs in what they had in common lately.
const NEWEST: f32 = 0.25;

/// The image before, and whether its keys and values are there.
#[derive(Debug, Default)]
pub(super) struct Reuse {
    tokens: Vec<u16>,
    kept: bool,
    /// Whether the stream's tokens are kept from flickering: it is then expected to repeat itself.
    stabilized: bool,
    /// The share of tokens that images had in common with the one before, lately.
    worth: f32,
}

/// What to do about an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    /// Its first tokens that need not be computed; all of them if it is the image before.
    pub(super) reused: usize,
    /// Tokens that are not those of the image before.
    pub(super) changed: usize,
    /// Whether its keys and values are to be kept.
    pub(super) keep: bool,
}

impl Reuse {
    /// Says whether the stream is stabilised, from the next image on.
    pub(super) fn stabilized(&mut self, stabilized: bool) {
        self.stabilized = stabilized;
        self.worth = if stabilized { 1.0 } else { 0.0 };
    }

    /// The tokens of the image before; none if it was forgotten.
    pub(super) fn tokens(&self) -> &[u16] {
        &self.tokens
    }

    /// What an image of these tokens needs. Of an equal one nothing.
    pub(super) fn plan(&mut self, tokens: &[u16]) -> Plan {
        let pairs = || self.tokens.iter().zip(tokens);
        let common = pairs().take_while(|(a, b)| a == b).count();
        let equal = pairs().filter(|(a, b)| a == b).count();
        if !self.tokens.is_empty() {
            let share = common as f32 / tokens.len().max(1) as f32;
            self.worth += NEWEST * (share - self.worth);
        }
        let changed = tokens.len() - equal;
        if common == tokens.len() && common == self.tokens.len() {
            return Plan {
                reused: common,
                changed,
                keep: self.kept,
            };
        }
        // Whole tiles only, whose sums are kept too, and at least the last token is computed.
        let shared = common.min(tokens.len().saturating_sub(1)) / KV_TILE * KV_TILE;
        let reused = if self.kept { shared } else { 0 };
        let worth_it = match self.stabilized {
            true => self.worth > WORTH && tokens.len() > KV_TILE,
            false => shared > 0,
        };
        Plan {
            reused,
            changed,
            // What is reused lies among what was kept, and is kept on.
            keep: reused > 0 || worth_it,
        }
    }

    /// Forgets the image before: it is being replaced, or its work failed.
    pub(super) fn forget(&mut self) {
        self.tokens.clear();
        self.kept = false;
    }

    /// Notes an image that was computed as planned.
    pub(super) fn done(&mut self, tokens: &[u16], keep: bool) {
        self.tokens.clear();
        self.tokens.extend_from_slice(tokens);
        self.kept = keep;
    }
}
