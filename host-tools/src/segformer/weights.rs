//! The f32 weights of a SegFormer's parts in the order of a file: matrices `[in, out]`, windows in the order of their
//! pixels, keys beside values.

use igpt_runtime::SegformerConfig;

use super::parts::is_reduced;
use crate::checkpoint::{CheckpointError, Weights};
use crate::quantization::linear_weights::LinearWeights;
use crate::quantization::transpose;

/// A layer norm's gain and bias.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NormWeights {
    /// Gain.
    pub weight: Vec<f32>,
    /// Bias.
    pub bias: Vec<f32>,
}

impl NormWeights {
    fn read(weights: &impl Weights, name: &str) -> Result<Self, CheckpointError> {
        Ok(Self {
            weight: weights.to_f32(&format!("{name}.weight"))?,
            bias: weights.to_f32(&format!("{name}.bias"))?,
        })
    }

    /// Multiplies each channel by its factor.
    pub(super) fn multiply(&mut self, factors: &[f32]) {
        for values in [&mut self.weight, &mut self.bias] {
            values.iter_mut().zip(factors).for_each(|(x, f)| *x *= f);
        }
    }

    fn tensor(&self, kind: &str) -> Option<&[f32]> {
        match kind {
            "weight" => Some(&self.weight),
            "bias" => Some(&self.bias),
            _ => None,
        }
    }
}

/// A linear layer over windows of a map, and the norm behind it.
#[derive(Clone, Debug, PartialEq)]
pub struct Windowed {
    /// `[side * side * channels, out]`: the rows of a pixel's channels beside each other.
    pub linear: LinearWeights,
    /// Of what it writes.
    pub norm: NormWeights,
}

impl Windowed {
    /// Reads a convolution `[out, channels, side, side]` and its norm.
    fn read(weights: &impl Weights, linear: &str, norm: &str) -> Result<Self, CheckpointError> {
        let bias = weights.to_f32(&format!("{linear}.bias"))?;
        let kernel = weights.to_f32(&format!("{linear}.weight"))?;
        let norm = NormWeights::read(weights, norm)?;
        Ok(Self {
            linear: LinearWeights {
                weight: kernel,
                bias,
            },
            norm,
        })
    }

    /// The same with its matrix in the order of a file, for maps of so many channels.
    fn in_file_order(mut self, channels: usize) -> Self {
        let outputs = self.linear.outputs().max(1);
        let inputs = self.linear.weight.len() / outputs;
        let pixels = (inputs / channels.max(1)).max(1);
        let by_channel = transpose(&self.linear.weight, inputs);
        // Rows are (channel, pixel) and become (pixel, channel).
        let row = |pixel: usize, channel: usize| {
            let start = (channel * pixels + pixel) * outputs;
            by_channel.get(start..start + outputs).unwrap_or_default()
        };
        let order =
            (0..pixels).flat_map(|pixel| (0..channels).map(move |channel| (pixel, channel)));
        self.linear.weight = order
            .flat_map(|(pixel, channel)| row(pixel, channel).to_vec())
            .collect();
        self
    }

    /// Divides what reads each of a pixel's channels by its factor.
    pub(super) fn divide_channels(&mut self, factors: &[f32]) {
        let outputs = self.linear.outputs().max(1);
        let rows = self.linear.weight.chunks_exact_mut(outputs);
        for (row, factor) in rows.zip(factors.iter().cycle()) {
            row.iter_mut().for_each(|w| *w /= factor);
        }
    }
}

/// Where one stage ends and the next begins: the norm of the one and the patch convolution of the other. The first
/// convolution has no norm before it, and the last norm no convolution after it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Passage {
    /// `layer_norm` of the stage that ends.
    pub norm: Option<NormWeights>,
    /// `patch_embeddings` of the stage that begins.
    pub patches: Option<Windowed>,
}

impl Passage {
    /// Reads what is in front of `stage`, which may be the number of stages.
    ///
    /// # Errors
    /// A tensor that is missing, cannot be read or is not finite.
    pub fn read(
        weights: &impl Weights,
        config: &SegformerConfig,
        stage: usize,
    ) -> Result<Self, CheckpointError> {
        let before = stage.checked_sub(1);
        let norm =
            before.map(|before| NormWeights::read(weights, &format!("stages.{before}.layer_norm")));
        let channels = match before {
            None => Some(config.num_channels),
            Some(before) => config.hidden_sizes.get(before).copied(),
        };
        let prefix = format!("stages.{stage}.patch_embeddings");
        let patches = (stage < config.num_encoder_blocks).then(|| {
            let (linear, norm) = (format!("{prefix}.proj"), format!("{prefix}.layer_norm"));
            let read = Windowed::read(weights, &linear, &norm)?;
            Ok::<_, CheckpointError>(read.in_file_order(channels.unwrap_or_default()))
        });
        Ok(Self {
            norm: norm.transpose()?,
            patches: patches.transpose()?,
        })
    }

    /// A tensor by its name in a file, without `stages.N.`.
    pub fn tensor(&self, name: &str) -> Option<&[f32]> {
        if let Some(kind) = name.strip_prefix("layer_norm.") {
            return self.norm.as_ref()?.tensor(kind);
        }
        let patches = self.patches.as_ref()?;
        match name.strip_prefix("patch_embeddings.")?.rsplit_once('.')? {
            ("proj", kind) => patches.linear.tensor(kind),
            ("layer_norm", kind) => patches.norm.tensor(kind),
            _ => None,
        }
    }
}

/// A block's weights. Queries, keys and values are apart: a file has some of them in one matrix.
#[derive(Clone, Debug, PartialEq)]
pub struct BlockWeights {
    /// `layernorm_before`.
    pub before: NormWeights,
    /// `attention.sequence_reduction`.
    pub reduction: Option<Windowed>,
    /// `attention.q_proj`.
    pub queries: LinearWeights,
    /// `attention.k_proj`.
    pub keys: LinearWeights,
    /// `attention.v_proj`.
    pub values: LinearWeights,
    /// `attention.o_proj`.
    pub output: LinearWeights,
    /// `layernorm_after`.
    pub after: NormWeights,
    /// `mlp.fc1`.
    pub fc1: LinearWeights,
    /// `mlp.dwconv.dwconv.weight`: nine taps for each inner channel.
    pub taps: Vec<f32>,
    /// `mlp.dwconv.dwconv.bias`.
    pub taps_bias: Vec<f32>,
    /// `mlp.fc2`.
    pub fc2: LinearWeights,
}

impl BlockWeights {
    /// Reads block `index` of `stage`.
    ///
    /// # Errors
    /// A tensor that is missing, cannot be read or is not finite.
    pub fn read(
        weights: &impl Weights,
        config: &SegformerConfig,
        (stage, index): (usize, usize),
    ) -> Result<Self, CheckpointError> {
        const REDUCTION: &str = "attention.sequence_reduction";
        let prefix = format!("stages.{stage}.blocks.{index}");
        let full = |name: &str| format!("{prefix}.{name}");
        let linear = |name: &str| {
            let weight = weights.to_f32(&full(&format!("{name}.weight")))?;
            let bias = weights.to_f32(&full(&format!("{name}.bias")))?;
            let inputs = weight.len() / bias.len().max(1);
            Ok::<_, CheckpointError>(LinearWeights {
                weight: transpose(&weight, inputs),
                bias,
            })
        };
        let before = NormWeights::read(weights, &full("layernorm_before"))?;
        let reduction = is_reduced(config, stage).then(|| {
            let linear = full(&format!("{REDUCTION}.sequence_reduction"));
            let norm = full(&format!("{REDUCTION}.layer_norm"));
            let read = Windowed::read(weights, &linear, &norm)?;
            Ok::<_, CheckpointError>(read.in_file_order(before.weight.len()))
        });
        Ok(Self {
            reduction: reduction.transpose()?,
            before,
            queries: linear("attention.q_proj")?,
            keys: linear("attention.k_proj")?,
            values: linear("attention.v_proj")?,
            output: linear("attention.o_proj")?,
            after: NormWeights::read(weights, &full("layernorm_after"))?,
            fc1: linear("mlp.fc1")?,
            taps: weights.to_f32(&full("mlp.dwconv.dwconv.weight"))?,
            taps_bias: weights.to_f32(&full("mlp.dwconv.dwconv.bias"))?,
            fc2: linear("mlp.fc2")?,
        })
    }

    /// A tensor by its name in a file, without that of the block.
    pub fn tensor(&self, name: &str) -> Option<Vec<f32>> {
        let (layer, kind) = name.rsplit_once('.')?;
        let one = |linear: &LinearWeights| linear.tensor(kind).map(<[f32]>::to_vec);
        let found = match layer {
            "layernorm_before" => self.before.tensor(kind)?,
            "layernorm_after" => self.after.tensor(kind)?,
            "attention.sequence_reduction.sequence_reduction" => {
                self.reduction.as_ref()?.linear.tensor(kind)?
            }
            "attention.sequence_reduction.layer_norm" => {
                self.reduction.as_ref()?.norm.tensor(kind)?
            }
            "attention.q_proj" => return one(&self.queries),
            "attention.kv_proj" => return one(&beside(&[&self.keys, &self.values])),
            "attention.qkv_proj" => {
                return one(&beside(&[&self.queries, &self.keys, &self.values]));
            }
            "attention.o_proj" => return one(&self.output),
            "mlp.fc1" => return one(&self.fc1),
            "mlp.fc2" => return one(&self.fc2),
            "mlp.dwconv.dwconv" if kind == "weight" => &self.taps,
            "mlp.dwconv.dwconv" if kind == "bias" => &self.taps_bias,
            _ => return None,
        };
        Some(found.to_vec())
    }
}

/// The linear layers of one input as a single one, their outputs beside each other.
pub(super) fn beside(layers: &[&LinearWeights]) -> LinearWeights {
    let inputs = layers.first().map_or(0, |layer| layer.rows().count());
    let mut rows: Vec<_> = layers.iter().map(|layer| layer.rows()).collect();
    let mut weight = Vec::new();
    for _ in 0..inputs {
        for row in rows.iter_mut().filter_map(Iterator::next) {
            weight.extend_from_slice(row);
        }
    }
    let bias = layers.iter().flat_map(|layer| layer.bias.iter().copied());
    LinearWeights {
        weight,
        bias: bias.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_go_from_channel_by_channel_to_pixel_by_pixel() {
        // One output, two channels of a window of 2 x 2: channel 1 is 10 more.
        let windowed = Windowed {
            linear: LinearWeights {
                weight: vec![0.0, 1.0, 2.0, 3.0, 10.0, 11.0, 12.0, 13.0],
                bias: vec![0.0],
            },
            norm: NormWeights::default(),
        };
        let ordered = windowed.in_file_order(2).linear.weight;
        assert_eq!(ordered, [0.0, 10.0, 1.0, 11.0, 2.0, 12.0, 3.0, 13.0]);
    }

    #[test]
    fn layers_lie_beside_each_other() {
        let layer = |weight: &[f32], bias: &[f32]| LinearWeights {
            weight: weight.to_vec(),
            bias: bias.to_vec(),
        };
        let (one, two) = (
            layer(&[1.0, 2.0], &[9.0]),
            layer(&[3.0, 4.0, 5.0, 6.0], &[7.0, 8.0]),
        );
        let both = beside(&[&one, &two]);
        assert_eq!(
            both,
            layer(&[1.0, 3.0, 4.0, 2.0, 5.0, 6.0], &[9.0, 7.0, 8.0])
        );
    }
}
