//! A loaded model of any family, and what it reads of a picture.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use igpt_runtime::tools::{NO_PROCESSOR, Operator, Packing};
use igpt_runtime::{
    AutoImageProcessor, AutoModel, DecodedImage, Dtype, Error, Isa, LoadOptions, ModelConfig,
    ModelOutput, Task,
};

use crate::failure::{Blame as _, Failure, say};

/// What a model reads of a picture.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// An ImageGPT's.
    Tokens(Vec<u16>),
    /// A SegFormer's, `[channels, height, width]`.
    Pixels(Vec<f32>),
}

impl Input {
    /// Its tokens, if that is what it is made of.
    pub fn tokens(&self) -> &[u16] {
        match self {
            Self::Tokens(tokens) => tokens,
            Self::Pixels(_) => &[],
        }
    }

    /// Its pixel values, if that is what it is made of.
    pub fn pixels(&self) -> &[f32] {
        match self {
            Self::Tokens(_) => &[],
            Self::Pixels(values) => values,
        }
    }
}

impl From<AutoModel> for LoadedModel {
    fn from(model: AutoModel) -> Self {
        let config = model.config();
        Self { model, config }
    }
}

/// A model file that was loaded.
#[derive(Debug)]
pub struct LoadedModel {
    model: AutoModel,
    config: ModelConfig,
}

impl LoadedModel {
    /// Loads a model file, and says so if that took longer than it has to.
    ///
    /// # Errors
    /// A file that cannot be used (bad input).
    pub fn load(path: &Path, options: &LoadOptions) -> Result<Self, Failure> {
        let model = AutoModel::load(path, options).bad_input()?;
        if let Some(notice) = model.repacked() {
            say(&format!("{}: {notice}", path.display()));
        }
        Ok(model.into())
    }

    /// The model itself.
    pub fn model(&self) -> &AutoModel {
        &self.model
    }

    /// The same, to keep.
    pub fn into_model(self) -> AutoModel {
        self.model
    }

    /// Its configuration.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// What the file is for.
    pub fn task(&self) -> Task {
        self.model.task()
    }

    /// How its linear layers are stored.
    pub fn dtype(&self) -> Dtype {
        self.model.dtype()
    }

    /// The instruction set in use.
    pub fn isa(&self) -> Isa {
        self.model.isa()
    }

    /// How its weights came into memory.
    pub fn packing(&self) -> Option<Packing> {
        match &self.model {
            AutoModel::ImageGpt(model) => Some(model.packing()),
            AutoModel::Segformer(model) => Some(model.packing()),
            _ => None,
        }
    }

    /// Starts or stops timing every operator; off at first.
    pub fn set_profiling(&self, on: bool) {
        match &self.model {
            AutoModel::ImageGpt(model) => model.set_profiling(on),
            AutoModel::Segformer(model) => model.set_profiling(on),
            _ => {}
        }
    }

    /// Time in each operator since the last call, summed over threads and runs.
    pub fn take_profile(&self) -> Vec<(Operator, Duration)> {
        match &self.model {
            AutoModel::ImageGpt(model) => model.take_profile(),
            AutoModel::Segformer(model) => model.take_profile(),
            _ => Vec::new(),
        }
    }

    /// The image processor, if the file has one.
    pub fn processor(&self) -> Option<AutoImageProcessor<'_>> {
        match &self.model {
            AutoModel::ImageGpt(model) => model.processor().map(AutoImageProcessor::ImageGpt),
            AutoModel::Segformer(model) => model.processor().map(AutoImageProcessor::Segformer),
            _ => None,
        }
    }

    /// What it reads of a picture.
    ///
    /// # Errors
    /// A file without an image processor, a picture too large for it.
    pub fn input(&self, image: &DecodedImage) -> anyhow::Result<Input> {
        match self.processor().context(NO_PROCESSOR)? {
            AutoImageProcessor::ImageGpt(processor) => {
                Ok(Input::Tokens(processor.tokens_from_image(image)?))
            }
            AutoImageProcessor::Segformer(processor) => {
                let (width, height) = (image.width(), image.height());
                let values = processor.pixel_values(image.rgb(), width, height)?;
                Ok(Input::Pixels(values))
            }
            _ => Err(anyhow::anyhow!(NO_PROCESSOR)),
        }
    }

    /// The logits of an input. One of the other family counts as empty, which is refused.
    ///
    /// # Errors
    /// An input that does not fit the model, activations that overflow.
    pub fn logits(&self, input: &Input) -> Result<Vec<f32>, Error> {
        match &self.model {
            AutoModel::ImageGpt(model) => model.logits(input.tokens()),
            AutoModel::Segformer(model) => model.logits(input.pixels()),
            _ => Ok(Vec::new()),
        }
    }

    /// The hidden states of an input, and its logits if there is a head.
    ///
    /// # Errors
    /// As [`LoadedModel::logits`].
    pub fn forward(&self, input: &Input) -> Result<ModelOutput, Error> {
        match &self.model {
            AutoModel::ImageGpt(model) => model.forward(&[input.tokens()]),
            AutoModel::Segformer(model) => model.forward(input.pixels()),
            _ => Ok(ModelOutput::default()),
        }
    }

    /// Channels of each of the hidden states.
    pub fn widths(&self) -> Vec<usize> {
        match &self.config {
            ModelConfig::ImageGpt(config) => vec![config.n_embd; config.n_layer + 1],
            ModelConfig::Segformer(config) => config.hidden_sizes.clone(),
            _ => Vec::new(),
        }
    }

    /// Logits of a prediction: labels, or colours of a language model.
    pub fn columns(&self) -> usize {
        match (&self.config, self.task()) {
            (ModelConfig::ImageGpt(config), Task::Causal) => config.num_colors(),
            (config, _) => config.num_labels(),
        }
    }
}
