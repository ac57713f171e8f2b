//! The constants of a file, each where it lies: in a memory map, in the program, or in memory that was handed
//! over.

use std::collections::BTreeMap;
use std::fs::File;
use std::sync::Arc;

use bytes::Bytes;
use igpt_kernels::Panels;
use memmap2::{Mmap, UncheckedAdvice};
use tract_onnx::pb::tensor_proto::DataType;

/// One constant, as the configuration and its check say it is.
#[derive(Clone, Debug)]
pub(crate) struct Constant {
    /// As the configuration has it: of a weight `[k, n]`, however it lies.
    pub(crate) dims: Vec<usize>,
    /// As the file has them.
    pub(crate) kind: DataType,
    /// The values, little-endian; of a weight in panels, in their order.
    pub(crate) bytes: Bytes,
}

/// Every constant of a file.
#[derive(Debug)]
pub(crate) struct Weights {
    pub(crate) constants: BTreeMap<String, Constant>,
    /// How int8 weights lie; row-major if absent.
    pub(crate) panels: Option<Panels>,
    pub(crate) source: Source,
}

/// The bytes of a file.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) bytes: Bytes,
    map: Option<Arc<Mmap>>,
}

/// Lets [`Bytes`] own a share of a map.
pub(super) struct Share(pub(super) Arc<Mmap>);

impl AsRef<[u8]> for Share {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl From<Bytes> for Source {
    fn from(bytes: Bytes) -> Self {
        Self { bytes, map: None }
    }
}

impl Source {
    /// # Errors
    /// What the system says.
    pub(crate) fn map(file: &File) -> std::io::Result<Self> {
        let metadata = file.metadata()?;
        if metadata.is_dir() {
            return Err(std::io::ErrorKind::IsADirectory.into());
        }
        if metadata.len() == 0 {
            return Ok(Bytes::new().into());
        }
        // SAFETY: the map is only read. Sound only while no other process writes the file in place, as every
        // memory map of a file is; models are replaced by renaming (docs/model-format.md), and one that is
        // cut short ends this process with SIGBUS rather than with wrong weights.
        let map = Arc::new(unsafe { Mmap::map(file) }?);
        Ok(Self {
            bytes: Bytes::from_owner(Share(map.clone())),
            map: Some(map),
        })
    }

    /// Tells the system that a part of the file is not needed any more, so that it and a copy of it are not
    /// in memory at once.
    pub(crate) fn release(&self, part: &[u8]) {
        const PAGE: usize = 4096;
        let Some(map) = &self.map else { return };
        let start = (part.as_ptr() as usize).saturating_sub(map.as_ptr() as usize);
        if start + part.len() > map.len() {
            return;
        }
        // Whole pages inside it: its neighbours may still be wanted.
        let (start, end) = (
            start.next_multiple_of(PAGE),
            (start + part.len()) / PAGE * PAGE,
        );
        if start < end {
            // SAFETY: the map is a file's, shared and never written: pages let go are read from the file
            // again when touched.
            let advised = unsafe {
                map.unchecked_advise_range(UncheckedAdvice::DontNeed, start, end - start)
            };
            // Advice that is not taken costs memory, nothing else.
            drop(advised);
        }
    }
}
