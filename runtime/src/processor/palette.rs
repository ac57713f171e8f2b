//! The nearest palette colour of an RGB8 pixel, exactly as Hugging Face's processors find it.
//!
//! Both expand the squared distance to `a^2 - 2ab + b^2`, with the pixel `a` in f32, and take the
//! first index of the smallest. PIL's has the colour `b` in f64 and goes on in f64; torchvision's has
//! everything in f32. Where two colours are about equally far the rounding of that expansion decides,
//! so we keep its order of operations: `ab` is one product and two fused multiply-adds, which is what
//! a matrix product does on a CPU with FMA (x86 since 2013, all of aarch64; docs/processor.md says
//! where torch's does otherwise). `mul_add` rounds once whether or not the CPU has it.
//!
//! A pixel is held against few colours: colour space is cut into 16 x 16 x 16 cells, and a cell
//! lists the colours that can be nearest to some pixel inside it.

use super::Backend;

/// Cells per axis; a cell spans `256 / CELLS` values of a channel.
const CELLS: usize = 16;
const CELL_SHIFT: u32 = 4;

/// Rounding errors of distances are below 16 units of the precision of the largest distance;
/// colours closer than this fraction of it stay candidates.
fn margin(backend: Backend) -> f64 {
    match backend {
        Backend::Pil => 1e-12,
        Backend::Torchvision => 4e-6,
    }
}

/// One palette colour, ready for the expanded distance.
#[derive(Debug, Clone, Copy)]
struct Color {
    rgb: [f64; 3],
    /// Its squared length.
    square: f64,
}

/// A palette prepared for exact nearest-colour search.
#[derive(Debug)]
pub(crate) struct Palette {
    backend: Backend,
    colors: Vec<Color>,
    channels: Channels,
    /// `candidates[cell_start[c]..cell_start[c + 1]]` are the colours to try in cell `c`,
    /// ascending.
    cell_start: Vec<u32>,
    candidates: Vec<u16>,
}

/// What each 8-bit value of each channel becomes before colours are compared.
#[derive(Debug)]
pub(super) struct Channels {
    /// The value, in f32.
    pub(super) value: [[f32; 256]; 3],
    /// Its square, as the processor's arithmetic has it.
    pub(super) square: [[f32; 256]; 3],
}

impl Palette {
    /// Prepares `clusters`, of which there are 1 to 65,536, all finite like `channels`; torchvision's are
    /// f32 values.
    pub(super) fn new(backend: Backend, clusters: &[[f64; 3]], channels: Channels) -> Self {
        let square = |rgb: [f64; 3]| match backend {
            Backend::Pil => sum_of_squares(rgb),
            Backend::Torchvision => {
                let [r, g, b] = rgb.map(|x| x as f32);
                f64::from(r * r + g * g + b * b)
            }
        };
        let colors: Vec<Color> = clusters
            .iter()
            .map(|&rgb| Color {
                rgb,
                square: square(rgb),
            })
            .collect();
        let (cell_start, candidates) = cells(&colors, &channels, margin(backend));
        Self {
            backend,
            colors,
            channels,
            cell_start,
            candidates,
        }
    }

    /// Index of the colour nearest to an RGB8 pixel; the lowest of equally near ones.
    pub(crate) fn nearest(&self, rgb: [u8; 3]) -> u16 {
        let [r, g, b] = rgb.map(usize::from);
        let cell =
            (r >> CELL_SHIFT) * CELLS * CELLS + (g >> CELL_SHIFT) * CELLS + (b >> CELL_SHIFT);
        let range = self.cell_start[cell] as usize..self.cell_start[cell + 1] as usize;
        self.nearest_of(rgb, self.candidates[range].iter().copied())
    }

    /// Distance between an RGB8 pixel and a colour of the palette, which must be one, in the scale of the palette.
    pub(crate) fn distance(&self, rgb: [u8; 3], token: u16) -> f64 {
        let color = self.colors[usize::from(token)].rgb;
        let square = |channel: usize| {
            let value = self.channels.value[channel][usize::from(rgb[channel])];
            (f64::from(value) - color[channel]).powi(2)
        };
        (square(0) + square(1) + square(2)).sqrt()
    }

    /// The nearest among `candidates`, which ascend.
    fn nearest_of(&self, rgb: [u8; 3], candidates: impl Iterator<Item = u16>) -> u16 {
        match self.backend {
            Backend::Pil => self.nearest_in_f64(rgb, candidates),
            Backend::Torchvision => self.nearest_in_f32(rgb, candidates),
        }
    }

    fn nearest_in_f32(&self, rgb: [u8; 3], candidates: impl Iterator<Item = u16>) -> u16 {
        let [r, g, b] = rgb.map(usize::from);
        let Channels {
            value: v,
            square: s,
        } = &self.channels;
        let pixel = [v[0][r], v[1][g], v[2][b]];
        let pixel_square = (s[0][r] + s[1][g]) + s[2][b];
        let (mut best, mut least) = (0, f32::INFINITY);
        for index in candidates {
            let Color { rgb: c, square } = self.colors[usize::from(index)];
            // Values of f32 that are kept as f64: nothing is lost on the way back.
            let (c, square) = (c.map(|x| x as f32), square as f32);
            let product = pixel[2].mul_add(c[2], pixel[1].mul_add(c[1], pixel[0] * c[0]));
            let distance = (pixel_square - 2.0 * product) + square;
            if distance < least {
                (best, least) = (index, distance);
            }
        }
        best
    }

    fn nearest_in_f64(&self, rgb: [u8; 3], candidates: impl Iterator<Item = u16>) -> u16 {
        let [r, g, b] = rgb.map(usize::from);
        let Channels {
            value: v,
            square: s,
        } = &self.channels;
        let pixel = [v[0][r], v[1][g], v[2][b]].map(f64::from);
        let pixel_square = f64::from((s[0][r] + s[1][g]) + s[2][b]);
        let (mut best, mut least) = (0, f64::INFINITY);
        for index in candidates {
            let Color { rgb: c, square } = self.colors[usize::from(index)];
            let product = pixel[2].mul_add(c[2], pixel[1].mul_add(c[1], pixel[0] * c[0]));
            let distance = (pixel_square - 2.0 * product) + square;
            if distance < least {
                (best, least) = (index, distance);
            }
        }
        best
    }
}

fn sum_of_squares([r, g, b]: [f64; 3]) -> f64 {
    r * r + g * g + b * b
}

/// The candidate lists: a colour stays in a cell's list unless some other colour is nearer to
/// every point of the cell's box than it is to any.
fn cells(colors: &[Color], channels: &Channels, margin: f64) -> (Vec<u32>, Vec<u16>) {
    let axes: [AxisBounds; 3] = std::array::from_fn(|axis| {
        AxisBounds::new(&channels.value[axis], colors.iter().map(|c| c.rgb[axis]))
    });
    let span: f64 = axes.iter().map(|a| a.farthest).sum();
    let margin = margin * span;
    let n = colors.len();
    let mut cell_start = Vec::with_capacity(CELLS.pow(3) + 1);
    let mut candidates = Vec::new();
    let mut near = vec![0.0; n];
    let mut far = vec![0.0; n];
    cell_start.push(0);
    for r in 0..CELLS {
        for g in 0..CELLS {
            // The sums over two axes are shared by the sixteen cells of the third.
            add(&mut near, &axes[0].near[r], &axes[1].near[g]);
            add(&mut far, &axes[0].far[r], &axes[1].far[g]);
            for b in 0..CELLS {
                let near_b = &axes[2].near[b];
                let far_b = &axes[2].far[b];
                let bound = far
                    .iter()
                    .zip(far_b)
                    .fold(f64::INFINITY, |m, (x, y)| m.min(x + y));
                let keep = |i: &usize| near[*i] + near_b[*i] <= bound + margin;
                candidates.extend((0..n).filter(keep).map(|i| i as u16));
                cell_start.push(candidates.len() as u32);
            }
        }
    }
    (cell_start, candidates)
}

fn add(sum: &mut [f64], a: &[f64], b: &[f64]) {
    for ((s, a), b) in sum.iter_mut().zip(a).zip(b) {
        *s = a + b;
    }
}

/// Squared distances along one axis between every colour and every cell's interval.
struct AxisBounds {
    /// `near[cell][colour]`: from the colour to the nearest point of the interval.
    near: Vec<Vec<f64>>,
    /// `far[cell][colour]`: to its farthest point.
    far: Vec<Vec<f64>>,
    /// A bound of every squared term of the expanded distance.
    farthest: f64,
}

impl AxisBounds {
    fn new(values: &[f32; 256], colors: impl Iterator<Item = f64> + Clone) -> Self {
        let mut bounds = Self {
            near: Vec::new(),
            far: Vec::new(),
            farthest: 0.0,
        };
        for cell in values.chunks_exact(256 / CELLS) {
            // A negative std turns the interval round, so look at all of its values.
            let low = f64::from(cell.iter().copied().fold(f32::INFINITY, f32::min));
            let high = f64::from(cell.iter().copied().fold(f32::NEG_INFINITY, f32::max));
            let distance = |c: f64| (low - c).max(c - high).max(0.0);
            bounds
                .near
                .push(colors.clone().map(|c| distance(c).powi(2)).collect());
            bounds.far.push(
                colors
                    .clone()
                    .map(|c| (c - low).abs().max((c - high).abs()).powi(2))
                    .collect(),
            );
            let reach = low.abs().max(high.abs());
            for c in colors.clone() {
                bounds.farthest = bounds.farthest.max((reach + c.abs()).powi(2));
            }
        }
        bounds
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// ImageGPT's normalisation: x / 255, then (x - 1/2) / (1/2).
    fn standard() -> Channels {
        let value = std::array::from_fn(|i| ((i as f64 * (1.0 / 255.0)) as f32 - 0.5) / 0.5);
        let square = value.map(|v: f32| v * v);
        Channels {
            value: [value; 3],
            square: [square; 3],
        }
    }

    /// All colours, no cells.
    fn naive(palette: &Palette, rgb: [u8; 3]) -> u16 {
        palette.nearest_of(rgb, 0..palette.colors.len() as u16)
    }

    fn color() -> impl Strategy<Value = [f64; 3]> {
        prop_oneof![
            [-1.0..1.0f64, -1.0..1.0f64, -1.0..1.0f64],
            // On the 8-bit grid and on its half steps, where ties live.
            [0u16..=510, 0u16..=510, 0u16..=510]
                .prop_map(|c| c.map(|x| f64::from(x) / 255.0 - 1.0)),
            [-1i8..=1, -1i8..=1, -1i8..=1].prop_map(|c| c.map(f64::from)),
            [-40.0..40.0f64, -40.0..40.0f64, -40.0..40.0f64],
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn cells_never_lose_the_nearest(
            clusters in prop::collection::vec(color(), 1..80),
            pixels in prop::collection::vec(any::<[u8; 3]>(), 256),
        ) {
            let in_f32: Vec<[f64; 3]> =
                clusters.iter().map(|c| c.map(|x| f64::from(x as f32))).collect();
            let pil = Palette::new(Backend::Pil, &clusters, standard());
            let torchvision = Palette::new(Backend::Torchvision, &in_f32, standard());
            for rgb in pixels {
                prop_assert_eq!(pil.nearest(rgb), naive(&pil, rgb));
                prop_assert_eq!(torchvision.nearest(rgb), naive(&torchvision, rgb));
            }
        }
    }

    #[test]
    fn every_corner_of_every_cell() {
        let clusters: Vec<[f64; 3]> = (0..64u32)
            .map(|i| [i % 4, i / 4 % 4, i / 16].map(|x| f64::from(x) * 2.0 / 3.0 - 1.0))
            .collect();
        let palette = Palette::new(Backend::Pil, &clusters, standard());
        let edges = (0..CELLS)
            .flat_map(|c| [c * 16, c * 16 + 15])
            .map(|v| v as u8);
        for r in edges.clone() {
            for g in edges.clone() {
                for b in edges.clone() {
                    assert_eq!(palette.nearest([r, g, b]), naive(&palette, [r, g, b]));
                }
            }
        }
    }

    #[test]
    fn equal_colors_give_the_lowest_index() {
        for backend in Backend::ALL {
            let twice = [[0.5; 3], [-0.25; 3], [-0.25; 3], [0.5; 3]];
            let palette = Palette::new(backend, &twice, standard());
            assert_eq!(palette.nearest([255; 3]), 0);
            assert_eq!(palette.nearest([0; 3]), 1);
        }
    }

    #[test]
    fn a_reversed_axis_is_searched_too() {
        let mut channels = standard();
        for (v, i) in channels.value[1].iter_mut().zip(0u8..) {
            *v = -f32::from(i);
        }
        channels.square[1] = channels.value[1].map(|v| v * v);
        let colors = [[0.0, -200.0, 0.0], [0.0, -100.0, 0.0]];
        let palette = Palette::new(Backend::Torchvision, &colors, channels);
        assert_eq!(palette.nearest([9, 140, 200]), 1);
        assert_eq!(palette.nearest([9, 160, 200]), 0);
    }
}
