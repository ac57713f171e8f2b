//! Pillow's `Image.resize` and torchvision's antialiased `resize` on RGB8, bit for bit.
//!
//! Both resample in two passes, one per axis, with 8-bit pixels between them. The kernel is
//! evaluated in f64, normalised, and rounded to fixed point ([`window`]); pixels are then
//! integer sums, so only their rounding to 8 bits fixes an order. That leaves us free to stream
//! rows through both passes and keep no intermediate image; the sums are the kernels'.
//!
//! torch's horizontal pass always comes first; Pillow's does, except where the height shrinks by much
//! more than the width: [`vertical_first`]. Pillow has that exception since 13.0; before, tall images
//! (about twice as tall as wide, and beyond) gave pixels that differ by a level.
//!
//! [`window`]: super::window

use igpt_kernels::{Kernels, ResampleAxis, RowRing};

use super::window::Axis;
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
    Convolve(Box<Convolution>),
}

#[derive(Debug)]
struct Convolution {
    kernels: Kernels,
    columns: ResampleAxis,
    rows: ResampleAxis,
    vertical_first: bool,
    /// Rows between the passes: those that a target row is made of, or one that a target row becomes.
    between: Vec<u8>,
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
            Plan::Convolve(Box::new(Convolution::new(backend, filter, from, to)))
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
        let (width, height) = self.to;
        if target.len() != 3 * width * height {
            target.clear();
            target.resize(3 * width * height, 0);
        }
        match &mut self.plan {
            Plan::Nearest { columns, rows } => {
                for (y, out) in rows.iter().zip(target.chunks_exact_mut(3 * width)) {
                    let (pixels, _) = source[y * stride..][..stride].as_chunks::<3>();
                    for (x, out) in columns.iter().zip(out.as_chunks_mut().0) {
                        *out = pixels[*x];
                    }
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
        let axis = |from, to| Axis::new(backend, filter, from, to).packed();
        let rows = axis(from.1, to.1);
        let between = if vertical_first {
            3 * from.0
        } else {
            3 * to.0 * rows.longest()
        };
        Self {
            kernels: Kernels::best(),
            columns: axis(from.0, to.0),
            rows,
            vertical_first,
            between: vec![0; between],
        }
    }

    /// Resizes source rows to the target's width, each when the first target row needs it, and makes a target row of those in its window.
    fn horizontal_first(&mut self, source: &[u8], stride: usize, target: &mut [u8]) {
        let width = 3 * self.columns.len();
        let places = self.rows.longest();
        // Both ends of the windows only ever move down the image.
        let mut resized = 0;
        for (y, out) in target.chunks_exact_mut(width).enumerate() {
            let window = self.rows.window(y);
            for row in window.start.max(resized)..window.end {
                let out = &mut self.between[row % places * width..][..width];
                let row = &source[row * stride..][..stride];
                self.kernels.resample_row(&self.columns, row, out);
            }
            resized = resized.max(window.end);
            let rows = RowRing {
                values: &self.between,
                width,
                places,
            };
            self.kernels.blend_rows(&self.rows, y, rows, out);
        }
    }

    /// Makes one of the source rows of each target row and resizes it to the target's width.
    fn vertical_first(&mut self, source: &[u8], stride: usize, target: &mut [u8]) {
        let width = 3 * self.columns.len();
        let rows = RowRing {
            values: source,
            width: stride,
            places: source.len() / stride,
        };
        for (y, out) in target.chunks_exact_mut(width).enumerate() {
            self.kernels
                .blend_rows(&self.rows, y, rows, &mut self.between);
            self.kernels.resample_row(&self.columns, &self.between, out);
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
