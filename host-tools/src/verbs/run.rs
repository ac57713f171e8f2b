//! `igpt run`: what the runtime computes from images or tokens, as arrays that anyone can check.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, anyhow};
use igpt_runtime::Task;
use igpt_runtime::tools::report::RunReport;
use igpt_runtime::{ImageGptModel, ModelOutput, ProblemType, image_io};
use serde::Serialize;

use super::{Backend, describe_run, load_model, print_report};
use crate::arrays::{NpzWriter, TokenBatch};
use crate::failure::{Blame, Failure, Late};
use crate::output::Outputs;

/// Run a model file and write tokens, every hidden state and the logits.
///
/// The .npz holds `tokens` int64 [batch, tokens], `hidden_states` f32 [layers + 1, batch, tokens, width] as
/// Hugging Face numbers them (the last after ln_f), and `logits` f32 if the file has a head; of a classifier that gives
/// probabilities, these too: `probabilities` f32. Tokens are taken
/// as they are: for a causal model nothing is put before or shifted.
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
    /// Sequences.
    pub batch: usize,
    /// Tokens of each.
    pub tokens: usize,
    /// Time of the forward pass, all sequences together.
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
    let model = load_model(&args.file, &args.backend.options()?)?;
    let batch = match &args.tokens {
        Some(path) => TokenBatch::read(path).bad_input()?,
        None => tokenize(&model, &args.file, &args.images)?,
    };
    let rows: Vec<&[u16]> = batch.rows().collect();
    let start = Instant::now();
    let output = model.forward(&rows).bad_input()?;
    let seconds = start.elapsed().as_secs_f64();
    let report = Report {
        run: describe_run(&model, &args.file, &args.file),
        file: args.output.clone(),
        batch: rows.len(),
        tokens: batch.tokens,
        seconds,
    };
    let mut late = Late::default();
    let saved = save(&args.output, &model, &batch, &output);
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
            "{}: {}{}, {batch} x {tokens} tokens in {seconds:.4} s on {}",
            file.display(),
            run.model.task,
            run.model
                .problem_type
                .map_or_else(String::new, |problem| format!(" ({problem})")),
            run.isa
        )
    }));
    late.end()
}

fn tokenize(model: &ImageGptModel, file: &Path, images: &[PathBuf]) -> Result<TokenBatch, Failure> {
    let no_processor = || {
        anyhow!(
            "{}: no image processor in it, so it takes no images: give it --tokens FILE.npy, or make it \
             again with `igpt quantize --processor-config FILE.json`",
            file.display()
        )
    };
    let processor = model.processor().ok_or_else(no_processor).bad_input()?;
    let mut ids = Vec::new();
    let mut tokens = None;
    for path in images {
        let at = || path.display().to_string();
        let image = image_io::decode_file(path).bad_input()?;
        let row = processor
            .tokens_from_image(&image)
            .with_context(at)
            .bad_input()?;
        let expected = *tokens.get_or_insert(row.len());
        if row.len() != expected {
            let found = row.len();
            return Err(anyhow!(
                "{}: {found} tokens, the first image has {expected}",
                at()
            ))
            .bad_input();
        }
        ids.extend(row);
    }
    Ok(TokenBatch {
        ids,
        tokens: tokens.unwrap_or_default(),
    })
}

/// Writes the arrays with their shapes.
fn save(
    path: &Path,
    model: &ImageGptModel,
    batch: &TokenBatch,
    output: &ModelOutput,
) -> anyhow::Result<()> {
    let config = model.config();
    let (rows, tokens) = (batch.rows().len(), batch.tokens);
    let mut npz = NpzWriter::create(path)?;
    let ids: Vec<i64> = batch.ids.iter().map(|id| i64::from(*id)).collect();
    npz.add("tokens", &[rows, tokens], [ids.as_slice()])?;
    let shape = [output.hidden_states.len(), rows, tokens, config.n_embd];
    npz.add(
        "hidden_states",
        &shape,
        output.hidden_states.iter().map(Vec::as_slice),
    )?;
    match model.task() {
        Task::Features => {}
        Task::Classify => {
            let shape = [rows, config.num_labels()];
            npz.add("logits", &shape, [output.logits.as_slice()])?;
            // A regression's logits are its values.
            let problem = config.resolved_problem_type();
            if problem != ProblemType::Regression {
                let of = output.logits.chunks_exact(config.num_labels().max(1));
                let probabilities: Vec<f32> = of.flat_map(|row| problem.scores(row)).collect();
                npz.add("probabilities", &shape, [probabilities.as_slice()])?;
            }
        }
        Task::Causal => {
            npz.add(
                "logits",
                &[rows, tokens, config.num_colors()],
                [output.logits.as_slice()],
            )?;
        }
    }
    npz.finish()
}
