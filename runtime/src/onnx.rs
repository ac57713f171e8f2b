//! Reading the model file: its checksum, its metadata, its protobuf. See docs/model-format.md.

mod check;
mod repack;
mod skeleton;
pub(crate) mod weights;

use std::collections::BTreeMap;
use std::path::Path;

use igpt_kernels::Panels;
use rayon::prelude::*;
pub use tract_onnx::pb;

use self::skeleton::Skeleton;
use self::weights::{Source, Weights};

use crate::config::ImageGptConfig;
use crate::error::Error;
use crate::lfs;
use crate::processor::{Backend, BackendError, ImageGptImageProcessor};

/// The last metadata entry up to its value: field 14, 22 bytes; key `igpt.crc32`; value of 8 bytes.
const CRC_ENTRY: &[u8; 16] = b"\x72\x16\x0a\x0aigpt.crc32\x12\x08";

/// A file whose operators were written out, and what to do.
const INLINE: &str = "igpt.format is inline: `igpt quantize --inline` wrote it for other runtimes, in standard \
                      operators that this one has no kernels for; convert the checkpoint without --inline";

const FOLDER: &str =
    "is a folder, expected a model file; of a checkpoint `igpt quantize` makes one";

/// What a file is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// Class logits of a whole image.
    Classify,
    /// Logits of the next token at every token.
    Causal,
    /// Hidden states only.
    Features,
}

impl Task {
    /// The name in the metadata and on a command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Classify => "classify",
            Self::Causal => "causal",
            Self::Features => "features",
        }
    }
}

/// How the linear layers of a file are stored and computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dtype {
    /// int8 weights, int8 or uint8 activations, float16 embeddings.
    Int8,
    /// As int8, but the blocks' weights are int4 with a multiplier for each group of rows.
    Int4,
    /// f32 throughout.
    F32,
}

impl Dtype {
    /// The name in the metadata and on a command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Int8 => "int8",
            Self::Int4 => "int4",
            Self::F32 => "f32",
        }
    }
}

/// A decoded and checked model file.
#[derive(Debug)]
pub(crate) struct ModelFile {
    pub(crate) name: String,
    pub(crate) task: Task,
    pub(crate) dtype: Dtype,
    pub(crate) config: ImageGptConfig,
    pub(crate) processor: Option<ImageGptImageProcessor>,
    /// Without the initializers' values.
    pub(crate) proto: pb::ModelProto,
    pub(crate) weights: Weights,
}

/// What a model file says of itself, checked as loading checks it, without the values of its weights.
#[derive(Debug)]
pub struct Description {
    /// What the file is for.
    pub task: Task,
    /// How its linear layers are stored.
    pub dtype: Dtype,
    /// The model's configuration.
    pub config: ImageGptConfig,
    /// How an image becomes its tokens, if the file says it.
    pub processor: Option<ImageGptImageProcessor>,
    /// The file with its initializers' values left out.
    pub proto: pb::ModelProto,
    /// Bytes of the values of each initializer, by its name.
    pub weight_bytes: BTreeMap<String, usize>,
}

/// Reads what a model file says of itself. Its weights stay in the file.
///
/// # Errors
/// As [`crate::ImageGptModel::load`], but for what is wrong with the weights' values.
pub fn describe(path: &Path) -> Result<Description, Error> {
    let file = ModelFile::open(path)?;
    let constants = file.weights.constants.into_iter();
    Ok(Description {
        task: file.task,
        dtype: file.dtype,
        config: file.config,
        processor: file.processor,
        proto: file.proto,
        weight_bytes: constants
            .map(|(name, constant)| (name, constant.bytes.len()))
            .collect(),
    })
}

impl ModelFile {
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let io = |source| Error::Io {
            path: path.into(),
            source,
        };
        let file = std::fs::File::open(path).map_err(io)?;
        if path.is_dir() {
            return Err(Error::Format {
                name: path.display().to_string(),
                what: FOLDER.into(),
            });
        }
        Self::decode(&path.display().to_string(), Source::map(&file).map_err(io)?)
    }

    pub(crate) fn decode(name: &str, source: Source) -> Result<Self, Error> {
        let format = |what: String| Error::Format {
            name: name.into(),
            what,
        };
        if lfs::is_pointer(&source.bytes) {
            return Err(format(lfs::MESSAGE.into()));
        }
        check_crc(&source.bytes).map_err(format)?;
        let Skeleton { proto, raw_data } =
            Skeleton::read(&source.bytes).map_err(|e| format(format!("not an ONNX file: {e}")))?;
        let value = |key: &str| {
            proto
                .metadata_props
                .iter()
                .find(|p| p.key == key)
                .map(|p| p.value.as_str())
        };
        let need = |key: &str| value(key).ok_or_else(|| format(format!("metadata has no {key}")));
        let number = need("igpt.format")?;
        let panels = match number {
            "1" => None,
            "2" => Some(need("igpt.panels")?),
            "3" => value("igpt.panels"),
            "inline" => return Err(format(INLINE.into())),
            found => {
                return Err(format(format!(
                    "igpt.format is {found}, this build reads 1, 2 and 3"
                )));
            }
        };
        let backend = match value("igpt.processor") {
            // Files were PIL's before there was a choice, whatever class their config names.
            None if number != "3" => Backend::Pil,
            _ => {
                let parsed = need("igpt.processor")?.parse();
                parsed.map_err(|e: BackendError| format(format!("igpt.processor: {e}")))?
            }
        };
        let panels: Option<Panels> = panels
            .map(|name| {
                let parsed = name.parse();
                parsed.map_err(|e| format(format!("igpt.panels is {name}: {e}")))
            })
            .transpose()?;
        let task = need("igpt.task")?;
        let task = [Task::Classify, Task::Causal, Task::Features]
            .into_iter()
            .find(|t| t.name() == task)
            .ok_or_else(|| {
                format(format!(
                    "igpt.task is {task}, expected classify, causal or features"
                ))
            })?;
        let dtype = need("igpt.dtype")?;
        let dtype = [Dtype::Int8, Dtype::Int4, Dtype::F32]
            .into_iter()
            .find(|d| d.name() == dtype)
            .ok_or_else(|| format(format!("igpt.dtype is {dtype}, expected int8, int4 or f32")))?;
        let config =
            ImageGptConfig::from_json(need("igpt.config")?).map_err(|source| Error::Config {
                name: name.into(),
                source,
            })?;
        if task == Task::Causal {
            config.check_causal().map_err(|source| Error::Config {
                name: name.into(),
                source,
            })?;
        }
        let processor = value("igpt.preprocessor")
            .map(|json| ImageGptImageProcessor::from_json_as(json, Some(backend)))
            .transpose()
            .map_err(|source| Error::Processor {
                name: name.into(),
                source,
            })?;
        if let Some(processor) = &processor {
            check_processor(processor, &config).map_err(format)?;
        }
        let graph = proto.graph.as_ref();
        let graph = graph.ok_or_else(|| format("no graph".into()))?;
        let expected = check::Expected {
            config: &config,
            task,
            dtype,
            head_bias: graph.initializer.iter().any(|t| t.name == "score.bias"),
            panels,
        };
        let constants = expected
            .check(graph, &source.bytes, &raw_data)
            .map_err(format)?;
        Ok(Self {
            name: name.into(),
            task,
            dtype,
            config,
            processor,
            proto,
            weights: Weights {
                constants,
                panels,
                source,
            },
        })
    }
}

/// Every colour must be a token, and every pixel must have a position.
fn check_processor(
    processor: &ImageGptImageProcessor,
    config: &ImageGptConfig,
) -> Result<(), String> {
    if !processor.config().do_color_quantize {
        return Err(
            "igpt.preprocessor has do_color_quantize = false, expected true: pixels are no tokens"
                .into(),
        );
    }
    let (colors, expected) = (processor.clusters().len(), config.num_colors());
    if colors != expected {
        return Err(format!(
            "igpt.preprocessor has {colors} clusters, expected vocab_size - 1 = {expected}"
        ));
    }
    let (height, width) = processor.size();
    if height * width > config.n_positions {
        return Err(format!(
            "igpt.preprocessor makes {height} x {width} tokens, the model has {} positions",
            config.n_positions
        ));
    }
    Ok(())
}

/// The checksum covers every byte before its own entry, which is the last of the file.
fn check_crc(bytes: &[u8]) -> Result<(), String> {
    let cut = bytes.len().saturating_sub(CRC_ENTRY.len() + 8);
    let (body, entry) = bytes.split_at(cut);
    let Some(stored) = entry.strip_prefix(CRC_ENTRY) else {
        return Err(format!(
            "{} bytes that do not end in an igpt.crc32 entry: truncated, or not a model file of ours",
            bytes.len()
        ));
    };
    // In pieces, one a thread at a time: a model is tens of megabytes.
    let sum = body
        .par_chunks(1 << 20)
        .map(|piece| {
            let mut sum = crc32fast::Hasher::new();
            sum.update(piece);
            sum
        })
        .reduce_with(|mut left, right| {
            left.combine(&right);
            left
        })
        .unwrap_or_default();
    let found = format!("{:08x}", sum.finalize());
    if found.as_bytes() == stored {
        Ok(())
    } else {
        Err(format!(
            "checksum {found}, expected {}: the file was altered",
            String::from_utf8_lossy(stored)
        ))
    }
}
