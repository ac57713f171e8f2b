//! `pytorch_model.bin`: a zip archive of one pickle and one entry per storage, read without executing it.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::io::{Cursor, Read};
use std::ops::Range;
use std::path::Path;

use memmap2::Mmap;
use zip::{CompressionMethod, ZipArchive};

use super::error::CheckpointError;
use super::pickle_value::{Elements, Fault, RawTensor};
use super::state_dict;
use super::tensor::{Dtype, TensorView, element_count};

/// Far above the pickle of any ImageGPT (a few tens of KB): it holds names and shapes only.
const PICKLE_LIMIT: u64 = 16 << 20;

/// One storage's place in the archive.
struct Entry {
    /// Where the (possibly compressed) bytes lie in the file.
    range: Range<usize>,
    index: usize,
    stored: bool,
    /// Uncompressed bytes.
    size: u64,
    /// None if the archive was written without checksums.
    crc: Option<u32>,
}

/// The archive's entries that matter.
#[derive(Default)]
struct Directory {
    pickle: Option<Entry>,
    byteorder: Option<Entry>,
    /// By their keys in the pickle.
    storages: HashMap<String, Entry>,
    /// Whether it holds a program, as `torch.jit.save` writes them.
    script: bool,
}

/// An opened archive: its tensors' records and where their storages lie.
pub(super) struct TorchFile {
    tensors: BTreeMap<String, RawTensor>,
    entries: HashMap<String, Entry>,
}

impl TorchFile {
    /// Reads the directory and the pickle; no weights.
    pub(super) fn open(path: &Path, map: &Mmap) -> Result<Self, CheckpointError> {
        let malformed = |message: String| CheckpointError::Malformed {
            path: path.to_owned(),
            message,
        };
        if map.first() == Some(&0x80) {
            return Err(malformed(
                "the format torch.save had before PyTorch 1.6 (a bare pickle), expected a zip archive: \
                 load it and save it again, with torch.save(torch.load(FILE, weights_only=True), FILE)"
                    .into(),
            ));
        }
        let Directory {
            pickle,
            byteorder,
            storages: entries,
            script,
        } = Directory::read(map).map_err(malformed)?;
        if script {
            return Err(malformed(
                "a TorchScript program (torch.jit.save), expected a state dict: save the model's, with \
                 torch.save(model.state_dict(), \"pytorch_model.bin\")"
                    .into(),
            ));
        }
        if let Some(entry) = byteorder {
            let order = bytes_of(map, &entry).map_err(|e| malformed(format!("byteorder: {e}")))?;
            if order.trim_ascii() != b"little" {
                let order = String::from_utf8_lossy(order.get(..16).unwrap_or(&order)).into_owned();
                return Err(malformed(format!(
                    "byteorder is {order:?}, expected \"little\""
                )));
            }
        }
        let pickled = pickle.ok_or_else(|| malformed("the archive has no data.pkl".into()))?;
        if pickled.size > PICKLE_LIMIT {
            return Err(malformed(format!(
                "data.pkl is {} bytes, expected at most {PICKLE_LIMIT}",
                pickled.size
            )));
        }
        let pickle = bytes_of(map, &pickled).map_err(|e| malformed(format!("data.pkl: {e}")))?;
        let records = state_dict::load(&pickle).map_err(|fault| match fault {
            Fault::Forbidden(global) => CheckpointError::ForbiddenGlobal {
                path: path.to_owned(),
                global,
            },
            Fault::At(offset, message) => CheckpointError::Pickle {
                path: path.to_owned(),
                offset,
                message,
            },
        })?;
        let mut tensors = BTreeMap::new();
        for (name, tensor) in records {
            if tensors.insert(name.clone(), tensor).is_some() {
                return Err(malformed(format!("tensor `{name}` is there twice")));
            }
        }
        Ok(Self { tensors, entries })
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &String> {
        self.tensors.keys()
    }

    /// The tensor's shape, known without touching its bytes.
    pub(super) fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(|tensor| tensor.shape.as_slice())
    }

    /// `name`'s view; the error is a message about this one tensor.
    pub(super) fn tensor<'a>(
        &self,
        map: &'a Mmap,
        name: &str,
    ) -> Option<Result<TensorView<'a>, String>> {
        self.tensors.get(name).map(|tensor| self.view(map, tensor))
    }

    fn view<'a>(&self, map: &'a Mmap, tensor: &RawTensor) -> Result<TensorView<'a>, String> {
        let storage = &tensor.storage;
        let dtype = match storage.elements {
            Elements::F64 => Dtype::F64,
            Elements::F32 => Dtype::F32,
            Elements::F16 => Dtype::F16,
            Elements::BF16 => Dtype::BF16,
            Elements::Other(name) => {
                return Err(format!(
                    "its elements are {name}, expected f64, f32, f16 or bf16"
                ));
            }
        };
        let key = &storage.key;
        let entry = self
            .entries
            .get(key)
            .ok_or_else(|| format!("the archive has no storage data/{key}"))?;
        let expected = storage.numel.checked_mul(dtype.size());
        if expected.and_then(|n| u64::try_from(n).ok()) != Some(entry.size) {
            return Err(format!(
                "storage data/{key} is {} bytes, expected {} elements of {dtype}",
                entry.size, storage.numel
            ));
        }
        let layout = Layout::new(tensor)?;
        let bytes = bytes_of(map, entry).map_err(|e| format!("storage data/{key}: {e}"))?;
        let bytes = layout
            .gather(bytes, dtype.size())
            .ok_or("its strides leave its storage")?;
        let bytes = match tensor.negated {
            true => Cow::Owned(negated(bytes.into_owned(), dtype.size())),
            false => bytes,
        };
        Ok(TensorView {
            dtype,
            shape: tensor.shape.clone(),
            bytes,
        })
    }
}

impl Directory {
    fn read(map: &Mmap) -> Result<Self, String> {
        let zipped = |e: zip::result::ZipError| format!("not a zip archive of torch.save: {e}");
        let mut archive = ZipArchive::new(Cursor::new(&map[..])).map_err(zipped)?;
        let mut directory = Self::default();
        let (mut summed, mut others) = (false, false);
        for index in 0..archive.len() {
            let file = archive.by_index_raw(index).map_err(zipped)?;
            // Entries are `<archive name>/data.pkl`, `<archive name>/data/<key>` and small notes.
            let name = file
                .name()
                .split_once('/')
                .map_or("", |(_, name)| name)
                .to_owned();
            let start = file
                .data_start()
                .and_then(|start| usize::try_from(start).ok());
            let length = usize::try_from(file.compressed_size()).ok();
            let range = start.zip(length).and_then(|(start, length)| {
                let range = start..start.checked_add(length)?;
                map.get(range.clone()).map(|_| range)
            });
            let range = range.ok_or_else(|| format!("entry `{name}` lies outside the file"))?;
            let stored = file.compression() == CompressionMethod::Stored;
            if !stored && file.compression() != CompressionMethod::Deflated {
                let method = file.compression();
                return Err(format!("entry `{name}` is compressed with {method}"));
            }
            if stored && file.size() != file.compressed_size() {
                return Err(format!(
                    "entry `{name}` is stored, but its two sizes differ"
                ));
            }
            summed |= file.crc32() != 0;
            others |= file.size() > 0;
            let entry = Entry {
                range,
                index,
                stored,
                size: file.size(),
                crc: Some(file.crc32()),
            };
            if name == "byteorder" {
                directory.byteorder = Some(entry);
            } else if name == "data.pkl" {
                directory.pickle = Some(entry);
            } else if name == "constants.pkl" || name.starts_with("code/") {
                directory.script = true;
            } else if let Some(key) = name.strip_prefix("data/") {
                directory.storages.insert(key.to_owned(), entry);
            }
        }
        // `torch.serialization.set_crc32_options(False)` leaves every checksum 0. A single 0 is damage.
        if others && !summed {
            let notes = directory.pickle.iter_mut().chain(&mut directory.byteorder);
            for entry in notes.chain(directory.storages.values_mut()) {
                entry.crc = None;
            }
        }
        Ok(directory)
    }
}

/// An entry's uncompressed bytes, checked against the archive's CRC-32 if it has any.
fn bytes_of<'a>(map: &'a Mmap, entry: &Entry) -> Result<Cow<'a, [u8]>, String> {
    let bytes: Cow<'a, [u8]> = if entry.stored {
        map.get(entry.range.clone())
            .ok_or("it lies outside the file")?
            .into()
    } else {
        // A declared size is only believed as a limit: no allocation follows from it before bytes do.
        let mut archive = ZipArchive::new(Cursor::new(&map[..])).map_err(|e| e.to_string())?;
        let file = archive.by_index(entry.index).map_err(|e| e.to_string())?;
        let mut bytes = Vec::new();
        file.take(entry.size.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(|e| e.to_string())?;
        bytes.into()
    };
    if u64::try_from(bytes.len()).ok() != Some(entry.size) {
        return Err(format!("{} bytes, expected {}", bytes.len(), entry.size));
    }
    match entry
        .crc
        .map(|expected| (expected, crc32fast::hash(&bytes)))
    {
        Some((expected, found)) if expected != found => Err(format!(
            "its CRC-32 is {found:08x}, the archive says {expected:08x}: the file is damaged"
        )),
        _ => Ok(bytes),
    }
}

/// Little-endian floats of so many bytes with the other sign, which is the highest bit of each.
fn negated(mut floats: Vec<u8>, width: usize) -> Vec<u8> {
    for float in floats.chunks_exact_mut(width) {
        if let Some(highest) = float.last_mut() {
            *highest ^= 0x80;
        }
    }
    floats
}

/// Where a tensor's elements lie within its storage, in elements, checked to be inside it.
struct Layout<'a> {
    tensor: &'a RawTensor,
    count: usize,
    contiguous: bool,
}

impl<'a> Layout<'a> {
    fn new(tensor: &'a RawTensor) -> Result<Self, String> {
        let RawTensor {
            storage,
            offset,
            shape,
            stride,
            ..
        } = tensor;
        let count = element_count(shape).filter(|count| *count <= storage.numel);
        let count = count
            .ok_or_else(|| format!("shape {shape:?} exceeds its storage of {}", storage.numel))?;
        if shape.len() != stride.len() {
            return Err(format!("shape {shape:?} but strides {stride:?}"));
        }
        let mut last = *offset;
        let mut dense = 1;
        let mut contiguous = true;
        for (size, step) in shape.iter().zip(stride).rev() {
            let reach = size
                .saturating_sub(1)
                .checked_mul(*step)
                .and_then(|reach| reach.checked_add(last));
            last = reach.ok_or_else(|| format!("strides {stride:?} overflow"))?;
            contiguous &= *size <= 1 || *step == dense;
            dense *= size;
        }
        if count > 0 && last >= storage.numel {
            return Err(format!(
                "its last element is at {last}, its storage has {}",
                storage.numel
            ));
        }
        Ok(Self {
            tensor,
            count,
            contiguous,
        })
    }

    /// The elements in row-major order: borrowed when they lie so, gathered when they do not.
    fn gather<'b>(&self, storage: Cow<'b, [u8]>, width: usize) -> Option<Cow<'b, [u8]>> {
        let RawTensor {
            offset,
            shape,
            stride,
            ..
        } = self.tensor;
        if self.count == 0 {
            return Some(Cow::Borrowed(&[]));
        }
        if self.contiguous {
            let range =
                offset.checked_mul(width)?..offset.checked_add(self.count)?.checked_mul(width)?;
            return match storage {
                Cow::Borrowed(bytes) => bytes.get(range).map(Cow::Borrowed),
                Cow::Owned(bytes) => bytes.get(range).map(|bytes| Cow::Owned(bytes.to_vec())),
            };
        }
        let mut bytes = Vec::with_capacity(self.count.checked_mul(width)?);
        let mut position = vec![0; shape.len()];
        for _ in 0..self.count {
            let at = offset
                + position
                    .iter()
                    .zip(stride)
                    .map(|(i, step)| i * step)
                    .sum::<usize>();
            bytes.extend_from_slice(storage.get(at * width..(at + 1) * width)?);
            // Count up like an odometer, the last dimension fastest.
            for (index, size) in position.iter_mut().zip(shape).rev() {
                *index += 1;
                if *index < *size {
                    break;
                }
                *index = 0;
            }
        }
        Some(Cow::Owned(bytes))
    }
}
