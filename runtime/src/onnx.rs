//! Reading the model file: its checksum, its metadata, its protobuf. See docs/model-format.md.

mod check;

use std::path::Path;

use prost::Message as _;
pub use tract_onnx::pb;

use crate::config::ImageGptConfig;
use crate::error::Error;
use crate::processor::ImageGptImageProcessor;

/// The last metadata entry up to its value: field 14, 22 bytes; key `igpt.crc32`; value of 8 bytes.
const CRC_ENTRY: &[u8; 16] = b"\x72\x16\x0a\x0aigpt.crc32\x12\x08";

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
    /// f32 throughout.
    F32,
}

impl Dtype {
    /// The name in the metadata and on a command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Int8 => "int8",
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
    pub(crate) proto: pb::ModelProto,
}

impl ModelFile {
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let io = |source| Error::Io {
            path: path.into(),
            source,
        };
        let file = std::fs::File::open(path).map_err(io)?;
        if file.metadata().map_err(io)?.len() == 0 {
            return Self::decode(&path.display().to_string(), &[]);
        }
        // SAFETY: the map is only read, and dropped before this returns: what is kept is copied out of it. Sound only while no other
        // process writes the file in place, as every memory map of a file is; models are replaced by renaming (see the
        // firmware's boot guard), and one that was cut short ends this process with SIGBUS rather than with wrong weights.
        let bytes = unsafe { memmap2::Mmap::map(&file) }.map_err(io)?;
        Self::decode(&path.display().to_string(), &bytes)
    }

    pub(crate) fn decode(name: &str, bytes: &[u8]) -> Result<Self, Error> {
        let format = |what: String| Error::Format {
            name: name.into(),
            what,
        };
        check_crc(bytes).map_err(format)?;
        let proto =
            pb::ModelProto::decode(bytes).map_err(|e| format(format!("not an ONNX file: {e}")))?;
        let value = |key: &str| {
            proto
                .metadata_props
                .iter()
                .find(|p| p.key == key)
                .map(|p| p.value.as_str())
        };
        let need = |key: &str| value(key).ok_or_else(|| format(format!("metadata has no {key}")));
        match need("igpt.format")? {
            "1" => {}
            found => {
                return Err(format(format!(
                    "igpt.format is {found}, this build reads 1"
                )));
            }
        }
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
        let dtype = [Dtype::Int8, Dtype::F32]
            .into_iter()
            .find(|d| d.name() == dtype)
            .ok_or_else(|| format(format!("igpt.dtype is {dtype}, expected int8 or f32")))?;
        let config =
            ImageGptConfig::from_json(need("igpt.config")?).map_err(|source| Error::Config {
                name: name.into(),
                source,
            })?;
        let processor = value("igpt.preprocessor")
            .map(ImageGptImageProcessor::from_json)
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
        };
        expected.check(graph).map_err(format)?;
        Ok(Self {
            name: name.into(),
            task,
            dtype,
            config,
            processor,
            proto,
        })
    }
}

/// Every colour must be a token, and every pixel must have a position.
fn check_processor(
    processor: &ImageGptImageProcessor,
    config: &ImageGptConfig,
) -> Result<(), String> {
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
    let found = format!("{:08x}", crc32fast::hash(body));
    if found.as_bytes() == stored {
        Ok(())
    } else {
        Err(format!(
            "checksum {found}, expected {}: the file was altered",
            String::from_utf8_lossy(stored)
        ))
    }
}
