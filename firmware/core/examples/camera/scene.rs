//! What the camera sees: one of four patterns with noise, another every few frames; and how it fails on the way.
//!
//! Integers only, so that there is nothing that machines could round differently.

use core::time::Duration;

/// Width of a frame.
pub(crate) const WIDTH: usize = 64;
/// Height of a frame.
pub(crate) const HEIGHT: usize = 48;
/// Frames until the end.
const FRAMES: u32 = 64;
/// Frames of one pattern.
const TURN: u32 = 9;
/// Before this frame the camera fails, and once more when it is opened again.
const FAILS_AT: u32 = 30;
/// Time between two frames.
const PERIOD: Duration = Duration::from_millis(40);

/// A frame: its number and RGB, rows from the top.
pub(crate) struct Frame {
    pub(crate) number: u32,
    pub(crate) rgb: [u8; WIDTH * HEIGHT * 3],
}

impl Frame {
    /// A black one.
    pub(crate) const fn new() -> Self {
        Self {
            number: 0,
            rgb: [0; WIDTH * HEIGHT * 3],
        }
    }
}

/// What a frame shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pattern {
    /// Horizontal.
    Stripes,
    /// Upright.
    Bars,
    /// A chess board.
    Checks,
    /// A bright edge around a dark middle.
    Edge,
}

impl Pattern {
    /// All of them: the classes of the model.
    pub(crate) const ALL: [Self; 4] = [Self::Stripes, Self::Bars, Self::Checks, Self::Edge];

    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Stripes => "stripes",
            Self::Bars => "bars",
            Self::Checks => "checks",
            Self::Edge => "edge",
        }
    }

    /// Whether it is bright at a place.
    pub(crate) fn is_bright(self, x: usize, y: usize) -> bool {
        match self {
            Self::Stripes => (y / 6).is_multiple_of(2),
            Self::Bars => (x / 8).is_multiple_of(2),
            Self::Checks => (x / 8 + y / 6).is_multiple_of(2),
            Self::Edge => !(16..48).contains(&x) || !(12..36).contains(&y),
        }
    }

    fn brightness(self, x: usize, y: usize) -> i32 {
        if self.is_bright(x, y) { 200 } else { 56 }
    }

    fn of_turn(turn: u32) -> Self {
        Self::ALL[turn as usize % Self::ALL.len()]
    }
}

/// Draws frame number `number` of the film. The first of a pattern's turn is half of the pattern before.
fn draw(number: u32, frame: &mut Frame) {
    let turn = number / TURN;
    let now = Pattern::of_turn(turn);
    let before = match number % TURN {
        0 => Pattern::of_turn(turn + 3),
        _ => now,
    };
    let mut noise = Noise(number.wrapping_mul(0x9e37_79b9) | 1);
    for (at, pixel) in frame.rgb.chunks_exact_mut(3).enumerate() {
        let (x, y) = (at % WIDTH, at / WIDTH);
        let grey = (now.brightness(x, y) + before.brightness(x, y)) / 2;
        for channel in pixel {
            *channel = (grey + noise.next()).clamp(0, 255) as u8;
        }
    }
    frame.number = number;
}

/// Marsaglia's xorshift; never 0.
struct Noise(u32);

impl Noise {
    /// From -64 to 63.
    fn next(&mut self) -> i32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        (self.0 % 128) as i32 - 64
    }
}

/// What the camera says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum News {
    /// It is open.
    Ready,
    /// A frame can be read.
    Frame,
    /// It failed; opening it again may help.
    Failed,
    /// There are no more frames.
    End,
}

/// A camera on the scene's clock.
pub(crate) struct Camera {
    next: u32,
    due: Duration,
    open: bool,
    failures_left: u32,
}

impl Camera {
    /// One that is being opened.
    pub(crate) const fn new() -> Self {
        Self {
            next: 0,
            due: Duration::ZERO,
            open: false,
            failures_left: 2,
        }
    }

    /// When it has news.
    pub(crate) fn due(&self) -> Duration {
        self.due
    }

    /// Opens it again at this time.
    pub(crate) fn reopen(&mut self, at: Duration) {
        self.due = at;
    }

    /// The news that were due.
    pub(crate) fn news(&mut self) -> News {
        if self.next == FAILS_AT && self.failures_left > 0 {
            self.failures_left -= 1;
            self.open = false;
            News::Failed
        } else if !self.open {
            self.open = true;
            News::Ready
        } else if self.next == FRAMES {
            News::End
        } else {
            News::Frame
        }
    }

    /// Reads a frame.
    pub(crate) fn read(&mut self, frame: &mut Frame) {
        draw(self.next, frame);
        self.next += 1;
        self.due += PERIOD;
    }
}
