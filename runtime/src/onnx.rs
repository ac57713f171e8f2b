//! Reading the model file: its checksum, its metadata, its protobuf. See docs/model-format.md.

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

/// A decoded and checked model file.
#[derive(Debug)]
pub(crate) struct ModelFile {
    pub(crate) name: String,
    pub(crate) task: Task,
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
        // SAFETY: the map is only read, and dropped before this returns. Should another process shorten the file meanwhile, the
        // system ends this one: that is the price of every memory map.
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
        Ok(Self {
            name: name.into(),
            task,
            config,
            processor,
            proto,
        })
    }
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
