//! Which family a file is of, and what of its metadata is the family's: configuration and image processor.

use tract_onnx::pb::GraphProto;
use tract_onnx::pb::tensor_shape_proto::dimension;
use tract_onnx::pb::type_proto;

use super::check::Expected;
use crate::auto::ModelConfig;
use crate::config::{ConfigError, ImageGptConfig, SegformerConfig};
use crate::error::{Error, FormatError};
use crate::imagegpt::{Exits, Graph as ImageGptGraph};
use crate::kind::{Dtype, Task};
use crate::processor::{Backend, ImageGptImageProcessor, ProcessorError};
use crate::segformer::{Graph as SegformerGraph, MAX_PIXELS, SegformerImageProcessor};

/// A family's configuration, and its image processor if the file has one.
#[derive(Debug)]
pub enum Family {
    /// Of `model_type` `imagegpt`.
    ImageGpt {
        /// The model's configuration.
        config: ImageGptConfig,
        /// How an image becomes its tokens, if the file says it.
        processor: Option<ImageGptImageProcessor>,
        /// Where a probe may speak for it, if the file has probes.
        exits: Option<Exits>,
    },
    /// Of `model_type` `segformer`.
    Segformer {
        /// The model's configuration.
        config: SegformerConfig,
        /// How an image becomes its input, if the file says it.
        processor: Option<SegformerImageProcessor>,
        /// (height, width) of the input in pixels.
        size: (usize, usize),
    },
}

/// What a file's metadata say, as text, and its graph.
pub(super) struct Described<'a> {
    pub(super) name: &'a str,
    /// The number of its format, from 1 to 5: 4 is what families beside ImageGPT have, 5 an ImageGPT with exits, so that older
    /// readers refuse them.
    pub(super) format: &'a str,
    pub(super) task: Task,
    pub(super) dtype: Dtype,
    pub(super) config: &'a str,
    pub(super) preprocessor: Option<&'a str>,
    pub(super) exits: Option<&'a str>,
    pub(super) backend: Backend,
    pub(super) graph: &'a GraphProto,
}

impl Described<'_> {
    /// The family, and what the graph must hold.
    pub(super) fn read(&self) -> Result<(Family, Expected), Error> {
        let config = ModelConfig::from_json(self.config).map_err(|e| self.config_error(e))?;
        let (numbers, with) = match (&config, self.exits) {
            (ModelConfig::ImageGpt(_), None) => ("1, 2 or 3", ""),
            (ModelConfig::ImageGpt(_), Some(_)) => ("5", " with igpt.exits"),
            (ModelConfig::Segformer(_), _) => ("4", ""),
        };
        if !numbers.contains(self.format) {
            let family = config.model_type();
            let expected = format!("{numbers} in a file of model_type {family}{with}");
            return Err(self.metadata("igpt.format", self.format, &expected));
        }
        match config {
            ModelConfig::ImageGpt(config) => self.imagegpt(config),
            ModelConfig::Segformer(config) => self.segformer(config),
        }
    }

    fn imagegpt(&self, config: ImageGptConfig) -> Result<(Family, Expected), Error> {
        if self.task == Task::Causal {
            config.check_causal().map_err(|e| self.config_error(e))?;
        }
        let read = |json| ImageGptImageProcessor::from_json_as(json, Some(self.backend));
        let processor = self.preprocessor.map(read).transpose();
        let processor = processor.map_err(|e| self.processor_error(e))?;
        if let Some(processor) = &processor {
            let checked = processor.check_config(&config);
            checked.map_err(|what| self.contents(format!("igpt.preprocessor {what}")))?;
        }
        let exits = self
            .exits
            .map(|json| Exits::from_json(json, config.n_layer));
        let exits = exits
            .transpose()
            .map_err(|what| self.contents(format!("igpt.exits: {what}")))?;
        if exits.is_some() && self.task != Task::Classify {
            let expected = "classify in a file with igpt.exits";
            return Err(self.metadata("igpt.task", self.task.name(), expected));
        }
        let graph = ImageGptGraph {
            config: &config,
            exits: exits.as_ref().map_or(&[], |exits| &exits.layers),
            task: self.task,
            dtype: self.dtype,
            head_bias: self
                .graph
                .initializer
                .iter()
                .any(|t| t.name == "score.bias"),
        };
        let expected = graph.expected();
        let family = Family::ImageGpt {
            config,
            processor,
            exits,
        };
        Ok((family, expected))
    }

    fn segformer(&self, config: SegformerConfig) -> Result<(Family, Expected), Error> {
        if self.task == Task::Causal {
            let expected = "classify or features: a segformer has no language model's head";
            return Err(self.metadata("igpt.task", self.task.name(), expected));
        }
        if self.dtype == Dtype::Int4 {
            let expected = "int8 or f32 in a file of a segformer";
            return Err(self.metadata("igpt.dtype", self.dtype.name(), expected));
        }
        let read = |json| SegformerImageProcessor::from_json_as(json, Some(self.backend));
        let processor = self.preprocessor.map(read).transpose();
        let processor = processor.map_err(|e| self.processor_error(e))?;
        let graph = SegformerGraph {
            config: &config,
            task: self.task,
            dtype: self.dtype,
        };
        let expected = graph.expected();
        let size = self
            .input_size(config.num_channels)
            .map_err(|what| self.contents(what))?;
        config
            .grids(size.0, size.1)
            .map_err(|e| self.config_error(e))?;
        if let Some(processor) = &processor {
            config.check_rgb().map_err(|e| self.config_error(e))?;
            if processor.size() != size {
                let (found, expected) = (processor.size(), size);
                return Err(self.contents(format!(
                    "igpt.preprocessor makes pictures of {} x {}, the graph's input is {} x {} (height x width)",
                    found.0, found.1, expected.0, expected.1
                )));
            }
        }
        let family = Family::Segformer {
            config,
            processor,
            size,
        };
        Ok((family, expected))
    }

    /// (height, width) of the graph's one input, `[batch, channels, height, width]`.
    fn input_size(&self, channels: usize) -> Result<(usize, usize), String> {
        let shape = match self
            .graph
            .input
            .first()
            .and_then(|input| input.r#type.as_ref())
        {
            Some(ty) => match &ty.value {
                Some(type_proto::Value::TensorType(tensor)) => tensor.shape.as_ref(),
                None => None,
            },
            None => None,
        };
        let dims = shape.map_or(&[][..], |shape| &shape.dim);
        let number = |i: usize| match dims.get(i)?.value.as_ref()? {
            dimension::Value::DimValue(n) => usize::try_from(*n).ok(),
            dimension::Value::DimParam(_) => None,
        };
        let found: Vec<String> = (0..dims.len())
            .map(|i| number(i).map_or_else(|| "a symbol".to_owned(), |n| n.to_string()))
            .collect();
        let wrong = || {
            format!(
                "the graph's input has the shape [{}], expected [batch, {channels}, height, width] in numbers, \
                 at most {MAX_PIXELS} pixels",
                found.join(", ")
            )
        };
        let [None, Some(c), Some(height), Some(width)] = [0, 1, 2, 3].map(number) else {
            return Err(wrong());
        };
        let pixels = height.checked_mul(width);
        let fits = pixels.is_some_and(|n| (1..=MAX_PIXELS).contains(&n));
        if dims.len() != 4 || c != channels || !fits {
            return Err(wrong());
        }
        Ok((height, width))
    }

    fn metadata(&self, key: &'static str, found: &str, expected: &str) -> Error {
        Error::Format {
            name: self.name.into(),
            source: FormatError::Metadata {
                key,
                found: found.into(),
                expected: expected.into(),
            },
        }
    }

    fn contents(&self, what: String) -> Error {
        Error::Format {
            name: self.name.into(),
            source: FormatError::Contents(what),
        }
    }

    fn config_error(&self, source: ConfigError) -> Error {
        Error::Config {
            name: self.name.into(),
            source,
        }
    }

    fn processor_error(&self, source: ProcessorError) -> Error {
        Error::Processor {
            name: self.name.into(),
            source,
        }
    }
}
