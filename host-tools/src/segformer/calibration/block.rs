//! A block of a SegFormer on its grid: smoothed, then rounded layer by layer, each for what those before it now give.

use igpt_kernels::NonFinite;

use super::forward::{Layer, Layers, Run, Stage, exact_layers};
use super::{Matrices, SAMPLES, Streams};
use crate::calibration::fitting::{Fitted, fit};
use crate::calibration::products::{PackedLinear, dequantize, minus};
use crate::calibration::smooth::{maxima, rows, smooth};
use crate::calibration::{Smoothed, distance};
use crate::quantization::linear_weights::LinearWeights;
use crate::quantization::{QuantizationError, QuantizedMatrix};
use crate::segformer::pairs::Pair;
use crate::segformer::weights::{BlockWeights, Windowed, beside};

/// What a layer is given of some rows.
type Activations<'a> = dyn Fn(&[f32]) -> Result<Vec<f32>, NonFinite> + 'a;

impl Stage<'_> {
    /// Every matrix rounded by itself, as a conversion without calibration does.
    fn plain_layers(&self, block: &BlockWeights) -> Layers {
        let grid = self.products.grid();
        let packed = |linear: &LinearWeights| {
            let matrix = grid.quantize(&linear.weight, linear.outputs());
            PackedLinear::new(&dequantize(&matrix), linear.bias.clone())
        };
        linears(block).map(|linear| linear.as_ref().map(packed))
    }

    /// Rounds `block`, and takes the streams past it.
    pub(super) fn calibrate(
        &self,
        block: &mut BlockWeights,
        streams: &mut Streams,
    ) -> Result<(Vec<Smoothed>, Matrices), NonFinite> {
        let plain = self.plain_layers(block);
        let run = self.run(block, &plain, true);
        for x in &mut streams.plain {
            *x = run.whole(x)?;
        }
        let smoothed = self.smooth(block, &streams.rounded)?;
        let fitted = self.round(block, streams)?;
        Ok((smoothed, finish(block, fitted)))
    }

    fn run<'a>(&'a self, block: &'a BlockWeights, layers: &'a Layers, rounds: bool) -> Run<'a> {
        Run {
            stage: self,
            block,
            layers,
            rounds,
        }
    }

    fn smooth(
        &self,
        block: &mut BlockWeights,
        pictures: &[Vec<f32>],
    ) -> Result<Vec<Smoothed>, NonFinite> {
        let samples = pictures.get(..SAMPLES).unwrap_or(pictures);
        // The error of what the block adds: the map that passes through it is exact.
        let added = |block: &BlockWeights, layers: &Layers, rounds| {
            let run = self.run(block, layers, rounds);
            let added = samples.iter().map(|x| Ok(minus(&run.whole(x)?, x)));
            added.collect::<Result<Vec<_>, NonFinite>>()
        };
        let exact = added(block, &exact_layers(block), false)?.concat();
        let error = |block: BlockWeights| {
            let rounded = added(&block, &self.plain_layers(&block), true)?.concat();
            Ok::<f64, NonFinite>(distance(&exact, &rounded))
        };
        let sizes = |pair, block: &BlockWeights| {
            let layers = exact_layers(block);
            self.sizes(pair, &self.run(block, &layers, false), samples)
        };
        let mut pairs: Vec<Pair> = Pair::all(self.ratio > 1, self.activation).collect();
        // From the output back, so that none undoes what another found.
        pairs.reverse();
        smooth(block, pairs.into_iter(), sizes, error)
    }

    /// The largest activation and the largest weight of each channel of a pair.
    fn sizes(&self, pair: Pair, run: &Run<'_>, samples: &[Vec<f32>]) -> (Vec<f32>, Vec<f32>) {
        let (block, attended) = (run.block, self.attended());
        let largest = |width, of: &Activations<'_>| {
            // What is not finite was found before, in the whole block.
            let rows = samples.iter().flat_map(|x| of(x).unwrap_or_default());
            maxima(&rows.collect::<Vec<f32>>(), width)
        };
        let reads = |layer, width| largest(width, &|x| run.input(layer, x));
        match pair {
            Pair::Before => {
                let readers = match &block.reduction {
                    None => rows(&beside(&[&block.queries, &block.keys, &block.values])),
                    Some(reduction) => {
                        let windows = channel_maxima(reduction, self.channels);
                        let queries = rows(&block.queries);
                        let both = queries.iter().zip(&windows);
                        both.map(|(a, b)| a.max(*b)).collect()
                    }
                };
                (reads(Layer::Queries, self.channels), readers)
            }
            Pair::Reduction => (
                reads(Layer::KeysValues, self.channels),
                rows(&beside(&[&block.keys, &block.values])),
            ),
            Pair::After => (reads(Layer::Fc1, self.channels), rows(&block.fc1)),
            Pair::Inner => (reads(Layer::Fc2, self.inner), rows(&block.fc2)),
            Pair::Value => (reads(Layer::Output, attended), rows(&block.output)),
            Pair::QueryKey => {
                let queries = largest(attended, &|x| run.output(Layer::Queries, x));
                let mut keys = largest(2 * attended, &|x| run.output(Layer::KeysValues, x));
                keys.truncate(attended);
                (queries, keys)
            }
        }
    }

    /// Rounds every layer for the int8 model's maps beside the f32 model's, and takes both past the block. What lies between
    /// two layers is computed anew for each picture and layer rather than held for all.
    fn round(
        &self,
        block: &BlockWeights,
        streams: &mut Streams,
    ) -> Result<[Option<Fitted>; 6], NonFinite> {
        const ORDER: [Layer; 6] = [
            Layer::Reduction,
            Layer::Queries,
            Layer::KeysValues,
            Layer::Output,
            Layer::Fc1,
            Layer::Fc2,
        ];
        let exact_layers = exact_layers(block);
        let exact = self.run(block, &exact_layers, false);
        let mut layers = Layers::default();
        let mut all = <[Option<Fitted>; 6]>::default();
        for ((layer, linear), slot) in ORDER.into_iter().zip(linears(block)).zip(&mut all) {
            let Some(linear) = linear else { continue };
            let pictures = streams.exact.iter().zip(&streams.rounded);
            let pieces = pictures.map(|(wanted, x)| {
                let run = self.run(block, &layers, true);
                let rows = run.input(layer, x)?;
                // What writes to the stream makes good what the stream lost so far.
                let wanted = match layer {
                    Layer::Output => minus(&exact.middle(wanted)?, x),
                    Layer::Fc2 => minus(&exact.whole(wanted)?, &run.middle(x)?),
                    layer => exact.output(layer, wanted)?,
                };
                Ok((rows, wanted))
            });
            let fitted = fit(self.products, &linear, pieces)?;
            if let Some(packed) = layers.get_mut(layer as usize) {
                *packed = Some(fitted.packed());
            }
            *slot = Some(fitted);
        }
        for x in &mut streams.exact {
            *x = exact.whole(x)?;
        }
        for x in &mut streams.rounded {
            *x = self.run(block, &layers, true).whole(x)?;
        }
        Ok(all)
    }
}

/// The largest weight that reads each channel.
pub(super) fn channel_maxima(windowed: &Windowed, channels: usize) -> Vec<f32> {
    maxima(&rows(&windowed.linear), channels)
}

/// A block's linear layers, by [`Layer`].
fn linears(block: &BlockWeights) -> [Option<LinearWeights>; 6] {
    let reduction = block.reduction.as_ref();
    [
        reduction.map(|windowed| windowed.linear.clone()),
        Some(block.queries.clone()),
        Some(beside(&[&block.keys, &block.values])),
        Some(block.output.clone()),
        Some(block.fc1.clone()),
        Some(block.fc2.clone()),
    ]
}

/// Corrected biases into the block; the matrices as a file has them.
fn finish(block: &mut BlockWeights, fitted: [Option<Fitted>; 6]) -> Matrices {
    const REDUCTION: &str = "attention.sequence_reduction.sequence_reduction";
    let [reduction, queries, keys_values, output, fc1, fc2] = fitted;
    let mut matrices = Vec::new();
    let mut put = |name: &'static str, bias: &mut Vec<f32>, fitted: Option<Fitted>| {
        if let Some(fitted) = fitted {
            *bias = fitted.bias;
            matrices.push((name, fitted.matrix));
        }
    };
    if let Some(windowed) = &mut block.reduction {
        put(REDUCTION, &mut windowed.linear.bias, reduction);
    }
    put("attention.o_proj", &mut block.output.bias, output);
    put("mlp.fc1", &mut block.fc1.bias, fc1);
    put("mlp.fc2", &mut block.fc2.bias, fc2);
    let (Some(queries), Some(keys_values)) = (queries, keys_values) else {
        return matrices;
    };
    let both = beside(&[&block.queries, &block.keys, &block.values]);
    let (keys, values) = keys_values.bias.split_at(block.keys.outputs());
    block.queries.bias.clone_from(&queries.bias);
    block.keys.bias = keys.to_vec();
    block.values.bias = values.to_vec();
    if block.reduction.is_some() {
        matrices.push(("attention.q_proj", queries.matrix));
        matrices.push(("attention.kv_proj", keys_values.matrix));
    } else {
        let matrix = joined(&queries.matrix, &keys_values.matrix, &both.weight);
        matrices.push(("attention.qkv_proj", matrix));
    }
    matrices
}

/// Two matrices of one input beside each other, which stand for `weights`.
fn joined(first: &QuantizedMatrix, second: &QuantizedMatrix, weights: &[f32]) -> QuantizedMatrix {
    let (left, right) = (first.scales.len().max(1), second.scales.len().max(1));
    let rows = first
        .values
        .chunks_exact(left)
        .zip(second.values.chunks_exact(right));
    let mut matrix = QuantizedMatrix {
        values: rows.flat_map(|(a, b)| [a, b].concat()).collect(),
        multipliers: None,
        scales: [first.scales.as_slice(), &second.scales].concat(),
        error: QuantizationError::default(),
    };
    matrix.error = QuantizationError::measure(weights, dequantize(&matrix).into_iter());
    matrix
}
