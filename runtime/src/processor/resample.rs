//! Pillow's `Image.resize` on RGB8, bit for bit.
//!
//! Pillow resamples in two passes, one per axis, with 8-bit pixels between them. The kernel is
//! evaluated in f64, normalised, and rounded to fixed point with 22 fraction bits; pixels are then
//! integer sums, so only their rounding to 8 bits fixes an order. That leaves us free to stream
//! rows through both passes and keep no intermediate image.
//!
//! The horizontal pass comes first, except where the height shrinks by much more than the width:
//! [`vertical_first`]. Pillow has that exception since 13.0; before, tall images (about twice as
//! tall as wide, and beyond) gave pixels that differ by a level.

use super::ProcessorError;

/// Fraction bits of a coefficient: 32, less 8 for a pixel and 2 for overshoot.
const PRECISION_BITS: u32 = 32 - 8 - 2;
/// One half in fixed point: what every sum starts from, so that the shift rounds.
const HALF: i32 = 1 << (PRECISION_BITS - 1);
/// Largest width or height of an image; also what JPEG and most cameras can name.
pub const MAX_SIDE: usize = 65_535;

/// Pillow's resampling filters, by the numbers `preprocessor_config.json` uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Resample {
    /// 0: the source pixel under the centre of the target pixel.
    Nearest,
    /// 2: a triangle as wide as two target pixels (ImageGPT's own).
    Bilinear,
    /// 3: Keys' cubic with a = -1/2, four target pixels wide.
    Bicubic,
}

impl Resample {
    /// The filter Pillow numbers `code`. The other numbers (Lanczos, box, Hamming) give `None`:
    /// no ImageGPT checkpoint uses them, and two of them rest on the platform's `sin`.
    #[must_use]
    pub fn from_code(code: u64) -> Option<Self> {
        Some(match code {
            0 => Self::Nearest,
            2 => Self::Bilinear,
            3 => Self::Bicubic,
            _ => return None,
        })
    }

    /// Pillow's number.
    #[must_use]
    pub fn code(self) -> u64 {
        match self {
            Self::Nearest => 0,
            Self::Bilinear => 2,
            Self::Bicubic => 3,
        }
    }

    /// Half the filter's width, in target pixels.
    fn support(self) -> f64 {
        match self {
            Self::Nearest => 0.0,
            Self::Bilinear => 1.0,
            Self::Bicubic => 2.0,
        }
    }

    /// The filter at `x` target pixels from its centre, in Pillow's order of operations.
    fn at(self, x: f64) -> f64 {
        let x = x.abs();
        match self {
            Self::Nearest => 0.0,
            Self::Bilinear if x < 1.0 => 1.0 - x,
            Self::Bicubic if x < 1.0 => (1.5 * x - 2.5) * x * x + 1.0,
            Self::Bicubic if x < 2.0 => (((x - 5.0) * x + 8.0) * x - 4.0) * -0.5,
            Self::Bilinear | Self::Bicubic => 0.0,
        }
    }
}

/// What one target pixel of an axis takes from the source.
#[derive(Debug)]
struct Window {
    /// First source pixel.
    first: usize,
    /// Fixed-point coefficients, each repeated `repeat` times.
    coefficients: Vec<i32>,
}

impl Window {
    /// One past the last source pixel, for windows that do not repeat their coefficients.
    fn end(&self) -> usize {
        self.first + self.coefficients.len()
    }
}

/// The windows of every target pixel of one axis.
fn windows(filter: Resample, from: usize, to: usize, repeat: usize) -> Vec<Window> {
    let scale = from as f64 / to as f64;
    let stretch = scale.max(1.0);
    let support = filter.support() * stretch;
    let inverse = 1.0 / stretch;
    let mut weights: Vec<f64> = Vec::new();
    (0..to)
        .map(|target| {
            let center = (target as f64 + 0.5) * scale;
            // `as` truncates towards zero and saturates at it, which is Pillow's clamp.
            let first = (center - support + 0.5) as usize;
            let end = ((center + support + 0.5) as usize).min(from);
            weights.clear();
            weights.extend((first..end).map(|x| filter.at((x as f64 - center + 0.5) * inverse)));
            // Left to right, as Pillow adds them: f64 sums depend on the order.
            let total = weights.iter().fold(0.0, |sum, w| sum + w);
            let coefficients = weights
                .iter()
                .map(|w| if total == 0.0 { *w } else { w / total })
                .flat_map(|w| std::iter::repeat_n(to_fixed_point(w), repeat))
                .collect();
            Window {
                first,
                coefficients,
            }
        })
        .collect()
}

/// Rounds half away from zero.
fn to_fixed_point(weight: f64) -> i32 {
    let scaled = weight * f64::from(1u32 << PRECISION_BITS);
    (if weight < 0.0 {
        scaled - 0.5
    } else {
        scaled + 0.5
    }) as i32
}

fn to_pixel(sum: i32) -> u8 {
    (sum >> PRECISION_BITS).clamp(0, 255) as u8
}

/// A resize between two fixed sizes: the kernel, computed once, and the buffers it works in.
#[derive(Debug)]
pub(super) struct Resizer {
    filter: Resample,
    from: (usize, usize),
    to: (usize, usize),
    plan: Plan,
}

#[derive(Debug)]
enum Plan {
    /// For every target column and row, the source column and row.
    Nearest {
        columns: Vec<usize>,
        rows: Vec<usize>,
    },
    Convolve(Convolution),
}

#[derive(Debug)]
struct Convolution {
    columns: Vec<Window>,
    rows: Vec<Window>,
    vertical_first: bool,
    /// One row between the passes.
    row: Vec<u8>,
    /// Fixed-point sums of the vertical pass: of one row, or of the whole target.
    sums: Vec<i32>,
}

/// Whether Pillow 13 starts with the vertical pass, between sizes of (width, height): the height
/// shrinks, and by more than twice as many pixels as the width does.
fn vertical_first(from: (usize, usize), to: (usize, usize)) -> bool {
    to.1 < from.1 && from.1 - to.1 > 2 * from.0.saturating_sub(to.0)
}

/// Checks that `rgb` holds a picture of `width` x `height` pixels and that both are sane.
pub(super) fn check_source(rgb: &[u8], width: usize, height: usize) -> Result<(), ProcessorError> {
    if !(1..=MAX_SIDE).contains(&width) || !(1..=MAX_SIDE).contains(&height) {
        return Err(ProcessorError::Dimensions { width, height });
    }
    // Both sides fit 16 bits, but their product times three need not fit a 32-bit usize.
    let expected = width.checked_mul(height).and_then(|n| n.checked_mul(3));
    if expected == Some(rgb.len()) {
        return Ok(());
    }
    Err(ProcessorError::BufferLength {
        width,
        height,
        found: rgb.len(),
    })
}

impl Resizer {
    /// Plans a resize from `from` to `to`, both (width, height) and already checked.
    pub(super) fn new(filter: Resample, from: (usize, usize), to: (usize, usize)) -> Self {
        let plan = if filter == Resample::Nearest {
            Plan::Nearest {
                columns: nearest(from.0, to.0),
                rows: nearest(from.1, to.1),
            }
        } else {
            Plan::Convolve(Convolution::new(filter, from, to))
        };
        Self {
            filter,
            from,
            to,
            plan,
        }
    }

    /// Whether this plan is the one for these arguments.
    pub(super) fn fits(&self, filter: Resample, from: (usize, usize), to: (usize, usize)) -> bool {
        (self.filter, self.from, self.to) == (filter, from, to)
    }

    /// Resizes `source`, RGB8 of the planned size, into `target`, whose capacity is reused.
    pub(super) fn resize_into(&mut self, source: &[u8], target: &mut Vec<u8>) {
        let stride = 3 * self.from.0;
        target.clear();
        match &mut self.plan {
            Plan::Nearest { columns, rows } => {
                for &y in rows.iter() {
                    let (pixels, _) = source[y * stride..][..stride].as_chunks::<3>();
                    target.extend(columns.iter().flat_map(|&x| pixels[x]));
                }
            }
            Plan::Convolve(convolution) if convolution.vertical_first => {
                convolution.vertical_first(source, stride, target);
            }
            Plan::Convolve(convolution) => {
                convolution.horizontal_first(source, stride, target);
            }
        }
    }
}

impl Convolution {
    fn new(filter: Resample, from: (usize, usize), to: (usize, usize)) -> Self {
        let vertical_first = vertical_first(from, to);
        let (row, sums) = if vertical_first {
            (3 * from.0, 3 * from.0)
        } else {
            (3 * to.0, 3 * to.0 * to.1)
        };
        Self {
            columns: windows(filter, from.0, to.0, 3),
            rows: windows(filter, from.1, to.1, 1),
            vertical_first,
            row: vec![0; row],
            sums: vec![0; sums],
        }
    }

    /// Resizes each source row to the target's width and adds it to the target rows it belongs to.
    fn horizontal_first(&mut self, source: &[u8], stride: usize, target: &mut Vec<u8>) {
        self.sums.fill(HALF);
        // Both ends of the windows only ever move down the image, so the target rows that use a
        // source row are a range which two cursors follow.
        let (mut begin, mut end) = (0, 0);
        for (y, source_row) in source.chunks_exact(stride).enumerate() {
            while self.rows.get(begin).is_some_and(|w| w.end() <= y) {
                begin += 1;
            }
            while self.rows.get(end).is_some_and(|w| w.first <= y) {
                end += 1;
            }
            if begin >= end {
                continue;
            }
            resize_row(source_row, &self.columns, &mut self.row);
            let sums = self.sums.chunks_exact_mut(self.row.len());
            for (window, sums) in self.rows.iter().zip(sums).take(end).skip(begin) {
                if let Some(&k) = window.coefficients.get(y - window.first) {
                    add_row(sums, &self.row, k);
                }
            }
        }
        target.extend(self.sums.iter().map(|&sum| to_pixel(sum)));
    }

    /// Sums the source rows of each target row and resizes the result to the target's width.
    fn vertical_first(&mut self, source: &[u8], stride: usize, target: &mut Vec<u8>) {
        for window in &self.rows {
            self.sums.fill(HALF);
            let rows = source.chunks_exact(stride).skip(window.first);
            for (&k, row) in window.coefficients.iter().zip(rows) {
                add_row(&mut self.sums, row, k);
            }
            for (pixel, &sum) in self.row.iter_mut().zip(&self.sums) {
                *pixel = to_pixel(sum);
            }
            let begin = target.len();
            target.resize(begin + 3 * self.columns.len(), 0);
            resize_row(&self.row, &self.columns, &mut target[begin..]);
        }
    }
}

fn add_row(sums: &mut [i32], row: &[u8], k: i32) {
    for (sum, &pixel) in sums.iter_mut().zip(row) {
        *sum += i32::from(pixel) * k;
    }
}

/// One row of RGB8 through the horizontal kernel.
fn resize_row(source: &[u8], columns: &[Window], target: &mut [u8]) {
    for (window, pixel) in columns.iter().zip(target.as_chunks_mut::<3>().0) {
        let bytes = &source[3 * window.first..];
        // Twelve lanes hold four interleaved pixels: lane l always belongs to channel l % 3, so
        // the compiler may use any vector width without untangling the channels.
        let mut lanes = [0i32; 12];
        let (k12, k_rest) = window.coefficients.as_chunks::<12>();
        let (p12, p_rest) = bytes[..window.coefficients.len()].as_chunks::<12>();
        for (k, p) in k12.iter().zip(p12) {
            for ((lane, &k), &p) in lanes.iter_mut().zip(k).zip(p) {
                *lane += i32::from(p) * k;
            }
        }
        for ((lane, &k), &p) in lanes.iter_mut().zip(k_rest).zip(p_rest) {
            *lane += i32::from(p) * k;
        }
        for (channel, out) in pixel.iter_mut().enumerate() {
            let sum: i32 = lanes.iter().skip(channel).step_by(3).sum();
            *out = to_pixel(HALF + sum);
        }
    }
}

/// Pillow's nearest neighbour is an affine transform that steps from pixel to pixel by adding,
/// so its rounding errors pile up the way they do here.
fn nearest(from: usize, to: usize) -> Vec<usize> {
    let step = from as f64 / to as f64;
    let mut position = step * 0.5;
    (0..to)
        .map(|_| {
            let index = (position as usize).min(from - 1);
            position += step;
            index
        })
        .collect()
}

#[cfg(test)]
mod tests;
