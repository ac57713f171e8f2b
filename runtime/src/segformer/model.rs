//! `SegformerModel`: pixel values in, the map of every stage and logits out.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use igpt_kernels::Isa;
use tract_onnx::prelude::Tensor;
use tract_onnx::tract_hir::internal::TractResult;

use super::processor::SegformerImageProcessor;
use crate::config::SegformerConfig;
use crate::error::{Error, PixelsError};
use crate::kind::{Dtype, Task};
use crate::model::{Core, Input, ModelOutput, Opened, State};
use crate::onnx::Family;
use crate::options::LoadOptions;

/// A loaded model file, with a head or without. A clone shares its weights.
#[derive(Clone, Debug)]
pub struct SegformerModel {
    pub(crate) core: Arc<Core>,
    pub(crate) config: SegformerConfig,
    pub(crate) processor: Option<Arc<SegformerImageProcessor>>,
    /// (height, width) of its input.
    size: (usize, usize),
}

impl SegformerModel {
    /// Loads a file.
    ///
    /// # Errors
    /// If it cannot be read, is damaged, of another family, or is not for this build or machine.
    pub fn load(path: impl AsRef<Path>, options: &LoadOptions) -> Result<Self, Error> {
        Opened::file(path.as_ref(), options)?.try_into()
    }

    /// Loads a file that is in memory, such as an embedded one (`&'static [u8]`); its weights are used where they lie
    /// if they can be.
    ///
    /// # Errors
    /// As [`SegformerModel::load`].
    pub fn from_bytes(bytes: impl Into<Bytes>, options: &LoadOptions) -> Result<Self, Error> {
        Opened::bytes(bytes.into(), options)?.try_into()
    }

    /// What to tell whoever runs a file that was packed for another CPU: loading it takes longer than it has to.
    #[must_use]
    pub fn repacked(&self) -> Option<String> {
        self.core.repacked()
    }

    /// What the file is for.
    #[must_use]
    pub fn task(&self) -> Task {
        self.core.task
    }

    /// How its linear layers are stored and computed.
    #[must_use]
    pub fn dtype(&self) -> Dtype {
        self.core.dtype
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &SegformerConfig {
        &self.config
    }

    /// The image processor, if the file has one.
    #[must_use]
    pub fn processor(&self) -> Option<&SegformerImageProcessor> {
        self.processor.as_deref()
    }

    /// (height, width) of its input in pixels.
    #[must_use]
    pub fn size(&self) -> (usize, usize) {
        self.size
    }

    /// (height, width) of the map of every stage.
    #[must_use]
    pub fn grids(&self) -> Vec<(usize, usize)> {
        // Loading checked it.
        self.config
            .grids(self.size.0, self.size.1)
            .unwrap_or_default()
    }

    /// The instruction set in use.
    #[must_use]
    pub fn isa(&self) -> Isa {
        self.core.isa()
    }

    /// The threads that runs are spread over.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.core.threads()
    }

    /// The logits of one image's `pixel_values`, `[num_channels, height, width]`, without the hidden states.
    ///
    /// # Errors
    /// On a file without a head, another number of values, or activations that overflow.
    pub fn logits(&self, pixel_values: &[f32]) -> Result<Vec<f32>, Error> {
        let input = self.input(pixel_values)?;
        let mut state = self.spawn()?;
        Ok(self.core.run(&mut state, input)?.pop().unwrap_or_default())
    }

    /// Runs `pixel_values`, `[batch, num_channels, height, width]`, and gives the map of every stage,
    /// `[batch, height, width, channels]`, and logits if there is a head.
    ///
    /// # Errors
    /// On a number of values that is not a batch's, or activations that overflow.
    pub fn forward(&self, pixel_values: &[f32]) -> Result<ModelOutput, Error> {
        let one = self.values();
        if pixel_values.is_empty() || !pixel_values.len().is_multiple_of(one) {
            return Err(self.wrong_count(pixel_values.len()));
        }
        let mut output = ModelOutput {
            hidden_states: vec![Vec::new(); self.config.num_encoder_blocks],
            logits: Vec::new(),
        };
        let mut state = self.core.spawn_all()?;
        for image in pixel_values.chunks_exact(one) {
            let mut values = self.core.run(&mut state, self.input(image)?)?;
            if self.task() != Task::Features {
                output.logits.extend(values.pop().unwrap_or_default());
            }
            for (all, one) in output.hidden_states.iter_mut().zip(values) {
                all.extend(one);
            }
        }
        Ok(output)
    }

    /// A state of the plan that gives the logits.
    pub(super) fn spawn(&self) -> Result<State, Error> {
        self.core.spawn(self.core.head()?)
    }

    /// Numbers of an input.
    fn values(&self) -> usize {
        self.config.num_channels * self.size.0 * self.size.1
    }

    /// The shape of an input as the operators take it, channels last.
    fn shape(&self) -> [usize; 4] {
        [1, self.size.0, self.size.1, self.config.num_channels]
    }

    fn wrong_count(&self, found: usize) -> Error {
        PixelsError {
            found,
            channels: self.config.num_channels,
            height: self.size.0,
            width: self.size.1,
        }
        .into()
    }

    /// An input of these numbers.
    fn input(&self, pixel_values: &[f32]) -> Result<Tensor, Error> {
        if pixel_values.len() != self.values() {
            return Err(self.wrong_count(pixel_values.len()));
        }
        let channels = self.config.num_channels;
        let planes = pixel_values.chunks_exact(pixel_values.len() / channels);
        self.filled(|values| {
            let mut planes = planes;
            if channels == 3
                && let (Some(red), Some(green), Some(blue)) =
                    (planes.next(), planes.next(), planes.next())
            {
                // Pixel by pixel: three passes with gaps take thrice as long.
                let pixels = values.as_chunks_mut::<3>().0.iter_mut();
                for (((pixel, r), g), b) in pixels.zip(red).zip(green).zip(blue) {
                    *pixel = [*r, *g, *b];
                }
                return;
            }
            for (channel, plane) in planes.enumerate() {
                let values = values[channel..].iter_mut().step_by(channels);
                for (out, value) in values.zip(plane) {
                    *out = *value;
                }
            }
        })
    }

    /// An input that `fill` fills, pixel by pixel.
    pub(super) fn filled(&self, fill: impl FnOnce(&mut [f32])) -> Result<Tensor, Error> {
        let make = || -> TractResult<Tensor> {
            let mut input = self.core.engine.tensors.take(&self.shape())?;
            fill(input.try_as_plain_ram_mut()?.as_slice_mut::<f32>()?);
            Ok(input)
        };
        make().map_err(|e| self.core.error(&e))
    }
}

impl TryFrom<Opened> for SegformerModel {
    type Error = Error;

    fn try_from(opened: Opened) -> Result<Self, Error> {
        let Family::Segformer { config, size, .. } = opened.family() else {
            return Err(opened.another("segformer"));
        };
        let shape = [1, size.0, size.1, config.num_channels];
        let hidden_states = config.num_encoder_blocks;
        let (core, family) = opened.plan(Input::Values(shape), hidden_states, &[])?;
        match family {
            Family::Segformer {
                config,
                processor,
                size,
            } => Ok(Self {
                core: Arc::new(core),
                config,
                processor: processor.map(Arc::new),
                size,
            }),
            Family::ImageGpt { .. } => unreachable!("the family was asked for above"),
        }
    }
}
