//! Calibration of a SegFormer: the pictures' maps pass through it part by part, in f32, with the weights that a conversion
//! without calibration stores, and with those chosen on the way. A part is a block, or where one stage ends and the next
//! begins: the norm of the one and the patch convolution of the other.

mod block;
mod forward;
mod images;

use igpt_kernels::NonFinite;
use igpt_runtime::SegformerConfig;

use self::block::channel_maxima;
use self::forward::{Stage, map, normed, windows};
pub(crate) use self::images::PictureSet;
pub(super) use self::images::read as read_images;
use super::tensors::at;
use super::weights::{BlockWeights, Passage, Windowed};
use crate::calibration::fitting::fit;
use crate::calibration::products::{PackedLinear, Products, dequantize, round_rows};
use crate::calibration::smooth::{maxima, smooth};
use crate::calibration::{CalibrationReport, Smoothed, distance};
use crate::quantization::{Grid, QuantizedMatrix};

/// Matrices on their grid, by their names in a file without that of their part and without `.weight`.
pub(super) type Matrices = Vec<(&'static str, QuantizedMatrix)>;

/// Pictures the candidates of a rescaling are measured on.
const SAMPLES: usize = 4;

/// The maps of the calibration pictures, in front of the next part: all that is held of them.
#[derive(Debug)]
struct Streams {
    exact: Vec<Vec<f32>>,
    plain: Vec<Vec<f32>>,
    rounded: Vec<Vec<f32>>,
}

/// Follows the pictures through the model, whose parts are given to it in their order.
#[derive(Debug)]
pub(super) struct Calibrator<'a> {
    config: &'a SegformerConfig,
    products: Products,
    /// Height and width of the maps.
    size: (usize, usize),
    streams: Streams,
}

/// A patch convolution as it is computed: its norm's weights, and whether what it reads is rounded.
#[derive(Clone, Copy)]
struct Patches<'a> {
    products: &'a Products,
    passage: &'a Passage,
    stage: &'a PatchShape,
}

/// The shape of a patch convolution.
#[derive(Debug)]
struct PatchShape {
    height: usize,
    width: usize,
    channels: usize,
    kernel: usize,
    stride: usize,
}

impl<'a> Calibrator<'a> {
    /// For these pictures.
    pub(super) fn new(config: &'a SegformerConfig, set: &PictureSet) -> Self {
        Self {
            config,
            products: Products::new(Grid::Int8),
            size: set.size,
            streams: Streams {
                exact: set.pictures.clone(),
                plain: set.pictures.clone(),
                rounded: set.pictures.clone(),
            },
        }
    }

    /// Rounds a block of `stage`, which is next, and takes the streams past it.
    ///
    /// # Errors
    /// An activation that is not finite.
    pub(super) fn block(
        &mut self,
        stage: usize,
        block: &mut BlockWeights,
    ) -> Result<(Matrices, CalibrationReport), NonFinite> {
        let stage = Stage::new(self.config, &self.products, stage, self.size);
        let (smoothed, matrices) = stage.calibrate(block, &mut self.streams)?;
        Ok((matrices, self.report(smoothed)))
    }

    /// Rounds the patch convolution of `stage`, and takes the streams past it; of the last norm alone, past that. `rescale`
    /// says whether the norm before it may change.
    ///
    /// # Errors
    /// An activation that is not finite.
    pub(super) fn passage(
        &mut self,
        stage: usize,
        passage: &mut Passage,
        rescale: bool,
    ) -> Result<(Matrices, CalibrationReport), NonFinite> {
        let (height, width) = self.size;
        let before = stage.checked_sub(1);
        let shape = PatchShape {
            height,
            width,
            channels: before.map_or(self.config.num_channels, |before| {
                at(&self.config.hidden_sizes, before)
            }),
            kernel: at(&self.config.patch_sizes, stage),
            stride: at(&self.config.strides, stage),
        };
        let products = &self.products;
        let Some(patches) = passage.patches.clone() else {
            let streams = &mut self.streams;
            let maps = [&mut streams.exact, &mut streams.plain, &mut streams.rounded];
            for x in maps.into_iter().flatten() {
                *x = of(products, passage, &shape).normed(x);
            }
            return Ok((Matrices::new(), self.report(Vec::new())));
        };
        let plain = plain(products, &patches);
        for x in &mut self.streams.plain {
            *x = of(products, passage, &shape).whole(&plain, x, true);
        }
        let mut smoothed = Vec::new();
        if rescale && passage.norm.is_some() {
            smoothed = self.smooth(passage, &shape)?;
        }
        let Some(linear) = passage
            .patches
            .as_ref()
            .map(|patches| patches.linear.clone())
        else {
            return Ok((Matrices::new(), self.report(smoothed)));
        };
        let products = &self.products;
        let exact = PackedLinear::new(&linear.weight, linear.bias.clone());
        let run = of(products, passage, &shape);
        let pictures = self.streams.exact.iter().zip(&self.streams.rounded);
        let pieces = pictures.map(|(wanted, x)| {
            let wanted = products.apply(&exact, &run.input(wanted, false));
            Ok::<_, NonFinite>((run.input(x, true), wanted))
        });
        let fitted = fit(products, &linear, pieces)?;
        let rounded = fitted.packed();
        for x in &mut self.streams.exact {
            *x = run.whole(&exact, x, false);
        }
        for x in &mut self.streams.rounded {
            *x = run.whole(&rounded, x, true);
        }
        if let Some(patches) = &mut passage.patches {
            patches.linear.bias = fitted.bias;
        }
        self.size = shape.grid();
        let matrices = vec![("patch_embeddings.proj", fitted.matrix)];
        Ok((matrices, self.report(smoothed)))
    }

    fn smooth(
        &self,
        passage: &mut Passage,
        shape: &PatchShape,
    ) -> Result<Vec<Smoothed>, NonFinite> {
        let products = &self.products;
        let pictures = self.streams.rounded.as_slice();
        let samples = pictures.get(..SAMPLES).unwrap_or(pictures);
        let computed = |passage: &Passage, rounds| {
            let Some(patches) = &passage.patches else {
                return Vec::new();
            };
            let layer = match rounds {
                true => plain(products, patches),
                false => PackedLinear::new(&patches.linear.weight, patches.linear.bias.clone()),
            };
            let run = of(products, passage, shape);
            let maps = samples.iter().flat_map(|x| run.whole(&layer, x, rounds));
            maps.collect::<Vec<f32>>()
        };
        let exact = computed(passage, false);
        let sizes = |(), passage: &Passage| {
            let run = of(products, passage, shape);
            let read: Vec<f32> = samples.iter().flat_map(|x| run.normed(x)).collect();
            let weights = passage.patches.as_ref();
            let weights = weights.map(|patches| channel_maxima(patches, shape.channels));
            (maxima(&read, shape.channels), weights.unwrap_or_default())
        };
        let error = |passage: Passage| Ok(distance(&exact, &computed(&passage, true)));
        smooth(passage, std::iter::once(()), sizes, error)
    }

    fn report(&self, smoothed: Vec<Smoothed>) -> CalibrationReport {
        let Streams {
            exact,
            plain,
            rounded,
        } = &self.streams;
        let exact = exact.concat();
        CalibrationReport {
            smoothed,
            error_before: distance(&exact, &plain.concat()),
            error_after: distance(&exact, &rounded.concat()),
        }
    }
}

fn of<'a>(products: &'a Products, passage: &'a Passage, stage: &'a PatchShape) -> Patches<'a> {
    Patches {
        products,
        passage,
        stage,
    }
}

/// The convolution as a conversion without calibration stores it.
fn plain(products: &Products, patches: &Windowed) -> PackedLinear {
    let linear = &patches.linear;
    let matrix = products.grid().quantize(&linear.weight, linear.outputs());
    PackedLinear::new(&dequantize(&matrix), linear.bias.clone())
}

impl PatchShape {
    fn padding(&self) -> usize {
        self.kernel / 2
    }

    /// Height and width of the map that it writes.
    fn grid(&self) -> (usize, usize) {
        let along = |side: usize| {
            (side + 2 * self.padding()).saturating_sub(self.kernel) / self.stride.max(1) + 1
        };
        (along(self.height), along(self.width))
    }
}

impl Patches<'_> {
    /// The map that its windows are cut out of.
    fn normed(self, x: &[f32]) -> Vec<f32> {
        match &self.passage.norm {
            Some(norm) => normed(self.products, x, norm),
            None => x.to_vec(),
        }
    }

    /// What the convolution's matrix reads.
    fn input(self, x: &[f32], rounds: bool) -> Vec<f32> {
        let shape = self.stage;
        let normed = self.normed(x);
        let map = map(&normed, shape.height, shape.width, shape.channels);
        let mut rows = windows(
            self.products,
            map,
            shape.kernel,
            shape.stride,
            shape.padding(),
        );
        if rounds {
            round_rows(&mut rows, shape.kernel * shape.kernel * shape.channels);
        }
        rows
    }

    /// The map behind it.
    fn whole(self, layer: &PackedLinear, x: &[f32], rounds: bool) -> Vec<f32> {
        let written = self.products.apply(layer, &self.input(x, rounds));
        match &self.passage.patches {
            Some(patches) => normed(self.products, &written, &patches.norm),
            None => written,
        }
    }
}
