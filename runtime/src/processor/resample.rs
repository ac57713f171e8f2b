//! Pillow's `Image.resize` and torchvision's antialiased `resize` on RGB8, bit for bit.
//!
//! Both resample in two passes, one per axis, with 8-bit pixels between them. The kernel is
//! evaluated in f64, normalised, and rounded to fixed point ([`window`]); pixels are then
//! integer sums, so only their rounding to 8 bits fixes an order. That leaves us free to stream
//! rows through both passes and keep no intermediate image.
//!
//! torch's horizontal pass always comes first; Pillow's does, except where the height shrinks by much
//! more than the width: [`vertical_first`]. Pillow has that exception since 13.0; before, tall images
//! (about twice as tall as wide, and beyond) gave pixels that differ by a level.
//!
//! [`window`]: super::window

use super::window::{Axis, Window};
use super::{Backend, Resample};

/// A resize between two fixed sizes: the kernel, computed once, and the buffers it works in.
#[derive(Debug)]
pub(super) struct Resizer {
    backend: Backend,
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
    columns: Axis,
    rows: Axis,
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

impl Resizer {
    /// Plans a resize from `from` to `to`, both (width, height) and already checked.
    pub(super) fn new(
        backend: Backend,
        filter: Resample,
        from: (usize, usize),
        to: (usize, usize),
    ) -> Self {
        let plan = if filter == Resample::Nearest {
            let nearest = match backend {
                Backend::Pil => nearest_of_pillow,
                Backend::Torchvision => nearest_of_torch,
            };
            Plan::Nearest {
                columns: nearest(from.0, to.0),
                rows: nearest(from.1, to.1),
            }
        } else {
            Plan::Convolve(Convolution::new(backend, filter, from, to))
        };
        Self {
            backend,
            filter,
            from,
            to,
            plan,
        }
    }

    /// Whether this plan is the one for these arguments.
    pub(super) fn fits(
        &self,
        backend: Backend,
        filter: Resample,
        from: (usize, usize),
        to: (usize, usize),
    ) -> bool {
        (self.backend, self.filter, self.from, self.to) == (backend, filter, from, to)
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
    fn new(backend: Backend, filter: Resample, from: (usize, usize), to: (usize, usize)) -> Self {
        let vertical_first = backend == Backend::Pil && vertical_first(from, to);
        let (row, sums) = if vertical_first {
            (3 * from.0, 3 * from.0)
        } else {
            (3 * to.0, 3 * to.0 * to.1)
        };
        Self {
            columns: Axis::new(backend, filter, from.0, to.0, 3),
            rows: Axis::new(backend, filter, from.1, to.1, 1),
            vertical_first,
            row: vec![0; row],
            sums: vec![0; sums],
        }
    }

    /// Resizes each source row to the target's width and adds it to the target rows it belongs to.
    fn horizontal_first(&mut self, source: &[u8], stride: usize, target: &mut Vec<u8>) {
        let rows = &self.rows.windows;
        self.sums.fill(self.rows.half());
        // Both ends of the windows only ever move down the image, so the target rows that use a
        // source row are a range which two cursors follow.
        let (mut begin, mut end) = (0, 0);
        for (y, source_row) in source.chunks_exact(stride).enumerate() {
            while rows.get(begin).is_some_and(|w| w.end() <= y) {
                begin += 1;
            }
            while rows.get(end).is_some_and(|w| w.first <= y) {
                end += 1;
            }
            if begin >= end {
                continue;
            }
            resize_row(source_row, &self.columns, &mut self.row);
            let sums = self.sums.chunks_exact_mut(self.row.len());
            for (window, sums) in rows.iter().zip(sums).take(end).skip(begin) {
                if let Some(&k) = window.coefficients.get(y - window.first) {
                    add_row(sums, &self.row, k);
                }
            }
        }
        target.extend(self.sums.iter().map(|&sum| self.rows.pixel(sum)));
    }

    /// Sums the source rows of each target row and resizes the result to the target's width.
    fn vertical_first(&mut self, source: &[u8], stride: usize, target: &mut Vec<u8>) {
        for window in &self.rows.windows {
            self.sums.fill(self.rows.half());
            let rows = source.chunks_exact(stride).skip(window.first);
            for (&k, row) in window.coefficients.iter().zip(rows) {
                add_row(&mut self.sums, row, k);
            }
            for (pixel, &sum) in self.row.iter_mut().zip(&self.sums) {
                *pixel = self.rows.pixel(sum);
            }
            let begin = target.len();
            target.resize(begin + 3 * self.columns.windows.len(), 0);
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
fn resize_row(source: &[u8], columns: &Axis, target: &mut [u8]) {
    let windows: &[Window] = &columns.windows;
    for (window, pixel) in windows.iter().zip(target.as_chunks_mut::<3>().0) {
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
            *out = columns.pixel(columns.half() + sum);
        }
    }
}

/// Pillow's nearest neighbour is an affine transform that steps from pixel to pixel by adding,
/// so its rounding errors pile up the way they do here.
fn nearest_of_pillow(from: usize, to: usize) -> Vec<usize> {
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

/// torch's `nearest-exact`: the centre of each target pixel, in f32.
fn nearest_of_torch(from: usize, to: usize) -> Vec<usize> {
    let scale = from as f32 / to as f32;
    (0..to)
        .map(|target| (((target as f32 + 0.5) * scale) as usize).min(from - 1))
        .collect()
}

#[cfg(test)]
mod tests;
