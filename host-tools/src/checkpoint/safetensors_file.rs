//! `model.safetensors`: header and bounds are checked by the `safetensors` crate, the bytes stay mapped.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use memmap2::Mmap;
use safetensors::SafeTensors;
use safetensors::tensor::Dtype as FileDtype;

use super::error::CheckpointError;
use super::tensor::{Dtype, TensorView};

struct Record {
    dtype: FileDtype,
    shape: Vec<usize>,
    range: Range<usize>,
}

/// An opened file: its tensors' records.
pub(super) struct SafetensorsFile {
    tensors: BTreeMap<String, Record>,
}

impl SafetensorsFile {
    /// Reads the header; no weights.
    pub(super) fn open(path: &Path, map: &Mmap) -> Result<Self, CheckpointError> {
        let malformed = |message: String| CheckpointError::Malformed {
            path: path.to_owned(),
            message,
        };
        let (header, metadata) = SafeTensors::read_metadata(map)
            .map_err(|e| malformed(format!("not a safetensors file: {e}")))?;
        // The data begin after the header's length (8 bytes) and the header.
        let start = header
            .checked_add(8)
            .ok_or_else(|| malformed("the header's length overflows".into()))?;
        let mut tensors = BTreeMap::new();
        for (name, info) in metadata.tensors() {
            let (from, to) = info.data_offsets;
            let range = start
                .checked_add(from)
                .zip(start.checked_add(to))
                .map(|(from, to)| from..to);
            let range = range
                .filter(|range| map.get(range.clone()).is_some())
                .ok_or_else(|| {
                    malformed(format!(
                        "tensor `{name}` ends at byte {to} of the data, the file has {}",
                        map.len()
                    ))
                })?;
            tensors.insert(
                name,
                Record {
                    dtype: info.dtype,
                    shape: info.shape.clone(),
                    range,
                },
            );
        }
        Ok(Self { tensors })
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &String> {
        self.tensors.keys()
    }

    /// The tensor's shape, known without touching its bytes.
    pub(super) fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(|record| record.shape.as_slice())
    }

    /// `name`'s view; the error is a message about this one tensor.
    pub(super) fn tensor<'a>(
        &self,
        map: &'a Mmap,
        name: &str,
    ) -> Option<Result<TensorView<'a>, String>> {
        let record = self.tensors.get(name)?;
        let dtype = match record.dtype {
            FileDtype::F64 => Dtype::F64,
            FileDtype::F32 => Dtype::F32,
            FileDtype::F16 => Dtype::F16,
            FileDtype::BF16 => Dtype::BF16,
            other => {
                return Some(Err(format!(
                    "its elements are {other:?}, expected F64, F32, F16 or BF16"
                )));
            }
        };
        let bytes = map.get(record.range.clone()).map(Cow::Borrowed);
        let bytes = bytes.ok_or_else(|| "it lies outside the file".to_owned());
        Some(bytes.map(|bytes| TensorView {
            dtype,
            shape: record.shape.clone(),
            bytes,
        }))
    }
}
