//! Pillow's `Image.resize` on RGB8, bit for bit.
//!
//! Pillow resamples in two passes, horizontal then vertical, with 8-bit pixels between them. The
//! kernel is evaluated in f64, normalised, and rounded to fixed point with 22 fraction bits;
//! pixels are then integer sums, so only their rounding to 8 bits fixes an order. That leaves us
//! free to add each finished row into the output rows that need it and keep no intermediate image.

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
    /// Same size: Pillow returns a copy.
    Copy,
    /// For every target column and row, the source column and row.
    Nearest {
        columns: Vec<usize>,
        rows: Vec<usize>,
    },
    Convolve {
        columns: Vec<Window>,
        rows: Vec<Window>,
        /// One source row, resized to the target width.
        row: Vec<u8>,
        /// Fixed-point sums of the whole target.
        sums: Vec<i32>,
    },
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
        let plan = if from == to {
            Plan::Copy
        } else if filter == Resample::Nearest {
            Plan::Nearest {
                columns: nearest(from.0, to.0),
                rows: nearest(from.1, to.1),
            }
        } else {
            Plan::Convolve {
                columns: windows(filter, from.0, to.0, 3),
                rows: windows(filter, from.1, to.1, 1),
                row: vec![0; 3 * to.0],
                sums: vec![0; 3 * to.0 * to.1],
            }
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
            Plan::Copy => target.extend_from_slice(source),
            Plan::Nearest { columns, rows } => {
                for &y in rows.iter() {
                    let (pixels, _) = source[y * stride..][..stride].as_chunks::<3>();
                    target.extend(columns.iter().flat_map(|&x| pixels[x]));
                }
            }
            Plan::Convolve {
                columns,
                rows,
                row,
                sums,
            } => {
                sums.fill(HALF);
                // Both ends of the windows only ever move down the image, so the target rows
                // that use a source row are a range which two cursors follow.
                let (mut begin, mut end) = (0, 0);
                for (y, source_row) in source.chunks_exact(stride).enumerate() {
                    while rows
                        .get(begin)
                        .is_some_and(|w| w.first + w.coefficients.len() <= y)
                    {
                        begin += 1;
                    }
                    while rows.get(end).is_some_and(|w| w.first <= y) {
                        end += 1;
                    }
                    if begin >= end {
                        continue;
                    }
                    resize_row(source_row, columns, row);
                    for (window, sums) in rows
                        .iter()
                        .zip(sums.chunks_exact_mut(row.len()))
                        .take(end)
                        .skip(begin)
                    {
                        let Some(&k) = window.coefficients.get(y - window.first) else {
                            continue;
                        };
                        for (sum, &pixel) in sums.iter_mut().zip(row.iter()) {
                            *sum += i32::from(pixel) * k;
                        }
                    }
                }
                target.extend(sums.iter().map(|&sum| to_pixel(sum)));
            }
        }
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
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn resize(filter: Resample, rgb: &[u8], from: (usize, usize), to: (usize, usize)) -> Vec<u8> {
        let mut out = Vec::new();
        Resizer::new(filter, from, to).resize_into(rgb, &mut out);
        out
    }

    /// The definition, with the whole intermediate image and no shared sums.
    fn two_pass(filter: Resample, rgb: &[u8], from: (usize, usize), to: (usize, usize)) -> Vec<u8> {
        let convolve = |read: &dyn Fn(usize) -> u8, w: &Window| {
            let taps = w.coefficients.iter().enumerate();
            let sum: i64 = taps
                .map(|(i, &k)| i64::from(read(w.first + i)) * i64::from(k))
                .sum();
            ((sum + i64::from(HALF)) >> PRECISION_BITS).clamp(0, 255) as u8
        };
        let columns = windows(filter, from.0, to.0, 1);
        let mut middle = vec![0u8; 3 * to.0 * from.1];
        for y in 0..from.1 {
            for (x, w) in columns.iter().enumerate() {
                for c in 0..3 {
                    middle[3 * (y * to.0 + x) + c] =
                        convolve(&|i| rgb[3 * (y * from.0 + i) + c], w);
                }
            }
        }
        let mut out = vec![0u8; 3 * to.0 * to.1];
        for (y, w) in windows(filter, from.1, to.1, 1).iter().enumerate() {
            for i in 0..3 * to.0 {
                out[3 * y * to.0 + i] = convolve(&|r| middle[3 * r * to.0 + i], w);
            }
        }
        out
    }

    proptest! {
        #[test]
        fn streamed_rows_equal_two_passes(
            from in (1usize..70, 1usize..70),
            to in (1usize..40, 1usize..40),
            seed: u64,
            cubic: bool,
        ) {
            let filter = if cubic { Resample::Bicubic } else { Resample::Bilinear };
            // Only extremes, so that sums reach as far as they can.
            let rgb: Vec<u8> = (0..3 * from.0 * from.1)
                .map(|i| if (seed >> (i % 61)) & 1 == 0 { 0 } else { 255 })
                .collect();
            prop_assert_eq!(resize(filter, &rgb, from, to), two_pass(filter, &rgb, from, to));
        }

        #[test]
        fn a_flat_image_stays_flat(
            from in (1usize..300, 1usize..50),
            to in (1usize..40, 1usize..40),
            color: [u8; 3],
        ) {
            let rgb = color.repeat(from.0 * from.1);
            for filter in [Resample::Nearest, Resample::Bilinear, Resample::Bicubic] {
                prop_assert_eq!(resize(filter, &rgb, from, to), color.repeat(to.0 * to.1));
            }
        }
    }

    #[test]
    fn an_unchanged_axis_is_copied() {
        // Pillow skips such a pass; our kernel for it has to be the identity.
        for filter in [Resample::Bilinear, Resample::Bicubic] {
            for (x, w) in windows(filter, 17, 17, 1).iter().enumerate() {
                for (i, &k) in w.coefficients.iter().enumerate() {
                    assert_eq!(
                        k,
                        if w.first + i == x {
                            1 << PRECISION_BITS
                        } else {
                            0
                        }
                    );
                }
            }
        }
    }

    #[test]
    fn windows_lie_inside_and_move_forward() {
        for (from, to) in [
            (1, 1),
            (1, 32),
            (2, 65),
            (65_535, 3),
            (3, 65_535),
            (640, 32),
            (33, 32),
        ] {
            for filter in [Resample::Bilinear, Resample::Bicubic] {
                let all = windows(filter, from, to, 1);
                for w in &all {
                    assert!(!w.coefficients.is_empty());
                    assert!(w.first + w.coefficients.len() <= from);
                }
                for pair in all.windows(2) {
                    assert!(pair[0].first <= pair[1].first);
                    let end = |w: &Window| w.first + w.coefficients.len();
                    assert!(end(&pair[0]) <= end(&pair[1]));
                }
            }
        }
    }
}
