//! What the JSON of every program says of a model and of a moment (docs/json.md), so that it says it in the
//! same words everywhere.

use std::fs::File;
use std::io::{self, ErrorKind, Read as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;

use igpt_kernels::Isa;

use super::describe::{Description, Family};
use crate::auto::{AutoModel, AutoModelForImageClassification};
use crate::config::{ImageGptConfig, ProblemType, SegformerConfig};
use crate::imagegpt::ImageGptModel;
use crate::kind::{Dtype, Task};
use crate::processor::{Backend, ImageGptImageProcessor};
use crate::segformer::{SegformerImageProcessor, SegformerModel};

/// The last second that RFC 3339 can write: 9999-12-31T23:59:59Z.
const LAST_SECOND: u64 = 253_402_300_799;

/// A model, as reports name it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ModelReport {
    /// The file, or what it was made from, as the user named it; none for one inside the program.
    pub file: Option<PathBuf>,
    /// CRC-32 of the file's bytes in eight hexadecimal digits; none if it could not be read for that.
    pub crc32: Option<String>,
    /// `classify`, `causal` or `features`.
    pub task: &'static str,
    /// Of a classifier what its logits mean: `single_label_classification`, `multi_label_classification` or
    /// `regression`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem_type: Option<&'static str>,
    /// `int8`, `int4` or `f32`.
    pub dtype: &'static str,
    /// `imagegpt` or `segformer`.
    pub model_type: &'static str,
    /// Blocks; of an ImageGPT.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n_layer: Option<usize>,
    /// Width; of an ImageGPT.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n_embd: Option<usize>,
    /// Heads; of an ImageGPT.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n_head: Option<usize>,
    /// Tokens of an image; positions, if the file does not say how an image becomes tokens. Of an ImageGPT.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<usize>,
    /// Blocks of each stage; of a SegFormer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub depths: Option<Vec<usize>>,
    /// Width of each stage; of a SegFormer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hidden_sizes: Option<Vec<usize>>,
    /// Heads of each stage; of a SegFormer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub num_attention_heads: Option<Vec<usize>>,
    /// Height and width of its input in pixels; of a SegFormer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<[usize; 2]>,
    /// Whose arithmetic makes an input of an image, `pil` or `torchvision`; none if the file does not say how an
    /// image becomes one.
    pub processor: Option<&'static str>,
}

impl ModelReport {
    /// Of an ImageGPT's file of this task and type. `file` is what the user called it.
    #[must_use]
    pub fn new(
        kind: (Task, Dtype),
        config: &ImageGptConfig,
        processor: Option<&ImageGptImageProcessor>,
        file: Option<&Path>,
        crc32: Option<u32>,
    ) -> Self {
        let image = processor.map(ImageGptImageProcessor::size);
        let backend = processor.map(|processor| processor.config().backend);
        let problem_type = config.resolved_problem_type();
        Self {
            model_type: "imagegpt",
            n_layer: Some(config.n_layer),
            n_embd: Some(config.n_embd),
            n_head: Some(config.n_head),
            tokens: Some(image.map_or(config.n_positions, |(height, width)| height * width)),
            ..Self::common(kind, problem_type, backend, file, crc32)
        }
    }

    /// Of a SegFormer's file of this task and type, with an input of this height and width. `file` is what the user
    /// called it.
    #[must_use]
    pub fn segformer(
        kind: (Task, Dtype),
        config: &SegformerConfig,
        (height, width): (usize, usize),
        processor: Option<&SegformerImageProcessor>,
        file: Option<&Path>,
        crc32: Option<u32>,
    ) -> Self {
        let backend = processor.map(|processor| processor.config().backend);
        let problem_type = config.resolved_problem_type();
        Self {
            model_type: "segformer",
            depths: Some(config.depths.clone()),
            hidden_sizes: Some(config.hidden_sizes.clone()),
            num_attention_heads: Some(config.num_attention_heads.clone()),
            size: Some([height, width]),
            ..Self::common(kind, problem_type, backend, file, crc32)
        }
    }

    /// What every family has.
    fn common(
        (task, dtype): (Task, Dtype),
        problem_type: ProblemType,
        backend: Option<Backend>,
        file: Option<&Path>,
        crc32: Option<u32>,
    ) -> Self {
        Self {
            file: file.map(Path::to_owned),
            crc32: crc32.map(hex),
            task: task.name(),
            problem_type: (task == Task::Classify).then(|| problem_type.name()),
            dtype: dtype.name(),
            model_type: "",
            n_layer: None,
            n_embd: None,
            n_head: None,
            tokens: None,
            depths: None,
            hidden_sizes: None,
            num_attention_heads: None,
            size: None,
            processor: backend.map(Backend::name),
        }
    }

    /// Its file; empty for one inside the program.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.file.as_deref().unwrap_or(Path::new(""))
    }

    /// Of the file at `path`, as it describes itself.
    #[must_use]
    pub fn described(found: &Description, path: &Path) -> Self {
        let kind = (found.task, found.dtype);
        let crc32 = file_crc32(path).ok();
        match &found.family {
            Family::ImageGpt {
                config, processor, ..
            } => Self::new(kind, config, processor.as_ref(), Some(path), crc32),
            Family::Segformer {
                config,
                processor,
                size,
            } => Self::segformer(kind, config, *size, processor.as_ref(), Some(path), crc32),
        }
    }
}

/// A loaded model that reports can be of.
pub trait Reported {
    /// What reports say of the model, which the user called `file`, and whose bytes have this checksum.
    fn model_report(&self, file: Option<&Path>, crc32: Option<u32>) -> ModelReport;

    /// The instruction set in use.
    fn isa_in_use(&self) -> Isa;

    /// Its threads.
    fn threads_in_use(&self) -> usize;
}

impl Reported for ImageGptModel {
    fn model_report(&self, file: Option<&Path>, crc32: Option<u32>) -> ModelReport {
        let kind = (self.task(), self.dtype());
        ModelReport::new(kind, self.config(), self.processor(), file, crc32)
    }

    fn isa_in_use(&self) -> Isa {
        self.isa()
    }

    fn threads_in_use(&self) -> usize {
        self.threads()
    }
}

impl Reported for SegformerModel {
    fn model_report(&self, file: Option<&Path>, crc32: Option<u32>) -> ModelReport {
        let kind = (self.task(), self.dtype());
        let (config, size) = (self.config(), self.size());
        ModelReport::segformer(kind, config, size, self.processor(), file, crc32)
    }

    fn isa_in_use(&self) -> Isa {
        self.isa()
    }

    fn threads_in_use(&self) -> usize {
        self.threads()
    }
}

/// A [`Reported`] of either family, by its variants.
macro_rules! reported {
    ($either:ident, $model:ident => $inner:expr) => {
        impl Reported for $either {
            fn model_report(&self, file: Option<&Path>, crc32: Option<u32>) -> ModelReport {
                match self {
                    Self::ImageGpt($model) => $inner.model_report(file, crc32),
                    Self::Segformer($model) => $inner.model_report(file, crc32),
                }
            }

            fn isa_in_use(&self) -> Isa {
                self.isa()
            }

            fn threads_in_use(&self) -> usize {
                self.threads()
            }
        }
    };
}
reported!(AutoModel, model => model);
reported!(AutoModelForImageClassification, model => model.model());

/// A model and how it runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RunReport {
    /// The model.
    pub model: ModelReport,
    /// The instruction set in use.
    pub isa: &'static str,
    /// Its threads.
    pub threads: usize,
}

impl RunReport {
    /// Of a loaded model, which the user called `file`, and whose bytes have this checksum.
    #[must_use]
    pub fn new(model: &impl Reported, file: Option<&Path>, crc32: Option<u32>) -> Self {
        Self {
            model: model.model_report(file, crc32),
            isa: model.isa_in_use().name(),
            threads: model.threads_in_use(),
        }
    }
}

/// A checksum as reports write it.
#[must_use]
pub fn hex(crc32: u32) -> String {
    format!("{crc32:08x}")
}

/// CRC-32 of a file, read in pieces: a second model does not fit a small board's memory.
///
/// # Errors
/// It cannot be read.
pub fn file_crc32(path: &Path) -> io::Result<u32> {
    let mut file = File::open(path)?;
    let mut piece = vec![0; 1 << 16];
    let mut sum = crc32fast::Hasher::new();
    loop {
        match file.read(&mut piece) {
            Ok(0) => return Ok(sum.finalize()),
            Ok(length) => sum.update(&piece[..length]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// A moment in UTC, as RFC 3339 has it, to the millisecond: `2026-11-30T15:40:26.125Z`. A clock outside 1970
/// to 9999 is taken to its nearer end: a board without a battery starts in 1970.
#[must_use]
pub fn rfc3339(moment: SystemTime) -> String {
    let since = moment.duration_since(UNIX_EPOCH).unwrap_or_default();
    let since = since.min(Duration::from_secs(LAST_SECOND));
    humantime::format_rfc3339_millis(UNIX_EPOCH + since).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_in_utc_and_no_clock_is_too_wrong() {
        let at = |seconds: f64| rfc3339(UNIX_EPOCH + Duration::from_secs_f64(seconds));
        assert_eq!(at(0.0), "1970-01-01T00:00:00.000Z");
        assert_eq!(at(951_827_696.5), "2000-02-29T12:34:56.500Z");
        assert_eq!(at(1e12), "9999-12-31T23:59:59.000Z");
        let before = UNIX_EPOCH - Duration::from_secs(5);
        assert_eq!(rfc3339(before), "1970-01-01T00:00:00.000Z");
    }

    #[test]
    fn a_file_has_the_checksum_of_its_bytes() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let bytes: Vec<u8> = (0..200_000_u32).map(|i| (i % 251) as u8).collect();
        std::fs::write(file.path(), &bytes).unwrap();
        assert_eq!(file_crc32(file.path()).unwrap(), crc32fast::hash(&bytes));
        assert_eq!(hex(0xBEEF), "0000beef");
        assert!(file_crc32(Path::new("/no/such/file")).is_err());
    }
}
