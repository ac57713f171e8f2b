//! `igpt quantize`: a checkpoint folder becomes one ONNX file.

mod print;

use std::path::PathBuf;

use anyhow::anyhow;
use clap::builder::RangedU64ValueParser;
use igpt_runtime::processor::Backend;
use igpt_runtime::tools::{Panels, PanelsName};
use igpt_runtime::{Isa, IsaError};

use super::print_report;
use crate::calibration::Source;
use crate::choices;
use crate::conversion::{Request, convert, lacks_processor};
use crate::failure::{Blame, Failure};
use crate::onnx::{Dtype, Task};
use crate::processor;
use crate::skips::BadPictures;

pub use crate::conversion::Report;

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
  igpt quantize nvidia/mit-b0 -o b0.onnx --size 224
        a SegFormer's encoder, a classifier of a thousand things
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
    /// Size of the pictures that a SegFormer reads, one side for a square [default: what preprocessor_config.json
    /// says, which is 512 for the published ones, though their accuracies were measured at 224].
    #[arg(long, value_name = "WIDTHxHEIGHT", value_parser = choices::image_size)]
    pub size: Option<(usize, usize)>,
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
        Self {
            tokens_only: lacks_processor(&checkpoint),
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
            size: None,
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

/// Runs the verb and prints its report.
///
/// # Errors
/// A checkpoint that cannot be used (bad input), an output that cannot be written.
pub fn run(args: &Args) -> Result<(), Failure> {
    let report = quantize(args)?;
    print_report("quantize", args.json, &report, |out| {
        print::table(out, &args.output, &report)
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
    if args.calibrate.is_some() && args.dtype == Dtype::F32 {
        return Err(anyhow!(
            "--calibrate chooses int8 or int4 weights, --dtype f32 has none"
        ))
        .misused();
    }
    convert(&Request {
        checkpoint: args.checkpoint.clone(),
        output: args.output.clone(),
        task: args.task,
        dtype: args.dtype,
        processor_config: args.processor_config.clone(),
        tokens_only: args.tokens_only,
        calibrate: args.calibrate.clone().map(|path| Source {
            path,
            count: args.calibrate_images,
        }),
        pack: args.pack,
        bad_pictures: args.bad_pictures,
        processor: args.processor,
        inline: args.inline,
        size: args.size,
    })
}
