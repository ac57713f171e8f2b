//! The file beside a model that keeps what was shown: its bytes, and what it belongs to.
//!
//! ```text
//! "igpt-taught\n"                        12 bytes
//! version                                u32, 1
//! length of the header                   u32
//! header                                 JSON: what it belongs to, layers, examples without their features
//! features                               f32, example after example, layer after layer
//! CRC-32 of everything before            u32
//! ```
//! All numbers are little-endian.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::FileError;
use crate::examples::{Example, Examples, Layer, MOST_EXAMPLES, check_label};

const MAGIC: &[u8; 12] = b"igpt-taught\n";
const VERSION: u32 = 1;
/// Bytes before the header.
const FRONT: usize = MAGIC.len() + 8;
/// The most that a file of ours can have: a thousand examples of eight layers, 8192 wide.
const MOST_BYTES: u64 = 1 << 28;

/// What examples belong to: with any of these different, features mean something else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Binding {
    /// What the model is called, for messages.
    pub model: String,
    /// CRC-32 of the model file, eight hexadecimal digits.
    pub model_crc32: String,
    /// The layers that features are kept of.
    pub layers: Vec<Layer>,
    /// How a picture becomes the model's input.
    pub preprocessing: String,
    /// How the source's pictures are turned before that, as EXIF counts: 1 not at all, up to 8.
    pub orientation: u8,
}

impl Binding {
    /// Refuses what belongs to something else.
    ///
    /// # Errors
    /// The first difference, with what was found in the file and what runs.
    pub fn check(&self, running: &Self) -> Result<(), FileError> {
        let layers = |binding: &Self| {
            let layer = |layer: &Layer| format!("{} of {}", layer.number, layer.width);
            let list: Vec<String> = binding.layers.iter().map(layer).collect();
            list.join(", ")
        };
        let model = |binding: &Self| format!("{} ({})", binding.model, binding.model_crc32);
        let differs = |what, found, expected| {
            Err(FileError::Mismatch {
                what,
                found,
                expected,
            })
        };
        if self.model_crc32 != running.model_crc32 {
            return differs("model", model(self), model(running));
        }
        if self.layers != running.layers {
            return differs("layers", layers(self), layers(running));
        }
        if self.preprocessing != running.preprocessing {
            let (found, expected) = (&self.preprocessing, &running.preprocessing);
            return differs("preprocessing", found.clone(), expected.clone());
        }
        if self.orientation != running.orientation {
            let (found, expected) = (self.orientation, running.orientation);
            return differs("orientation", found.to_string(), expected.to_string());
        }
        Ok(())
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    binding: Binding,
    actions: u64,
    examples: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    label: Option<String>,
    showing: u64,
    times: u32,
    forgotten: Option<u64>,
}

/// The bytes of a file.
#[must_use]
pub fn encode(binding: &Binding, examples: &Examples) -> Vec<u8> {
    let entry = |one: &Example| Entry {
        label: one.label.clone(),
        showing: one.showing,
        times: one.times,
        forgotten: one.forgotten,
    };
    let header = Header {
        binding: Binding {
            layers: examples.layers.clone(),
            ..binding.clone()
        },
        actions: examples.actions,
        examples: examples.list.iter().map(entry).collect(),
    };
    // Texts, numbers and lists of them: nothing that JSON cannot hold.
    let header = serde_json::to_vec(&header).unwrap_or_default();
    let mut bytes = MAGIC.to_vec();
    bytes.extend(VERSION.to_le_bytes());
    bytes.extend((header.len() as u32).to_le_bytes());
    bytes.extend(&header);
    for one in &examples.list {
        bytes.extend(one.features.iter().flat_map(|x| x.to_le_bytes()));
    }
    bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
    bytes
}

/// What a file's bytes say: what the examples belong to, and the examples.
///
/// # Errors
/// Bytes that are no such file, of a version that is not known, or damaged.
pub fn decode(bytes: &[u8]) -> Result<(Binding, Examples), FileError> {
    let Some(rest) = bytes.strip_prefix(MAGIC) else {
        return Err(FileError::Foreign);
    };
    let Some((version, rest)) = number(rest) else {
        return Err(FileError::Short(bytes.len()));
    };
    if version != VERSION {
        return Err(FileError::Version {
            found: version,
            expected: VERSION,
        });
    }
    let Some((body, [sum])) = bytes
        .split_last_chunk::<4>()
        .map(|(body, sum)| (body, [*sum]))
    else {
        return Err(FileError::Short(bytes.len()));
    };
    let (found, expected) = (crc32fast::hash(body), u32::from_le_bytes(sum));
    if found != expected {
        return Err(FileError::Checksum { found, expected });
    }
    let contents = |what: String| FileError::Contents(what);
    let (length, _) = number(rest).ok_or(FileError::Short(bytes.len()))?;
    let rest = body.get(FRONT..).ok_or(FileError::Short(bytes.len()))?;
    let (header, features) = rest
        .split_at_checked(length as usize)
        .ok_or(FileError::Short(bytes.len()))?;
    let Header {
        binding,
        actions,
        examples,
    } = serde_json::from_slice(header).map_err(|error| contents(error.to_string()))?;
    let widths = binding.layers.iter().map(|layer| layer.width);
    let width = widths.fold(0usize, usize::saturating_add);
    let whole = width
        .checked_mul(examples.len())
        .and_then(|count| count.checked_mul(4));
    if width == 0 || whole != Some(features.len()) || examples.len() > 2 * MOST_EXAMPLES {
        return Err(contents(format!(
            "{} bytes of features for {} examples of {width} numbers",
            features.len(),
            examples.len()
        )));
    }
    if binding.layers.iter().any(|layer| layer.width == 0) {
        return Err(contents("a layer without features".into()));
    }
    let mut list = Vec::with_capacity(examples.len());
    for (entry, features) in examples.into_iter().zip(features.chunks_exact(4 * width)) {
        if let Some(label) = &entry.label {
            check_label(label).map_err(|error| contents(error.to_string()))?;
        }
        let actions_of = entry.showing.max(entry.forgotten.unwrap_or(0));
        if actions_of > actions {
            return Err(contents(format!("action {actions_of} of {actions}")));
        }
        let (numbers, _) = features.as_chunks::<4>();
        let features: Vec<f32> = numbers.iter().map(|x| f32::from_le_bytes(*x)).collect();
        if !features.iter().all(|x| x.is_finite()) {
            return Err(contents("a feature is not a finite number".into()));
        }
        list.push(Example {
            label: entry.label,
            showing: entry.showing,
            times: entry.times,
            forgotten: entry.forgotten,
            features,
        });
    }
    let examples = Examples {
        layers: binding.layers.clone(),
        list,
        actions,
    };
    Ok((binding, examples))
}

fn number(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (number, rest) = bytes.split_first_chunk::<4>()?;
    Some((u32::from_le_bytes(*number), rest))
}

/// Reads a file; nothing if there is none.
///
/// # Errors
/// A file that cannot be read, or as [`decode`].
pub fn load(path: &Path) -> Result<Option<(Binding, Examples)>, FileError> {
    let mut file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    if file.metadata()?.is_dir() {
        return Err(FileError::Foreign);
    }
    let mut bytes = Vec::new();
    (&mut file).take(MOST_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(FileError::Foreign);
    }
    decode(&bytes).map(Some)
}

/// Where a file is written before it takes its name.
#[must_use]
pub fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    name.into()
}

/// Writes a file beside its place, makes sure that it is on the disk, and renames it: whenever the power goes, there is the old
/// one or the new one.
///
/// # Errors
/// What the system says; the old file is as it was.
pub fn save(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = beside(path);
    let written = File::create(&beside).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    if let Err(error) = written.and_then(|()| fs::rename(&beside, path)) {
        // What is left of it would be in the way of nobody, but takes room.
        let _ = fs::remove_file(&beside);
        return Err(error);
    }
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests;
