//! `igpt run`: what the runtime computes from images or tokens, as arrays that anyone can check.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, anyhow};
use igpt_runtime::Task;
use igpt_runtime::tools::counted;
use igpt_runtime::tools::report::RunReport;
use igpt_runtime::{AutoModel, ImageGptModel, ModelOutput, ProblemType, SegformerModel, image_io};
use serde::Serialize;

use super::{Backend, describe_run, print_report};
use crate::arrays::{NpzWriter, TokenBatch};
use crate::failure::{Blame, Failure, Late};
use crate::loaded::{Input, LoadedModel};
use crate::output::Outputs;

/// Run a model file and write what it reads, every hidden state and the logits.
///
/// Of an ImageGPT the .npz holds `tokens` int64 [batch, tokens] and `hidden_states` f32 [layers + 1, batch, tokens, width]
/// as Hugging Face numbers them (the last after ln_f). Tokens are taken as they are: for a causal model nothing is put
/// before or shifted. Of a SegFormer it holds `pixel_values` f32 [batch, channels, height, width] and for each stage
/// `hidden_states.0` f32 [batch, height, width, channels] and so on: channels last, where Hugging Face has them second.
/// Both: `logits` f32 if the file has a head, and of a classifier that gives probabilities these too, `probabilities` f32.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:
  igpt run model.onnx picture.png -o out.npz
  igpt run model.onnx photos/*.jpg -o out.npz --threads 1 --json
  igpt run model.onnx --tokens tokens.npy -o out.npz --isa scalar

An image that cannot be read is an error: rows of the arrays are the images in
their order. For labels see igpt classify.")]
pub struct Args {
    /// The ONNX file that `igpt quantize` wrote.
    #[arg(value_name = "MODEL")]
    pub file: PathBuf,
    /// Images in any format, size and colour type; each is one sequence of the batch.
    #[arg(required_unless_present = "tokens", conflicts_with = "tokens")]
    pub images: Vec<PathBuf>,
    /// Integers [tokens] or [batch, tokens] instead of images.
    #[arg(long, value_name = "T.npy")]
    pub tokens: Option<PathBuf>,
    /// The .npz to write.
    #[arg(short, long, value_name = "OUT.npz")]
    pub output: PathBuf,
    /// How to run it.
    #[command(flatten)]
    pub backend: Backend,
    /// Print the report as JSON.
    #[arg(long)]
    pub json: bool,
}

/// What a run did.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The model and how it ran.
    #[serde(flatten)]
    pub run: RunReport,
    /// The arrays that were written.
    pub file: PathBuf,
    /// Sequences, or images.
    pub batch: usize,
    /// Tokens of each; of an ImageGPT.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<usize>,
    /// Time of the forward pass, all of them together.
    pub seconds: f64,
}

/// Runs the verb and prints its report.
///
/// # Errors
/// A model, image or token that cannot be used (bad input), an output that cannot be written.
pub fn run(args: &Args) -> Result<(), Failure> {
    let inputs = args.images.iter().chain(&args.tokens);
    let mut outputs = Outputs::made_from(inputs.chain([&args.file]));
    outputs.file(&args.output)?;
    let model = LoadedModel::load(&args.file, &args.backend.options()?)?;
    let inputs = read_inputs(&model, args)?;
    let start = Instant::now();
    let output = match model.model() {
        AutoModel::ImageGpt(model) => {
            let rows: Vec<&[u16]> = inputs.iter().map(Input::tokens).collect();
            model.forward(&rows)
        }
        AutoModel::Segformer(model) => {
            let all: Vec<f32> = inputs.iter().flat_map(Input::pixels).copied().collect();
            model.forward(&all)
        }
        _ => Ok(ModelOutput::default()),
    };
    let output = output.bad_input()?;
    let seconds = start.elapsed().as_secs_f64();
    let tokens = inputs.first().map_or(0, |input| input.tokens().len());
    let report = Report {
        run: describe_run(model.model(), &args.file, &args.file),
        file: args.output.clone(),
        batch: inputs.len(),
        tokens: (tokens > 0).then_some(tokens),
        seconds,
    };
    let mut late = Late::default();
    let saved = save(&args.output, &model, &inputs, &output);
    let saved = saved.with_context(|| args.output.display().to_string());
    late.note(saved.failed());
    late.note(print_report("run", args.json, &report, |out| {
        let Report {
            run,
            file,
            batch,
            tokens,
            seconds,
        } = &report;
        writeln!(
            out,
            "{}: {}{}, {} in {seconds:.4} s on {}",
            file.display(),
            run.model.task,
            run.model
                .problem_type
                .map_or_else(String::new, |problem| format!(" ({problem})")),
            match tokens {
                Some(tokens) => format!("{batch} x {tokens} tokens"),
                None => counted(*batch, "image"),
            },
            run.isa
        )
    }));
    late.end()
}

/// The tokens given, or what the model reads of the images.
fn read_inputs(model: &LoadedModel, args: &Args) -> Result<Vec<Input>, Failure> {
    let file = args.file.display();
    if let Some(path) = &args.tokens {
        if !matches!(model.model(), AutoModel::ImageGpt(_)) {
            return Err(anyhow!(
                "{file}: a {} model, which reads pixels: --tokens is for ImageGPT, give it images",
                model.config().model_type()
            ))
            .misused();
        }
        let batch = TokenBatch::read(path).bad_input()?;
        return Ok(batch
            .rows()
            .map(|row| Input::Tokens(row.to_vec()))
            .collect());
    }
    if model.processor().is_none() {
        return Err(anyhow!(
            "{file}: no image processor in it, so it takes no images: give it --tokens FILE.npy, or make it again with \
             `igpt quantize --processor-config FILE.json`"
        ))
        .bad_input();
    }
    let read = |path: &PathBuf| {
        let image = image_io::decode_file(path).bad_input()?;
        let input = model.input(&image);
        input
            .with_context(|| path.display().to_string())
            .bad_input()
    };
    args.images.iter().map(read).collect()
}

/// Writes the arrays with their shapes.
fn save(
    path: &Path,
    model: &LoadedModel,
    inputs: &[Input],
    output: &ModelOutput,
) -> anyhow::Result<()> {
    let mut npz = NpzWriter::create(path)?;
    match model.model() {
        AutoModel::ImageGpt(model) => save_tokens(&mut npz, model, inputs, output)?,
        AutoModel::Segformer(model) => save_pixels(&mut npz, model, inputs, output)?,
        _ => {}
    }
    save_classes(&mut npz, model, inputs.len(), output)?;
    npz.finish()
}

/// An ImageGPT's tokens and hidden states, and a language model's logits.
fn save_tokens(
    npz: &mut NpzWriter,
    model: &ImageGptModel,
    inputs: &[Input],
    output: &ModelOutput,
) -> anyhow::Result<()> {
    let rows = inputs.len();
    let tokens = inputs.first().map_or(0, |input| input.tokens().len());
    let ids = inputs.iter().flat_map(Input::tokens);
    let ids: Vec<i64> = ids.map(|id| i64::from(*id)).collect();
    npz.add("tokens", &[rows, tokens], [ids.as_slice()])?;
    let shape = [
        output.hidden_states.len(),
        rows,
        tokens,
        model.config().n_embd,
    ];
    let states = output.hidden_states.iter().map(Vec::as_slice);
    npz.add("hidden_states", &shape, states)?;
    if model.task() == Task::Causal {
        let shape = [rows, tokens, model.config().num_colors()];
        npz.add("logits", &shape, [output.logits.as_slice()])?;
    }
    Ok(())
}

/// A SegFormer's pixel values and the map of each stage.
fn save_pixels(
    npz: &mut NpzWriter,
    model: &SegformerModel,
    inputs: &[Input],
    output: &ModelOutput,
) -> anyhow::Result<()> {
    let (rows, (height, width)) = (inputs.len(), model.size());
    let shape = [rows, model.config().num_channels, height, width];
    npz.add("pixel_values", &shape, inputs.iter().map(Input::pixels))?;
    let maps = model.grids().into_iter().zip(&model.config().hidden_sizes);
    for (stage, (state, ((height, width), channels))) in
        output.hidden_states.iter().zip(maps).enumerate()
    {
        let shape = [rows, height, width, *channels];
        npz.add(
            &format!("hidden_states.{stage}"),
            &shape,
            [state.as_slice()],
        )?;
    }
    Ok(())
}

/// A classifier's logits and what they mean.
fn save_classes(
    npz: &mut NpzWriter,
    model: &LoadedModel,
    rows: usize,
    output: &ModelOutput,
) -> anyhow::Result<()> {
    if model.task() != Task::Classify {
        return Ok(());
    }
    let labels = model.config().num_labels();
    let shape = [rows, labels];
    npz.add("logits", &shape, [output.logits.as_slice()])?;
    // A regression's logits are its values.
    let problem = model.config().resolved_problem_type();
    if problem != ProblemType::Regression {
        let of = output.logits.chunks_exact(labels.max(1));
        let probabilities: Vec<f32> = of.flat_map(|row| problem.scores(row)).collect();
        npz.add("probabilities", &shape, [probabilities.as_slice()])?;
    }
    Ok(())
}
