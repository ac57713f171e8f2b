//! Reading the model file: its checksum, its metadata, its protobuf. See docs/model-format.md.

pub(crate) mod check;
mod family;
mod repack;
mod skeleton;
pub(crate) mod weights;

use std::path::Path;

use igpt_kernels::Panels;
use rayon::prelude::*;
use tract_onnx::pb;

use self::skeleton::Skeleton;
use self::weights::{Source, Weights};

pub use self::family::Family;

use crate::error::{Error, FormatError};
use crate::kind::{Dtype, Task};
use crate::lfs;
use crate::processor::{Backend, BackendError};

/// The last metadata entry up to its value: field 14, 22 bytes; key `igpt.crc32`; value of 8 bytes.
const CRC_ENTRY: &[u8; 16] = b"\x72\x16\x0a\x0aigpt.crc32\x12\x08";

/// A decoded and checked model file.
#[derive(Debug)]
pub(crate) struct ModelFile {
    pub(crate) name: String,
    pub(crate) task: Task,
    pub(crate) dtype: Dtype,
    pub(crate) family: Family,
    /// Without the initializers' values.
    pub(crate) proto: pb::ModelProto,
    pub(crate) weights: Weights,
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
                source: FormatError::Folder,
            });
        }
        Self::decode(&path.display().to_string(), Source::map(&file).map_err(io)?)
    }

    pub(crate) fn decode(name: &str, source: Source) -> Result<Self, Error> {
        let format = |source| Error::Format {
            name: name.into(),
            source,
        };
        let metadata = |key, found: &str, expected: &str| {
            format(FormatError::Metadata {
                key,
                found: found.into(),
                expected: expected.into(),
            })
        };
        let contents = |what| format(FormatError::Contents(what));
        if lfs::is_pointer(&source.bytes) {
            return Err(format(FormatError::LfsPointer));
        }
        check_crc(&source.bytes).map_err(format)?;
        let Skeleton { proto, raw_data } =
            Skeleton::read(&source.bytes).map_err(|e| format(FormatError::NotOnnx(e)))?;
        let value = |key: &str| {
            proto
                .metadata_props
                .iter()
                .find(|p| p.key == key)
                .map(|p| p.value.as_str())
        };
        let need =
            |key: &'static str| value(key).ok_or_else(|| format(FormatError::NoMetadata { key }));
        let number = need("igpt.format")?;
        let panels = match number {
            "1" => None,
            "2" => Some(need("igpt.panels")?),
            "3" | "4" | "5" => value("igpt.panels"),
            "inline" => return Err(format(FormatError::Inline)),
            found => {
                return Err(format(FormatError::Version {
                    found: found.into(),
                }));
            }
        };
        let backend = match value("igpt.processor") {
            // Files were PIL's before there was a choice, whatever class their config names.
            None if number != "3" => Backend::Pil,
            _ => {
                let name = need("igpt.processor")?;
                let parsed = name.parse();
                parsed.map_err(|_: BackendError| {
                    metadata("igpt.processor", &format!("{name:?}"), "pil or torchvision")
                })?
            }
        };
        let panels = panels
            .map(|name| {
                let parsed: Result<Panels, _> = name.parse();
                parsed.map_err(|_| metadata("igpt.panels", name, "columns x rows, such as 32x4"))
            })
            .transpose()?;
        let task = need("igpt.task")?;
        let task = Task::from_name(task)
            .ok_or_else(|| metadata("igpt.task", task, "classify, causal or features"))?;
        let dtype = need("igpt.dtype")?;
        let dtype = Dtype::from_name(dtype)
            .ok_or_else(|| metadata("igpt.dtype", dtype, "int8, int4 or f32"))?;
        let graph = proto.graph.as_ref();
        let graph = graph.ok_or_else(|| contents("no graph".into()))?;
        let described = family::Described {
            name,
            format: number,
            task,
            dtype,
            config: need("igpt.config")?,
            preprocessor: value("igpt.preprocessor"),
            exits: value("igpt.exits"),
            backend,
            graph,
        };
        let (family, expected) = described.read()?;
        let constants = expected
            .check(graph, panels, &source.bytes, &raw_data)
            .map_err(contents)?;
        Ok(Self {
            name: name.into(),
            task,
            dtype,
            family,
            proto,
            weights: Weights {
                constants,
                panels,
                source,
            },
        })
    }
}

/// The checksum covers every byte before its own entry, which is the last of the file.
fn check_crc(bytes: &[u8]) -> Result<(), FormatError> {
    let cut = bytes.len().saturating_sub(CRC_ENTRY.len() + 8);
    let (body, entry) = bytes.split_at(cut);
    let Some(stored) = entry.strip_prefix(CRC_ENTRY) else {
        return Err(FormatError::Unsealed {
            length: bytes.len(),
        });
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
        Err(FormatError::Checksum {
            found,
            expected: String::from_utf8_lossy(stored).into_owned(),
        })
    }
}
