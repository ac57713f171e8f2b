//! `igpt bench`: how long a model takes on this machine, where the time goes, and how near that is to the
//! most it can do.

mod cpu;
mod forward;
mod generation;
mod input;
mod machine;
mod random;
mod report;
mod source;
mod step;
mod stream;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use anyhow::anyhow;
use igpt_runtime::tools::report::{ModelReport, Reported as _, file_crc32};
use igpt_runtime::{
    AutoModel, ImageGptConfig, ImageGptModel, Isa, LoadOptions, ModelConfig, StabilizerOptions,
};

use super::print_report;
use crate::choices;
use crate::failure::{Blame as _, Failure};
use crate::hub;
use crate::loaded::{Input, LoadedModel};
use crate::onnx::{Dtype, Task};
use forward::{Pass, time};
use report::{Load, MachineReport, Memory, Report, Subject, Timing};
pub use source::Size;
use source::{Random, Source};
use stream::Frames;

/// Times of loading the file once it is in the system's cache.
const WARM_LOADS: usize = 3;

/// Measure a model on this machine.
///
/// MODEL is a file that `igpt quantize` wrote, or a checkpoint folder, which is quantised into a temporary
/// file first. Instead of it, --size measures random weights of any size of the ImageGPT paper, or of a Mix
/// Transformer (MiT-b0 to b5): no kernel's time depends on the values.
///
/// For each number of threads: percentiles of the time of a forward pass; its multiply-accumulates a second
/// as a fraction of the peak, which is what the integer dot-product instructions alone do on registers,
/// measured in the same run; and, of further runs, the time in each operator. With --generate, or a file made
/// for it, also tokens a second with the K/V cache as a fraction of the bound: reading the weights once for a
/// token of every sample, and each past, at the rate measured in the same run, or the dot products where
/// these take longer. Memory is that of one model and one sequence; page faults in steady state should be
/// none.
///
/// Use an idle machine. Nothing here is averaged away: the peak is the best of several short samples, and
/// `min` beside `median` tells how much other programs disturbed.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:
  igpt bench model.onnx
        a file, on 1, 2, 4, ... all cores
  igpt bench --size small --generate
        ImageGPT-small with random weights, and generation
  igpt bench --size mit-b0 --threads 1,2
        SegFormer's smallest encoder at 224 x 224
  igpt bench --size large --layers 4 --json
        four blocks of the large one, for a script
  igpt bench --size small --stream camera.mjpeg
        what stabilised tokens save on a camera's recording
  igpt bench --isa
        which kernels this machine gets, and why
  igpt bench model.onnx --isa=scalar --threads 2
        the same file on other kernels")]
pub struct Args {
    /// An ONNX file, or a checkpoint in Hugging Face's layout: its folder or its name on the hub.
    #[arg(value_name = "MODEL", required_unless_present_any = ["size", "isa"])]
    pub model: Option<PathBuf>,
    /// Random weights of this size instead of a model.
    #[arg(long, value_enum, conflicts_with = "model")]
    pub size: Option<Size>,
    /// Number of blocks [default: the size's].
    #[arg(long, requires = "size", conflicts_with = "model",
          value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub layers: Option<u32>,
    /// Seed of the random weights.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// How the linear layers of a checkpoint or of random weights are stored.
    #[arg(long, value_parser = choices::dtype(), default_value = "int8")]
    pub dtype: Dtype,
    /// Numbers of threads to try, 0 for one a core [default: 1, 2, 4, ... one a core].
    #[arg(long, value_delimiter = ',', value_name = "N,...",
          value_parser = clap::value_parser!(u16).range(0..=1024))]
    pub threads: Vec<u16>,
    /// Timed runs for each number of threads, after one that is not counted.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    pub runs: u32,
    /// Size of the pictures of a random Mix Transformer, one side for a square. [default: 224]
    #[arg(long, value_name = "WIDTHxHEIGHT", requires = "size", value_parser = choices::image_size)]
    pub image_size: Option<(usize, usize)>,
    /// Tokens of a forward pass of an ImageGPT [default: all the model has positions for].
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pub tokens: Option<u32>,
    /// Measure generation too. Files made for `--task causal` always are.
    #[arg(long)]
    pub generate: bool,
    /// Context lengths to generate from [default: those of 64, 256, 512 and 960 that the model has room for].
    #[arg(long, value_delimiter = ',', value_name = "N,...",
          value_parser = clap::value_parser!(u32).range(1..))]
    pub context: Vec<u32>,
    /// Tokens to generate at each context length.
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..))]
    pub new_tokens: u32,
    /// Sequences generated at once, in lockstep: the weights are read once for all.
    #[arg(long, value_delimiter = ',', value_name = "N,...", default_values_t = [1, 4, 12],
          value_parser = clap::value_parser!(u16).range(1..=256))]
    pub samples: Vec<u16>,
    /// Measure instead what stabilised tokens save on these frames: a Motion JPEG stream, each frame classified
    /// by itself and as `igpt-cam --stabilize` would, in turns. Random weights get a palette of its colours.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["generate", "context", "step", "tokens"])]
    pub stream: Option<PathBuf>,
    /// How much nearer another colour has to be for a pixel of a stream to take it.
    #[arg(long, value_name = "MARGIN", requires = "stream", value_parser = margin,
          default_value_t = StabilizerOptions::default().margin)]
    pub stabilize: f32,
    /// Instruction set to use instead of the fastest; without one, those of this machine are looked at.
    #[arg(long, alias = "cpu", value_name = "ISA", num_args = 0..=1, value_parser = super::isa(),
          hide_possible_values = true,
          help = super::isa_help(" Without MODEL and --size, print which kernels this machine gets, and why."))]
    pub isa: Option<Option<Isa>>,
    /// Run once for each line of standard input, and answer with the seconds: for scripts that interleave
    /// contenders. The first line of the answer is JSON with the load time and the logits. With --generate, a
    /// run is --new-tokens after the first --context.
    #[arg(long)]
    pub step: bool,
    /// Print the report as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Runs the verb and prints its report.
///
/// # Errors
/// A model that cannot be used (bad input), an instruction set that this machine lacks, a standard output
/// that cannot be written.
pub fn run(args: &Args) -> Result<(), Failure> {
    let isa = args.isa.flatten();
    if let Some(isa) = isa.filter(|isa| !isa.is_available()) {
        return Err(igpt_runtime::IsaError::Missing(isa)).failed();
    }
    let Some(source) = source(args)? else {
        let choice = cpu::choose(isa)?;
        return print_report("bench", args.json, &choice, |out| choice.print(out));
    };
    let sweep = sweep(&args.threads);
    let options = |threads| LoadOptions::new().with_threads(threads).with_cpu(isa);
    if let Some(path) = &args.stream {
        let report = stream(args, source, path, &sweep, options)?;
        return print_report("bench", args.json, &report, |out| {
            stream::print(&report, out)
        });
    }
    if args.step {
        let asked = args.context.first().map(|context| *context as usize);
        let run = if args.generate {
            step::Run::Generate {
                context: asked.unwrap_or(CONTEXTS[0]),
                new_tokens: args.new_tokens as usize,
            }
        } else {
            step::Run::Forward {
                tokens: args.tokens.map(|n| n as usize),
            }
        };
        let model = source.model(args.generate.then_some(Task::Causal))?;
        let threads = sweep.last().copied().unwrap_or(1);
        return step::serve(model.path(), &options(threads), run);
    }
    if args.generate || !args.context.is_empty() {
        check_generation(args, &source, &options(1))?;
    }
    let mut report = measure(args, &source, &sweep, options)?;
    if args.generate || report.model.model.task == Task::Causal.name() {
        let file = source.model(Some(Task::Causal))?;
        for &threads in &sweep {
            let model = ImageGptModel::load(file.path(), &options(threads)).bad_input()?;
            let plan = generation::Plan {
                contexts: &contexts(args, model.config())?,
                new_tokens: args.new_tokens as usize,
                samples: &args
                    .samples
                    .iter()
                    .map(|n| usize::from(*n))
                    .collect::<Vec<_>>(),
            };
            report
                .generation
                .extend(generation::measure(&model, threads, &plan)?);
        }
    }
    print_report("bench", args.json, &report, |out| {
        report::print(&report, out)
    })
}

/// What the arguments ask to measure; `None` if they only ask about the processor.
fn source(args: &Args) -> Result<Option<Source>, Failure> {
    let Some(size) = args.size else {
        let path = args.model.as_deref().map(hub::resolve).transpose()?;
        let file = path.as_ref().filter(|path| !path.is_dir());
        if let Some(file) = file.filter(|_| args.dtype != Dtype::Int8) {
            let (file, dtype) = (file.display(), args.dtype.name());
            let what = "its layers are stored as they are";
            return Err(anyhow!(
                "{file}: {what}, and --dtype {dtype} is for a checkpoint"
            ))
            .misused();
        }
        return Ok(path.map(|path| {
            if path.is_dir() {
                Source::Checkpoint(path, args.dtype)
            } else {
                Source::File(path)
            }
        }));
    };
    let config = size.config(args.layers.map(|n| n as usize))?;
    config.validate().bad_input()?;
    let pixels = matches!(config, ModelConfig::Segformer(_));
    let for_imagegpt = [
        (args.dtype == Dtype::Int4, "--dtype int4"),
        (args.tokens.is_some(), "--tokens"),
        (args.generate || !args.context.is_empty(), "--generate"),
    ];
    if let Some((_, option)) = for_imagegpt.iter().find(|(given, _)| pixels && *given) {
        return Err(anyhow!(
            "{option} is for ImageGPT, not for a Mix Transformer"
        ))
        .misused();
    }
    if !pixels && args.image_size.is_some() {
        return Err(anyhow!(
            "--image-size is for a Mix Transformer: an ImageGPT has --tokens"
        ))
        .misused();
    }
    Ok(Some(Source::Random(Box::new(Random {
        size,
        config,
        image: args.image_size.unwrap_or((224, 224)),
        seed: args.seed,
        dtype: args.dtype,
        processor: None,
    }))))
}

/// A margin of a stabilizer.
fn margin(text: &str) -> Result<f32, String> {
    let margin: Option<f32> = text.parse().ok();
    margin
        .filter(|margin| (0.0..=4.0).contains(margin))
        .ok_or_else(|| {
            "expected a number from 0 to 4, a distance between colours of [-1, 1]".into()
        })
}

/// Measures a stream of frames.
fn stream(
    args: &Args,
    mut source: Source,
    path: &Path,
    sweep: &[usize],
    options: impl Fn(usize) -> LoadOptions,
) -> Result<stream::Report, Failure> {
    if let Source::Random(random) = &source
        && !matches!(random.config, ModelConfig::ImageGpt(_))
    {
        return Err(anyhow!(
            "--stream is for ImageGPT: a Mix Transformer has no tokens that could be kept"
        ))
        .misused();
    }
    let frames = Frames::read(path)?;
    if let Source::Random(random) = &mut source {
        random.processor = Some(Arc::new(frames.processor(args.seed)?));
    }
    let file = source.model(Some(Task::Classify))?;
    stream::measure(
        file.path(),
        &source,
        &frames,
        args.stabilize,
        sweep,
        options,
    )
}

/// The numbers of threads to try.
fn sweep(asked: &[u16]) -> Vec<usize> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut sweep: Vec<usize> = asked
        .iter()
        .map(|n| if *n == 0 { cores } else { usize::from(*n) })
        .collect();
    if sweep.is_empty() {
        sweep.extend((0..).map(|i| 1 << i).take_while(|n| *n < cores));
        sweep.push(cores);
    }
    sweep
}

/// Contexts unless others are asked for.
const CONTEXTS: [usize; 4] = [64, 256, 512, 960];

/// The contexts to generate from, all of which leave room for the new tokens: of the usual ones those that do,
/// of those asked for every one.
fn contexts(args: &Args, config: &ImageGptConfig) -> Result<Vec<usize>, Failure> {
    let (new_tokens, most) = (args.new_tokens as usize, config.n_positions);
    let fits = |context: &usize| context + new_tokens <= most;
    let asked: Vec<usize> = args.context.iter().map(|n| *n as usize).collect();
    let usual: Vec<usize> = CONTEXTS.into_iter().filter(fits).collect();
    let too_long = asked.iter().find(|context| !fits(context));
    let contexts = if asked.is_empty() {
        usual
    } else {
        asked.clone()
    };
    match too_long.or_else(|| CONTEXTS.first().filter(|_| contexts.is_empty())) {
        Some(context) => Err(anyhow!(
            "--context {context} and --new-tokens {new_tokens}: the model has {most} positions"
        ))
        .bad_input(),
        None => Ok(contexts),
    }
}

/// Refuses to generate what cannot be, before minutes of forward passes.
fn check_generation(args: &Args, source: &Source, options: &LoadOptions) -> Result<(), Failure> {
    let path = match source {
        Source::File(path) => path,
        Source::Checkpoint(folder, _) => {
            return match ModelConfig::from_file(folder.join("config.json")).bad_input()? {
                ModelConfig::ImageGpt(config) => contexts(args, &config).map(|_| ()),
                other => Err(anyhow!(
                    "{}: a {} model predicts no tokens, --generate is for ImageGPT",
                    folder.display(),
                    other.model_type()
                ))
                .misused(),
            };
        }
        Source::Random(random) if args.generate => {
            return match &random.config {
                ModelConfig::ImageGpt(config) => contexts(args, config).map(|_| ()),
                _ => Ok(()),
            };
        }
        Source::Random(_) => {
            return Err(anyhow!(
                "--context: nothing is generated, expected --generate"
            ))
            .misused();
        }
    };
    let model = ImageGptModel::load(path, options).bad_input()?;
    if model.task() != igpt_runtime::Task::Causal {
        return Err(igpt_runtime::Error::Task {
            name: path.display().to_string(),
            found: model.task(),
            expected: &[Task::Causal],
        })
        .bad_input();
    }
    contexts(args, model.config()).map(|_| ())
}

/// What a forward pass is.
fn pass(args: &Args, model: &LoadedModel, source: &Source) -> Result<Pass, Failure> {
    if args.tokens.is_some() && !matches!(model.model(), AutoModel::ImageGpt(_)) {
        let (name, kind) = (source.name(), model.config().model_type());
        return Err(anyhow!(
            "{name}: a {kind} model reads pixels, --tokens is for ImageGPT"
        ))
        .misused();
    }
    Pass::new(model, args.tokens.map(|n| n as usize))
}

/// Loads the model at each number of threads and times forward passes.
fn measure(
    args: &Args,
    source: &Source,
    sweep: &[usize],
    options: impl Fn(usize) -> LoadOptions,
) -> Result<Report, Failure> {
    let file = source.model(None)?;
    let file_bytes = std::fs::metadata(file.path()).map_or(0, |data| data.len());
    machine::forget_peak();
    let mut memory = Memory {
        before: machine::peak_memory(),
        peak: None,
    };
    let mut load_times = Vec::new();
    let mut report: Option<Report> = None;
    for &threads in sweep {
        let load = || {
            let start = Instant::now();
            let model = AutoModel::load(file.path(), &options(threads)).bad_input()?;
            Ok::<_, Failure>((model, start.elapsed().as_secs_f64()))
        };
        let (model, seconds) = load()?;
        let model = LoadedModel::from(model);
        load_times.push(seconds);
        let pass = pass(args, &model, source)?;
        let timing = time(&model, &pass, args.runs as usize, threads)?;
        if report.is_none() {
            // Before the bandwidth's buffer, and before a second model.
            memory.peak = machine::peak_memory();
            let (linear, attention) = pass.macs();
            let crc32 = file_crc32(file.path()).ok();
            let described = model.model().model_report(source.file(), crc32);
            let tokens = match &pass.input {
                Input::Tokens(tokens) => Some(tokens.len()),
                Input::Pixels(_) => described.tokens,
            };
            report = Some(Report {
                model: Subject {
                    model: ModelReport {
                        tokens,
                        ..described
                    },
                    source: source.name(),
                    linear_gmac: linear as f64 / 1e9,
                    attention_gmac: attention as f64 / 1e9,
                },
                machine: MachineReport::here(),
                isa: model.isa().name(),
                load: Load {
                    weights: model.packing().map_or_else(String::new, |p| p.to_string()),
                    first: seconds,
                    warm: f64::NAN,
                    file_bytes,
                },
                memory: memory.clone(),
                timings: Vec::new(),
                generation: Vec::new(),
            });
        }
        drop(model);
        let memory_gb_per_s = machine::bandwidth(machine::beyond_caches(), threads)?;
        if let Some(report) = &mut report {
            report.timings.push(Timing {
                memory_gb_per_s,
                ..timing
            });
        }
        for _ in 0..WARM_LOADS {
            load_times.push(load()?.1);
        }
    }
    let mut report = report
        .ok_or_else(|| anyhow!("no number of threads to try"))
        .failed()?;
    report.load.warm = load_times.into_iter().skip(1).fold(f64::INFINITY, f64::min);
    Ok(report)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_are_swept_in_powers_of_two_up_to_all_cores_unless_told() {
        let cores = std::thread::available_parallelism().unwrap().get();
        assert_eq!(sweep(&[3, 0]), [3, cores]);
        let all = sweep(&[]);
        assert_eq!(all.last(), Some(&cores));
        assert!(all.is_sorted() && all.first() <= Some(&1).max(Some(&cores)));
    }
}
