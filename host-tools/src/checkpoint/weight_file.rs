//! One file of weights, mapped into memory, whichever library wrote it.

use std::fs::File;
use std::path::{Path, PathBuf};

use igpt_runtime::tools::lfs;
use memmap2::{Mmap, UncheckedAdvice};

use super::error::CheckpointError;
use super::safetensors_file::SafetensorsFile;
use super::tensor::TensorView;
use super::torch_file::TorchFile;

/// An opened file.
pub(super) struct WeightFile {
    pub(super) path: PathBuf,
    map: Mmap,
    kind: Kind,
}

enum Kind {
    Safetensors(SafetensorsFile),
    Torch(TorchFile),
}

impl WeightFile {
    /// Maps the file and reads its header.
    pub(super) fn open(path: &Path) -> Result<Self, CheckpointError> {
        let io = |source| CheckpointError::Io {
            path: path.to_owned(),
            source,
        };
        let file = File::open(path).map_err(io)?;
        // SAFETY: the mapping is read-only and private to this struct. Should another process truncate the
        // file meanwhile, access ends in SIGBUS, as with any mapped file; it cannot corrupt our memory.
        let map = unsafe { Mmap::map(&file) }.map_err(io)?;
        if lfs::is_pointer(&map) {
            return Err(CheckpointError::LfsPointer {
                path: path.to_owned(),
            });
        }
        let kind = if is_torch(path, &map) {
            Kind::Torch(TorchFile::open(path, &map)?)
        } else {
            Kind::Safetensors(SafetensorsFile::open(path, &map)?)
        };
        Ok(Self {
            path: path.to_owned(),
            map,
            kind,
        })
    }

    /// Its size.
    pub(super) fn bytes(&self) -> u64 {
        self.map.len() as u64
    }

    /// Tells the system that nothing of the file is needed for now: it counts as this process's memory
    /// otherwise, all of it at the end of a conversion. The whole map, because what a tensor touched may be
    /// more than its bytes.
    pub(super) fn release(&self) {
        // SAFETY: the map is a file's and never written: pages let go are read from the file again when
        // touched.
        let advised = unsafe { self.map.unchecked_advise(UncheckedAdvice::DontNeed) };
        // Advice that is not taken costs memory, nothing else.
        drop(advised);
    }

    pub(super) fn names(&self) -> Vec<String> {
        match &self.kind {
            Kind::Safetensors(file) => file.names().cloned().collect(),
            Kind::Torch(file) => file.names().cloned().collect(),
        }
    }

    pub(super) fn shape(&self, name: &str) -> Option<&[usize]> {
        match &self.kind {
            Kind::Safetensors(file) => file.shape(name),
            Kind::Torch(file) => file.shape(name),
        }
    }

    pub(super) fn tensor(&self, name: &str) -> Option<Result<TensorView<'_>, String>> {
        match &self.kind {
            Kind::Safetensors(file) => file.tensor(&self.map, name),
            Kind::Torch(file) => file.tensor(&self.map, name),
        }
    }
}

/// Whether a file is torch's, by its content, or by its name where that does not say it.
fn is_torch(path: &Path, map: &[u8]) -> bool {
    // After the length of its header, 8 bytes, a safetensors file begins with JSON.
    let safetensors = map.get(8) == Some(&b'{');
    let named = path.extension().is_some_and(|extension| extension == "bin");
    map.starts_with(b"PK\x03\x04") || (named && !safetensors)
}
