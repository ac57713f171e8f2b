//! `igpt quantize`: a checkpoint folder becomes one ONNX file.

mod refusals;

use std::fs::{self, File};
use std::io::{self, BufWriter, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use clap::builder::RangedU64ValueParser;
use igpt_runtime::processor::Backend;
use igpt_runtime::tools::report::{ModelReport, file_crc32};
use igpt_runtime::tools::{Panels, PanelsName};
use igpt_runtime::{ImageGptConfig, ImageGptImageProcessor, Isa, IsaError, ProcessorError};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use serde_json::json;
use sha2::{Digest, Sha256};

use self::refusals::{head_is_missing, without_processor};
use super::print_report;
use crate::calibration::{self, ImageSet, Smoothed, Source};
use crate::checkpoint::{Checkpoint, CheckpointError, expected};
use crate::choices;
use crate::failure::{Blame, Failure};
use crate::hub::{self, HubName};
use crate::onnx::{self, Dtype, Form, Preprocessor, Provenance, Task, TensorReport, WriteError};
use crate::output::{self, Outputs, Staged};
use crate::processor;
use crate::quantization::{Grid, LayerReport, PreparedWeights, Rescaled};
use crate::skips::{BadPictures, Reader, Skips};

/// Convert a checkpoint in Hugging Face's layout into one ONNX file.
///
/// The file runs on a board through `igpt-cam`, here through the other verbs, and in an ONNX runtime that
/// expands model-local functions, such as onnxruntime. Other runtimes may need --inline.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:
  igpt quantize openai/imagegpt-small -o small.onnx
        from the Hugging Face hub
  igpt quantize my-checkpoint/ -o model.onnx --pack neon
        a folder, for a Raspberry Pi 3 or 4
  igpt quantize my-checkpoint/ -o model.onnx --calibrate photos/ --dtype int4
        four bits a weight, rounded on pictures of yours
  igpt quantize my-checkpoint/ -o openvino.onnx --inline
        for OpenVINO, not for igpt-cam
  igpt quantize my-checkpoint/ -o model.onnx --json | jq .layers
        what was done to each block, for a script")]
pub struct Args {
    /// Folder with config.json, the weights and, for images, preprocessor_config.json; or if there is no such
    /// folder, its name on the Hugging Face hub: openai/imagegpt-small, or with a branch, tag or commit
    /// OWNER/NAME@REVISION.
    pub checkpoint: PathBuf,
    /// The ONNX file to write.
    #[arg(short, long, value_name = "FILE.onnx")]
    pub output: PathBuf,
    /// What the file computes [default: that of the class the checkpoint was saved from].
    #[arg(long, value_parser = choices::task())]
    pub task: Option<Task>,
    /// How the linear layers are stored and computed.
    #[arg(long, alias = "weights", value_parser = choices::dtype(), default_value = "int8")]
    pub dtype: Dtype,
    /// The image processor's configuration, if CHECKPOINT has none or another is meant.
    #[arg(long, value_name = "FILE.json", conflicts_with = "tokens_only")]
    pub processor_config: Option<PathBuf>,
    /// Leave the image processor out: the file takes tokens and no images, which `igpt-cam` refuses.
    #[arg(long)]
    pub tokens_only: bool,
    /// Choose the form and the rounding of the int8 or int4 weights on these images: a folder of pictures, a
    /// data set (its training images; see docs/data.md), or tokens in an .npy.
    #[arg(long, value_name = "IMAGES")]
    pub calibrate: Option<PathBuf>,
    /// How many of them, evenly spaced; more is better and slower. Each takes 12 bytes of memory for every
    /// token and channel: 19 MB for 1024 tokens of ImageGPT-large, beside 0.6 GB for its blocks.
    #[arg(long, value_name = "N", default_value_t = CALIBRATION_IMAGES, requires = "calibrate",
          value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
    pub calibrate_images: usize,
    /// Panels to store the int8 weights in.
    #[arg(long, value_name = "CPU|NRxKR", value_parser = panels, help = pack_help())]
    pub pack: Option<Panels>,
    /// What to do about a calibration picture that cannot be read.
    #[command(flatten)]
    pub bad_pictures: BadPictures,
    /// How images become tokens: with the resize and the arithmetic of transformers' PIL or of its torchvision
    /// processor [default: what preprocessor_config.json says, PIL if it does not].
    #[arg(long, value_name = "PROCESSOR", conflicts_with = "tokens_only", value_parser = processor::parser())]
    pub processor: Option<Backend>,
    /// Write the operators out in standard ones, without model-local functions, for runtimes that do not
    /// expand them, such as OpenVINO. `igpt` and `igpt-cam` do not run such a file.
    #[arg(long, conflicts_with = "pack")]
    pub inline: bool,
    /// Print the report as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Enough for the quadratic forms of a model 512 wide.
const CALIBRATION_IMAGES: usize = 64;

impl Args {
    /// All defaults, for a checkpoint as it is: of a folder without an image processor a file is made that takes
    /// tokens only.
    pub fn new(checkpoint: impl Into<PathBuf>, output: impl Into<PathBuf>) -> Self {
        let checkpoint = checkpoint.into();
        let processor = checkpoint.join("preprocessor_config.json");
        Self {
            tokens_only: checkpoint.is_dir() && !processor.exists(),
            checkpoint,
            output: output.into(),
            task: None,
            dtype: Dtype::Int8,
            processor_config: None,
            calibrate: None,
            calibrate_images: CALIBRATION_IMAGES,
            pack: None,
            bad_pictures: BadPictures::default(),
            processor: None,
            inline: false,
            json: false,
        }
    }
}

/// Help of the option for panels.
fn pack_help() -> String {
    let names = Isa::ALL.map(Isa::name).join(", ");
    format!(
        "Store the int8 weights as the kernels of this CPU read them, so that it loads them where they lie: an \
         instruction set ({names}) or columns x rows, such as 32x4. Other CPUs repack them while loading."
    )
}

/// The panels of an instruction set, or those of this name.
fn panels(name: &str) -> Result<Panels, String> {
    name.parse().map(Panels::of).or_else(|unknown: IsaError| {
        let panels = name.parse();
        panels.map_err(|error: PanelsName| format!("{unknown}; {error}"))
    })
}

/// What a conversion did.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The file that was written.
    pub model: ModelReport,
    /// Why its images become tokens as by `model.processor`; absent if the file does not say how they do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub processor_because: Option<String>,
    /// Whether it is in standard operators alone, which `igpt` and `igpt-cam` do not run.
    pub inline: bool,
    /// In which panels its int8 weights lie; row-major if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub panels: Option<String>,
    /// Size of the file in bytes.
    pub file_bytes: u64,
    /// Parameters of the model, head included.
    pub parameters: u64,
    /// The loss of every tensor against the checkpoint.
    pub tensors: Vec<TensorReport>,
    /// Whether it has an image processor; without one it takes tokens only.
    pub takes_images: bool,
    /// int8 only: what was done to each block before rounding.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub layers: Vec<LayerReport>,
    /// Calibration pictures that cannot be read.
    #[serde(flatten)]
    pub skips: Option<Skips>,
}

/// Runs the verb and prints its report.
///
/// # Errors
/// A checkpoint that cannot be used (bad input), an output that cannot be written.
pub fn run(args: &Args) -> Result<(), Failure> {
    let report = quantize(args)?;
    print_report("quantize", args.json, &report, |out| {
        print_table(out, &args.output, &report)
    })
}

/// Runs the verb.
///
/// # Errors
/// As [`run`].
pub fn quantize(args: &Args) -> Result<Report, Failure> {
    if args.pack.is_some() && args.dtype != Dtype::Int8 {
        let dtype = args.dtype.name();
        return Err(anyhow!(
            "--pack orders int8 weights, not those of --dtype {dtype}"
        ))
        .misused();
    }
    if args.tokens_only
        && let Some(path) = &args.calibrate
        && path.extension().is_none_or(|extension| extension != "npy")
    {
        return Err(anyhow!(
            "--calibrate {}: pictures become tokens by the image processor that --tokens-only leaves out: calibrate \
             with tokens, in an .npy, or do without --tokens-only",
            path.display()
        ))
        .misused();
    }
    let mut outputs = Outputs::made_from(args.calibrate.iter().chain(&args.processor_config));
    outputs.file(&args.output)?;
    let folder = &hub::resolve(&args.checkpoint)?;
    let config = ImageGptConfig::from_file(folder.join("config.json")).bad_input()?;
    let task = args
        .task
        .or_else(|| Task::of_architectures(&config.architectures))
        .ok_or_else(|| {
            Failure::BadInput(anyhow!(
                "{}: architectures is {:?}, which names no ImageGPT class: say --task",
                folder.join("config.json").display(),
                config.architectures
            ))
        })?;
    if task == Task::Causal {
        let file = folder.join("config.json");
        let checked = config.check_causal();
        checked
            .with_context(|| file.display().to_string())
            .bad_input()?;
    }
    let (preprocessor, because) = read_preprocessor(args, folder, &config)?.unzip();
    if preprocessor.is_none() && !args.tokens_only {
        without_processor(args, task)?;
    }
    let checkpoint = Checkpoint::open(folder).bad_input()?;
    let configs = ["config.json", "preprocessor_config.json"].map(|name| folder.join(name));
    let inputs = checkpoint.files();
    output::refuse_inputs(
        &args.output,
        inputs.chain(configs.iter().map(PathBuf::as_path)),
    )?;
    expected::check(&checkpoint, &config, expected::Head::of(task))
        .map_err(|error| head_is_missing(args, task, &checkpoint, &config).unwrap_or(error.into()))
        .bad_input()?;

    let bar = ProgressBar::new(checkpoint.file_bytes());
    // indicatif draws on standard error, and only if that is a terminal.
    let style =
        ProgressStyle::with_template("{msg:12} {wide_bar} {bytes}/{total_bytes} {eta}").failed()?;
    bar.set_style(style);
    bar.set_message("checksums");
    let source = source(&source_name(&args.checkpoint, folder), &checkpoint, &bar).bad_input()?;
    bar.reset();
    bar.set_message("quantising");
    let mut reader = Reader::new(args.bad_pictures, &bar);
    let images = calibration_images(args, task, &config, preprocessor.as_ref(), &mut reader)?;
    let provenance = Provenance {
        preprocessor,
        recipe: recipe(args.dtype, images.as_ref()),
        source,
    };
    let model = (task, &config, &checkpoint, images.as_ref());
    let report = write_file(args, model, &provenance, &bar)?;
    bar.finish_and_clear();
    let read = images.is_some().then_some(1);
    Ok(Report {
        processor_because: because,
        skips: read.map(|read| reader.end(read)).transpose()?,
        ..report
    })
}

/// The images to calibrate on, if any.
fn calibration_images(
    args: &Args,
    task: Task,
    config: &ImageGptConfig,
    preprocessor: Option<&Preprocessor>,
    reader: &mut Reader,
) -> Result<Option<ImageSet>, Failure> {
    let Some(path) = &args.calibrate else {
        return Ok(None);
    };
    if args.dtype == Dtype::F32 {
        return Err(anyhow!(
            "--calibrate chooses int8 or int4 weights, --dtype f32 has none"
        ))
        .misused();
    }
    let source = Source {
        path: path.clone(),
        count: args.calibrate_images,
    };
    let processor = preprocessor.map(load_processor).transpose().bad_input()?;
    let causal = task == Task::Causal;
    calibration::read_images(&source, config, processor.as_ref(), causal, reader).map(Some)
}

fn load_processor(preprocessor: &Preprocessor) -> Result<ImageGptImageProcessor, ProcessorError> {
    ImageGptImageProcessor::from_json_as(&preprocessor.json, Some(preprocessor.backend))
}

/// The image processor's options, normalised, after checking them against the model; and why it is this one.
fn read_preprocessor(
    args: &Args,
    folder: &Path,
    config: &ImageGptConfig,
) -> Result<Option<(Preprocessor, String)>, Failure> {
    let asked = args.processor;
    let own = folder.join("preprocessor_config.json");
    let path = args.processor_config.clone().unwrap_or(own);
    if args.tokens_only || (args.processor_config.is_none() && !path.exists()) {
        return Ok(None);
    }
    let processor = ImageGptImageProcessor::from_file_as(&path, asked).bad_input()?;
    let because = match asked {
        Some(backend) => format!("--processor {backend}"),
        None => {
            let text = fs::read_to_string(&path).bad_input()?;
            let found = ImageGptImageProcessor::backend_of_json(&text).bad_input()?;
            format!("{}: {}", path.display(), found.because)
        }
    };
    let bad = |message| {
        Err(CheckpointError::Config {
            path: path.clone(),
            message,
        })
        .bad_input()
    };
    if !processor.config().do_color_quantize {
        return bad(
            "do_color_quantize is false, expected true: pixel values are no tokens".to_owned(),
        );
    }
    let (colors, found) = (config.num_colors(), processor.clusters().len());
    if found != colors {
        return bad(format!(
            "{found} clusters, expected {colors} (vocab_size - 1)"
        ));
    }
    let (height, width) = processor.size();
    if height * width > config.n_positions {
        let most = config.n_positions;
        return bad(format!(
            "size {height} x {width} is more than n_positions = {most} tokens"
        ));
    }
    let preprocessor = Preprocessor {
        json: processor.to_json(),
        backend: processor.config().backend,
    };
    Ok(Some((preprocessor, because)))
}

/// `igpt.recipe`: enough to know how the numbers came about.
pub(super) fn recipe(dtype: Dtype, images: Option<&ImageSet>) -> String {
    let producer = concat!("igpt ", env!("CARGO_PKG_VERSION"));
    let grid = match dtype {
        Dtype::F32 => return json!({ "producer": producer }).to_string(),
        Dtype::Int8 => "int8, symmetric per output channel",
        Dtype::Int4 => {
            "int4, symmetric, times 1 to 16 for every 32 inputs, per output channel; lm_head int8"
        }
    };
    let chosen = match images {
        Some(_) => "rescaled and rounded for least error of each layer's output",
        None => "range of least squared error",
    };
    let mut recipe = json!({
        "producer": producer,
        "weights": format!("{grid}, {chosen}"),
        "activations": "int8 per row, dynamic; symmetric, and with a zero of its own after the activation",
        "embeddings": "float16",
    });
    if let Some(images) = images {
        let sequences = images.tokens.len() / images.length.max(1);
        recipe["calibration"] = json!({ "sequences": sequences, "tokens": images.length });
    }
    recipe.to_string()
}

/// A checkpoint's name: on the hub with the commit that it is (the last part of its folder in the cache),
/// else its folder's.
fn source_name(asked: &Path, folder: &Path) -> String {
    let last = |path: &Path| {
        path.file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned()
    };
    match asked.to_str().and_then(HubName::parse) {
        Some(name) if asked != folder => format!("{}@{}", name.repo, last(folder)),
        _ => last(&folder.canonicalize().unwrap_or_else(|_| folder.to_owned())),
    }
}

/// `igpt.source`: the checkpoint's name and its files' checksums.
fn source(name: &str, checkpoint: &Checkpoint, bar: &ProgressBar) -> anyhow::Result<String> {
    let mut files = serde_json::Map::new();
    for path in checkpoint.files() {
        // Read rather than mapped: a file larger than memory must not become resident for its checksum.
        let mut file = File::open(path).with_context(|| path.display().to_string())?;
        let mut hasher = Sha256::new();
        let mut buffer = vec![0; 1 << 20];
        loop {
            let count = file
                .read(&mut buffer)
                .with_context(|| path.display().to_string())?;
            let Some(bytes) = buffer.get(..count).filter(|bytes| !bytes.is_empty()) else {
                break;
            };
            hasher.update(bytes);
            bar.inc(count as u64);
        }
        let digest: String = hasher
            .finalize()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        files.insert(name, digest.into());
    }
    Ok(json!({ "checkpoint": name, "sha256": files }).to_string())
}

/// Writes beside the output and renames: a failed conversion leaves no half file, and no reader of an
/// older file is disturbed.
fn write_file(
    args: &Args,
    (task, config, checkpoint, images): (Task, &ImageGptConfig, &Checkpoint, Option<&ImageSet>),
    provenance: &Provenance,
    bar: &ProgressBar,
) -> Result<Report, Failure> {
    let at = || args.output.display().to_string();
    let staged = Staged::create(&args.output).with_context(at).failed()?;
    let progress = |bytes, total| {
        bar.set_length(total);
        bar.inc(bytes);
    };
    let mut out = BufWriter::with_capacity(1 << 20, staged.file());
    let form = Form {
        task,
        dtype: args.dtype,
        panels: args.pack,
        inline: args.inline,
    };
    let written = match args.dtype {
        Dtype::F32 => onnx::write(&mut out, checkpoint, config, form, provenance, progress)
            .map(|done| (done, Vec::new())),
        Dtype::Int8 | Dtype::Int4 => {
            let grid = match args.dtype {
                Dtype::Int4 => Grid::Int4,
                _ => Grid::Int8,
            };
            PreparedWeights::new(checkpoint, config, task == Task::Causal, grid, images)
                .map_err(WriteError::from)
                .and_then(|prepared| {
                    let done =
                        onnx::write(&mut out, &prepared, config, form, provenance, progress)?;
                    Ok((done, prepared.into_reports()))
                })
        }
    };
    let written = written
        .and_then(|done| out.flush().map_err(WriteError::from).map(|()| done))
        .map_err(|error| match error {
            WriteError::Checkpoint(error) => Failure::BadInput(error.into()),
            error => Failure::Failed(anyhow!(error).context(at())),
        });
    drop(out);
    let ((tensors, file_bytes), layers) = written?;
    staged.finish().with_context(at).failed()?;
    let parameters = tensors
        .iter()
        .map(|t| t.shape.iter().product::<usize>() as u64)
        .sum();
    let preprocessor = provenance.preprocessor.as_ref();
    let processor = preprocessor.and_then(|found| load_processor(found).ok());
    // What went into a pipe cannot be read again.
    let crc32 = args.output.is_file().then(|| file_crc32(&args.output).ok());
    Ok(Report {
        model: ModelReport::new(
            (task, args.dtype),
            config,
            processor.as_ref(),
            Some(&args.output),
            crc32.flatten(),
        ),
        processor_because: None,
        inline: args.inline,
        panels: args.pack.map(|panels| panels.to_string()),
        file_bytes,
        parameters,
        tensors,
        takes_images: provenance.preprocessor.is_some(),
        layers,
        skips: None,
    })
}

fn print_table(out: &mut impl Write, path: &Path, report: &Report) -> io::Result<()> {
    let bold = io::stdout().is_terminal();
    let (on, off) = if bold {
        ("\x1b[1m", "\x1b[0m")
    } else {
        ("", "")
    };
    writeln!(
        out,
        "{on}{:<40} {:>14} {:>6} {:>9} {:>10} {:>10}{off}",
        "tensor", "shape", "as", "SNR dB", "max", "max error"
    )?;
    for tensor in &report.tensors {
        let shape = tensor
            .shape
            .iter()
            .map(usize::to_string)
            .collect::<Vec<_>>()
            .join("x");
        let snr = tensor
            .error
            .snr_db
            .map_or_else(|| "exact".to_owned(), |snr| format!("{snr:.1}"));
        writeln!(
            out,
            "{:<40} {shape:>14} {:>6} {snr:>9} {:>10.3e} {:>10.3e}",
            tensor.name, tensor.stored_as, tensor.error.max_abs, tensor.error.max_error
        )?;
    }
    for (layer, report) in report.layers.iter().enumerate() {
        for Rescaled {
            pair,
            channels,
            factor,
        } in &report.rescaled
        {
            writeln!(
                out,
                "transformer.h.{layer}: {channels} outlier channels of {} rescaled, by up to {factor}",
                pair.name()
            )?;
        }
    }
    print_calibration(out, &report.layers)?;
    if let Some(skips) = &report.skips {
        skips.print(out)?;
    }
    if !report.takes_images {
        writeln!(
            out,
            "no image processor: the file takes tokens and no images"
        )?;
    }
    if let (Some(because), Some(Ok(backend))) = (
        &report.processor_because,
        report.model.processor.map(str::parse),
    ) {
        let title = processor::title(backend);
        writeln!(out, "images become tokens as by {title} ({because})")?;
    }
    if report.inline {
        writeln!(
            out,
            "standard operators alone: for runtimes other than igpt and igpt-cam, which do not run it"
        )?;
    }
    writeln!(
        out,
        "{}: {} for {}, {} parameters in {} bytes ({:.3} bytes each)",
        path.display(),
        report.model.dtype,
        report.model.task,
        report.parameters,
        report.file_bytes,
        report.file_bytes as f64 / report.parameters.max(1) as f64
    )
}

/// Per layer, the error that calibration removed.
fn print_calibration(out: &mut impl Write, layers: &[LayerReport]) -> io::Result<()> {
    let calibrated: Vec<_> = layers
        .iter()
        .filter_map(|layer| layer.calibration.as_ref())
        .collect();
    if calibrated.is_empty() {
        return Ok(());
    }
    writeln!(
        out,
        "error of the hidden states on the calibration images, relative to f32\n\
         {:>5} {:>10} {:>10}  smoothed (alpha)",
        "layer", "before", "after"
    )?;
    for (layer, report) in calibrated.iter().enumerate() {
        let smoothed: Vec<String> = report
            .smoothed
            .iter()
            .map(|Smoothed { pair, alpha }| format!("{} ({alpha})", pair.name()))
            .collect();
        writeln!(
            out,
            "{layer:>5} {:>10.6} {:>10.6}  {}",
            report.error_before,
            report.error_after,
            smoothed.join(", ")
        )?;
    }
    Ok(())
}
