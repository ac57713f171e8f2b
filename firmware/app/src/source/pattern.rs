//! A synthetic moving picture: colour bars, a disc that wanders over them and the frame's number.
//! A function of the frame's number and the size alone, so tests and demos need no camera.

use std::time::Instant;

use super::error::SourceError;
use super::frame::{FrameBuffer, FrameSource, ReadOutcome};
use super::options::SourceOptions;

/// The eight bars, white to black, at 75% as on a test card.
const BARS: [[u8; 3]; 8] = [
    [191, 191, 191],
    [191, 191, 0],
    [0, 191, 191],
    [0, 191, 0],
    [191, 0, 191],
    [191, 0, 0],
    [0, 0, 191],
    [16, 16, 16],
];

const DISC: [u8; 3] = [255, 160, 32];
const INK: [u8; 3] = [255, 255, 255];
const PAPER: [u8; 3] = [0, 0, 0];

/// Digits 0 to 9, five rows of three pixels, the left pixel in bit 2.
const DIGITS: [[u8; 5]; 10] = [
    [7, 5, 5, 5, 7],
    [2, 6, 2, 2, 7],
    [7, 1, 7, 4, 7],
    [7, 1, 7, 1, 7],
    [5, 5, 7, 1, 1],
    [7, 4, 7, 1, 7],
    [7, 4, 7, 5, 7],
    [7, 1, 2, 2, 2],
    [7, 5, 7, 5, 7],
    [7, 5, 7, 1, 7],
];

/// An endless synthetic stream.
#[derive(Debug)]
pub struct PatternSource {
    width: u32,
    height: u32,
    next: u64,
    opened: Instant,
}

impl PatternSource {
    /// A pattern of `width` x `height` pixels.
    ///
    /// # Errors
    /// [`SourceError::Size`] if a side is zero or there are more than `max_pixels`.
    pub fn new(width: u32, height: u32, max_pixels: u32) -> Result<Self, SourceError> {
        let pixels = u64::from(width) * u64::from(height);
        if pixels == 0 || pixels > u64::from(max_pixels) {
            return Err(SourceError::Size {
                name: "pattern".to_owned(),
                width: width.into(),
                height: height.into(),
                max_pixels,
            });
        }
        Ok(Self {
            width,
            height,
            next: 0,
            opened: Instant::now(),
        })
    }

    /// Reads `pattern` or `pattern:WIDTHxHEIGHT`.
    pub(super) fn from_spec(spec: &str, options: &SourceOptions) -> Result<Self, SourceError> {
        let (width, height) = match spec.split_once(':') {
            None => options.size,
            Some((_, size)) => size
                .split_once('x')
                .and_then(|(w, h)| Some((w.parse().ok()?, h.parse().ok()?)))
                .ok_or_else(|| SourceError::Pattern {
                    spec: spec.to_owned(),
                    reason: format!("{size:?} is no size"),
                })?,
        };
        Self::new(width, height, options.max_pixels).map_err(|error| SourceError::Pattern {
            spec: spec.to_owned(),
            reason: error.to_string(),
        })
    }
}

impl FrameSource for PatternSource {
    fn read(&mut self, frame: &mut FrameBuffer) -> Result<ReadOutcome, SourceError> {
        frame.resize(self.width, self.height);
        draw(&mut frame.rgb, self.width, self.height, self.next);
        frame.seq = self.next;
        frame.name = None;
        frame.captured = self.opened.elapsed();
        frame.dropped_before = 0;
        self.next += 1;
        Ok(ReadOutcome::Frame)
    }

    fn describe(&self) -> String {
        format!("synthetic pattern {}x{}", self.width, self.height)
    }

    fn is_live(&self) -> bool {
        false
    }
}

/// Draws frame `n` into `rgb` (`width * height * 3` bytes).
fn draw(rgb: &mut [u8], width: u32, height: u32, n: u64) {
    let (w, h) = (i64::from(width), i64::from(height));
    let radius = (w.min(h) / 6).max(1);
    // Two incommensurate bounces, so that the disc visits the whole picture.
    let centre_x = bounce(n.wrapping_mul(5), w);
    let centre_y = bounce(n.wrapping_mul(3), h);
    for (y, row) in (0..h).zip(rgb.chunks_exact_mut(width as usize * 3)) {
        for (x, pixel) in (0..w).zip(row.chunks_exact_mut(3)) {
            let (dx, dy) = (x - centre_x, y - centre_y);
            let bar = BARS[(x * 8 / w) as usize];
            let colour = if dx * dx + dy * dy <= radius * radius {
                DISC
            } else {
                bar
            };
            pixel.copy_from_slice(&colour);
        }
    }
    draw_number(rgb, width, height, n);
}

/// A position in `0..length` that runs forth and back as `t` grows.
fn bounce(t: u64, length: i64) -> i64 {
    let span = (length - 1).max(1);
    let phase = (t % (2 * span as u64)) as i64;
    if phase < span {
        phase
    } else {
        2 * span - phase
    }
}

/// The number `n` in the bottom left corner, six digits, on a black box; left out where it does not fit.
fn draw_number(rgb: &mut [u8], width: u32, height: u32, n: u64) {
    const COUNT: u32 = 6;
    let dot = (height / 60).max(1);
    let (box_width, box_height) = (dot * (COUNT * 4 + 1), dot * 7);
    if box_width > width || box_height > height {
        return;
    }
    for y in 0..box_height {
        for x in 0..box_width {
            // In dots, with a margin of one.
            let (column, line) = ((x / dot).checked_sub(1), (y / dot).checked_sub(1));
            let lit = match (column, line) {
                (Some(column), Some(line)) if line < 5 && column % 4 < 3 => {
                    let place = COUNT - 1 - column / 4;
                    let digit = n / 10u64.pow(place) % 10;
                    DIGITS[digit as usize][line as usize] >> (2 - column % 4) & 1 == 1
                }
                _ => false,
            };
            let at = ((height - box_height + y) as usize * width as usize + x as usize) * 3;
            if let Some(pixel) = rgb.get_mut(at..at + 3) {
                pixel.copy_from_slice(if lit { &INK } else { &PAPER });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(spec: &str, count: usize) -> Vec<FrameBuffer> {
        let mut source = PatternSource::from_spec(spec, &SourceOptions::default()).unwrap();
        let mut frame = FrameBuffer::default();
        (0..count)
            .map(|_| {
                assert_eq!(source.read(&mut frame).unwrap(), ReadOutcome::Frame);
                frame.clone()
            })
            .collect()
    }

    #[test]
    fn the_same_frames_come_every_time_and_they_move() {
        let first = frames("pattern:64x48", 5);
        let again = frames("pattern:64x48", 5);
        for (n, (a, b)) in first.iter().zip(&again).enumerate() {
            assert_eq!((a.width, a.height, a.seq), (64, 48, n as u64));
            assert_eq!(a.rgb.len(), 64 * 48 * 3);
            assert_eq!(a.rgb, b.rgb);
        }
        for pair in first.windows(2) {
            assert_ne!(pair[0].rgb, pair[1].rgb);
        }
    }

    #[test]
    fn the_number_is_legible() {
        let picture = |n| {
            let mut rgb = vec![0; 64 * 48 * 3];
            draw_number(&mut rgb, 64, 48, n);
            // The last digit's middle row: columns 21..24, dot 1, line 3 of the box.
            let row = 48 - 7 + 3;
            (21..24)
                .map(|x| rgb[(row * 64 + x) * 3] == 255)
                .collect::<Vec<_>>()
        };
        assert_eq!(picture(120), [true, false, true], "0 is hollow");
        assert_eq!(picture(128), [true, true, true], "8 is not");
    }

    #[test]
    fn tiny_sizes_draw_and_bad_ones_are_refused() {
        for spec in ["pattern:1x1", "pattern:2x1", "pattern:1x37", "pattern:3x2"] {
            assert_eq!(frames(spec, 40).len(), 40);
        }
        for spec in [
            "pattern:",
            "pattern:640",
            "pattern:ax3",
            "pattern:-1x3",
            "pattern:99999999999x1",
        ] {
            let error = PatternSource::from_spec(spec, &SourceOptions::default()).unwrap_err();
            assert!(error.to_string().contains(spec), "{error}");
        }
        for spec in ["pattern:0x4", "pattern:4x0", "pattern:65536x65536"] {
            let error = PatternSource::from_spec(spec, &SourceOptions::default()).unwrap_err();
            assert!(matches!(error, SourceError::Pattern { .. }), "{error}");
        }
    }
}
