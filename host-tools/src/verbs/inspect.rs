//! `igpt inspect`: what is in a model file, and what it costs to run.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;

use igpt_runtime::tools::pb::tensor_proto::DataType;
use igpt_runtime::tools::report::ModelReport;
use igpt_runtime::tools::{Description, Family, describe};
use igpt_runtime::tools::{Panels, counted, one_line};
use igpt_runtime::{DecodedImage, Exits, ImageGptConfig, ImageGptImageProcessor, Isa, ProblemType};
use serde::Serialize;
use serde_json::Value;

use super::{plot, print_report};
use crate::boards::{BOARDS, Estimate, REACHED, REACHED_BY_MIT};
use crate::failure::{Blame, Failure, Late};
use crate::output::Outputs;
use crate::pictures::{Grid, format_of};
use crate::{imagegpt, processor, segformer};

/// Say what a model file is: configuration, palette, labels, operators, weights, recipe and cost.
///
/// Each board has two times. The bound: its cores' peak in int8 multiply-accumulates or its memory's peak,
/// whichever takes longer; nothing is faster. The forecast: the same at the share of the arithmetic's peak that
/// a PC reached; no board was measured. For a frame the weights are read once; so they are for every token of a
/// generated picture.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:
  igpt inspect model.onnx
  igpt inspect model.onnx --plots pictures/
  igpt inspect model.onnx --json | jq .boards")]
pub struct Args {
    /// The ONNX file that `igpt quantize` wrote.
    #[arg(value_name = "MODEL")]
    pub file: PathBuf,
    /// Draw into this folder: palette.png, the palette's colours.
    #[arg(long, value_name = "DIR")]
    pub plots: Option<PathBuf>,
    /// The same, as a file of this name.
    #[arg(long, value_name = "FILE.png", hide = true, conflicts_with = "plots")]
    pub png: Option<PathBuf>,
    /// Print the report as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Weights of one kind.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Weights {
    /// Tensors.
    pub tensors: usize,
    /// Values.
    pub values: u64,
    /// Bytes of the values.
    pub bytes: u64,
}

/// How a file is packed.
#[derive(Clone, Debug, Serialize)]
pub struct Packed {
    /// Columns and rows of a group, as in `igpt.panels`.
    pub name: String,
    /// Kernels that use such weights where they lie; any other repacks them while loading.
    pub kernels: Vec<&'static str>,
}

impl Packed {
    fn new(name: &str) -> Self {
        let read = |isa: &&Isa| Panels::of(**isa).to_string() == name;
        Self {
            name: name.to_owned(),
            kernels: Isa::ALL.iter().filter(read).map(|isa| isa.name()).collect(),
        }
    }
}

/// The matrices of the blocks' linear layers.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Matrices {
    /// Weights, with those that pad panels.
    pub values: u64,
    /// Their bytes, with the multipliers of int4, without scales.
    pub bytes: u64,
    /// Bits of each.
    pub bits_per_weight: f64,
}

/// What a file is.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The file.
    pub model: ModelReport,
    /// Where it may stop early, if it has probes for that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exits: Option<Exits>,
    /// Hugging Face's configuration.
    pub config: Value,
    /// The palette's colours, RGB8, in the order of their tokens.
    pub palette: Vec<[u8; 3]>,
    /// Nodes of each operator.
    pub operators: BTreeMap<String, usize>,
    /// In which panels int8 weights lie, and the kernels that read them so; null if they are row-major.
    pub panels: Option<Packed>,
    /// By data type.
    pub weights: BTreeMap<String, Weights>,
    /// Those of the blocks.
    pub matrices: Matrices,
    /// How it was quantised.
    pub recipe: Value,
    /// Where it came from.
    pub source: Value,
    /// Multiply-accumulates of one frame, those of a language model's head included.
    pub macs_per_frame: u64,
    /// Bytes of weights that a frame reads, once each; embeddings, of which it reads some rows, left out.
    pub bytes_per_frame: u64,
    /// The least time of a frame on each board, and the time to expect.
    pub boards: Vec<Estimate>,
    /// The same of one token of generation at the end of the picture; for a causal file.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub boards_per_token: Vec<Estimate>,
}

/// Runs the verb and prints its report.
///
/// # Errors
/// A file that cannot be used (bad input), an output that cannot be written.
pub fn run(args: &Args) -> Result<(), Failure> {
    let picture = plot(args.plots.as_deref(), "palette.png", args.png.as_ref());
    let mut outputs = Outputs::made_from([&args.file]);
    if let Some(path) = &picture {
        format_of(path)?;
        outputs.file(path)?;
    }
    let report = inspect(args)?;
    let mut late = Late::default();
    if let Some(path) = &picture {
        late.note(swatch(&report).and_then(|grid| grid.save(path)));
    }
    late.note(print_report("inspect", args.json, &report, |out| {
        print(out, &report)
    }));
    late.end()
}

/// What is in the file; nothing is drawn.
///
/// # Errors
/// A file that cannot be used (bad input).
pub fn inspect(args: &Args) -> Result<Report, Failure> {
    // Every name, type and shape is checked: what follows describes a sound file.
    let description = describe(&args.file).bad_input()?;
    let model = ModelReport::described(&description, &args.file);
    let Description {
        family,
        proto,
        weight_bytes,
        ..
    } = description;
    let metadata = |key: &str| {
        let entry = proto.metadata_props.iter().find(|entry| entry.key == key);
        entry.map_or(Value::Null, |entry| {
            serde_json::from_str(&entry.value).unwrap_or_else(|_| entry.value.clone().into())
        })
    };
    let mut operators = BTreeMap::new();
    let mut weights = BTreeMap::<String, Weights>::new();
    let mut matrices = Matrices::default();
    let mut bytes_per_frame = 0;
    if let Some(graph) = &proto.graph {
        for node in &graph.node {
            *operators.entry(node.op_type.clone()).or_default() += 1;
        }
        for tensor in &graph.initializer {
            let kind = DataType::try_from(tensor.data_type).map_or("?", |kind| kind.as_str_name());
            let entry = weights.entry(kind.to_ascii_lowercase()).or_default();
            let values = tensor.dims.iter().product::<i64>().unsigned_abs();
            entry.tensors += 1;
            entry.values += values;
            let bytes = weight_bytes.get(&tensor.name).copied().unwrap_or_default() as u64;
            entry.bytes += bytes;
            let of_block = is_matrix(&tensor.name) && tensor.dims.len() > 1;
            if of_block && tensor.name.ends_with(".weight") {
                matrices.values += values;
                matrices.bytes += bytes;
            } else if of_block && tensor.name.ends_with(".weight_multiplier") {
                matrices.bytes += bytes;
            }
            // Of an embedding a few rows are read.
            if !tensor.name.starts_with("transformer.w") {
                bytes_per_frame += bytes;
            }
        }
    }
    matrices.bits_per_weight = 8.0 * matrices.bytes as f64 / matrices.values.max(1) as f64;
    let reached = reached(&model);
    let estimate = |macs, bytes| {
        let boards = BOARDS.iter();
        boards.map(|b| b.estimate(macs, bytes, reached)).collect()
    };
    let task = model.task;
    let (palette, macs_per_frame, per_token) = match &family {
        Family::ImageGpt {
            config, processor, ..
        } => {
            let palette = processor.as_ref().map(colors).unwrap_or_default();
            let tokens = model.tokens.unwrap_or_default();
            let per_token = match task {
                "causal" => {
                    let (macs, past) = last_token(config, tokens);
                    estimate(macs, bytes_per_frame + past)
                }
                _ => Vec::new(),
            };
            let (linear, attention) = imagegpt::cost::macs(config, task, tokens);
            (palette, linear + attention, per_token)
        }
        Family::Segformer { config, size, .. } => {
            let macs = segformer::cost::macs(config, task, *size).bad_input()?;
            (Vec::new(), macs.0 + macs.1, Vec::new())
        }
    };
    let exits = match family {
        Family::ImageGpt { exits, .. } => exits,
        Family::Segformer { .. } => None,
    };
    Ok(Report {
        model,
        exits,
        config: metadata("igpt.config"),
        palette,
        operators,
        panels: metadata("igpt.panels").as_str().map(Packed::new),
        weights,
        matrices,
        recipe: metadata("igpt.recipe"),
        source: metadata("igpt.source"),
        macs_per_frame,
        bytes_per_frame,
        boards: estimate(macs_per_frame, bytes_per_frame),
        boards_per_token: per_token,
    })
}

/// Whether a tensor is of a linear layer in a block, or of a convolution that is one over windows.
fn is_matrix(name: &str) -> bool {
    name.starts_with("transformer.h.")
        || (name.starts_with("segformer.") && !name.contains(".dwconv."))
}

/// Multiply-accumulates of the last token of generation, and bytes of the past that it reads.
fn last_token(config: &ImageGptConfig, tokens: usize) -> (u64, u64) {
    let work = |tokens| {
        let (linear, attention) = imagegpt::cost::macs(config, "causal", tokens);
        linear + attention
    };
    // Keys and values of the whole past, int8.
    let past = 2 * (config.n_layer * config.n_embd * tokens) as u64;
    (work(tokens) - work(tokens.saturating_sub(1)), past)
}

fn colors(processor: &ImageGptImageProcessor) -> Vec<[u8; 3]> {
    (0..=u16::MAX)
        .map_while(|token| processor.color_rgb8(token))
        .collect()
}

/// The colours in rows of 32, in the order of their tokens.
fn swatch(report: &Report) -> Result<Grid, Failure> {
    const COLUMNS: usize = 32;
    let (file, palette) = (report.model.path(), &report.palette);
    if report.model.size.is_some() {
        let what = "a SegFormer reads pixels as they are, there is no palette to draw";
        return Err(anyhow::anyhow!("{}: {what}", file.display())).misused();
    }
    if palette.is_empty() {
        return Err(crate::processor::missing(file)).bad_input();
    }
    let mut grid = Grid::new(
        COLUMNS.min(palette.len().max(1)),
        palette.len().div_ceil(COLUMNS),
        (1, 1),
        16,
    )
    .failed()?;
    for (index, color) in palette.iter().enumerate() {
        grid.put(
            index % COLUMNS,
            index / COLUMNS,
            &DecodedImage::new(1, 1, color.to_vec()).failed()?,
        );
    }
    Ok(grid)
}

fn print(out: &mut impl Write, report: &Report) -> io::Result<()> {
    let config = &report.config;
    writeln!(
        out,
        "{}: {} in {}",
        report.model.path().display(),
        report.model.task,
        report.model.dtype
    )?;
    for key in config_keys(report.model.model_type) {
        writeln!(
            out,
            "  {key:<20} {}",
            config.get(key).unwrap_or(&Value::Null)
        )?;
    }
    if let (Some(labels), "classify") = (config.get("id2label"), report.model.task) {
        writeln!(out, "labels: {}", one_line(&labels.to_string()))?;
    }
    if let Some(problem) = report.model.problem_type {
        let meaning = ProblemType::from_name(problem).map_or("", ProblemType::describe);
        writeln!(out, "problem type: {problem}: {meaning}")?;
    }
    match (report.model.size, report.palette.len()) {
        (Some([height, width]), _) => writeln!(out, "pictures: {width} x {height} pixels")?,
        (None, 0) => writeln!(out, "palette: none, it takes tokens and no images")?,
        (None, colors) => writeln!(out, "palette: {}", counted(colors, "colour"))?,
    }
    if let Some(Ok(backend)) = report.model.processor.map(str::parse) {
        let made = report.model.size.map_or("tokens", |_| "pixel values");
        writeln!(out, "{made} as by {}", processor::title(backend))?;
    }
    if let Some(exits) = &report.exits {
        let layers: Vec<String> = exits.layers.iter().map(usize::to_string).collect();
        let layers = layers.join(", ");
        writeln!(
            out,
            "exits: after blocks {layers}; promises of agreement, by {}:",
            counted(exits.samples as usize, "held-out image")
        )?;
        for level in &exits.levels {
            let (agreement, saved) = (level.agreement, 100.0 * level.saved);
            writeln!(out, "  {agreement:<6} saves {saved:.1} % of the blocks")?;
        }
    }
    if io::stdout().is_terminal() {
        for row in report.palette.chunks(32) {
            for [r, g, b] in row {
                write!(out, "\x1b[48;2;{r};{g};{b}m  ")?;
            }
            writeln!(out, "\x1b[0m")?;
        }
    }
    writeln!(out, "operators:")?;
    for (operator, count) in &report.operators {
        writeln!(out, "  {operator:<28} {count:>5}")?;
    }
    writeln!(out, "weights:")?;
    for (kind, weights) in &report.weights {
        let Weights {
            tensors,
            values,
            bytes,
        } = weights;
        let noun = if *tensors == 1 { "tensor" } else { "tensors" };
        writeln!(
            out,
            "  {kind:<10} {tensors:>5} {noun:<7} {values:>14} values {bytes:>14} bytes"
        )?;
    }
    let Matrices {
        values,
        bits_per_weight,
        ..
    } = report.matrices;
    writeln!(
        out,
        "matrices of the blocks: {values} weights of {bits_per_weight:.3} bits"
    )?;
    if let Some(Packed { name, kernels }) = &report.panels {
        let kernels = kernels.join(", ");
        writeln!(out, "packed in panels of {name}, for {kernels}")?;
    }
    writeln!(out, "recipe: {}", report.recipe)?;
    writeln!(out, "source: {}", report.source)?;
    let read = match (report.model.size, report.model.tokens) {
        (Some([height, width]), _) => format!("{width} x {height} pixels"),
        (None, tokens) => format!("{} tokens", tokens.unwrap_or_default()),
    };
    writeln!(
        out,
        "a frame: {read}, {:.3} GMAC, {:.2} MB of weights",
        report.macs_per_frame as f64 / 1e9,
        report.bytes_per_frame as f64 / 1e6,
    )?;
    writeln!(out, "a frame on boards, weights read from memory once:")?;
    estimates(out, &report.boards)?;
    if !report.boards_per_token.is_empty() {
        writeln!(out, "a generated token, the last of a picture:")?;
        estimates(out, &report.boards_per_token)?;
    }
    writeln!(
        out,
        "  bound: arithmetic or memory at its peak; forecast: arithmetic at {:.0} % of it, as a PC reached; no board was \
         measured",
        100.0 * reached(&report.model)
    )?;
    Ok(())
}

/// The share of the arithmetic's peak that a forecast is for.
fn reached(model: &ModelReport) -> f64 {
    match model.model_type {
        "segformer" => REACHED_BY_MIT,
        _ => REACHED,
    }
}

/// What of the configuration is told.
fn config_keys(model_type: &str) -> &'static [&'static str] {
    match model_type {
        "segformer" => &[
            "depths",
            "hidden_sizes",
            "num_attention_heads",
            "sr_ratios",
            "mlp_ratios",
            "patch_sizes",
            "strides",
            "hidden_act",
        ],
        _ => &[
            "n_layer",
            "n_embd",
            "n_head",
            "n_inner",
            "n_positions",
            "vocab_size",
            "activation_function",
        ],
    }
}

fn estimates(out: &mut impl Write, list: &[Estimate]) -> io::Result<()> {
    for e in list {
        let (compute, bandwidth) = (1e3 * e.compute, 1e3 * e.bandwidth);
        writeln!(
            out,
            "  {:<12} forecast {:>10.3} ms, bound {:>10.3} ms by {} (compute {compute:.3}, bandwidth {bandwidth:.3})",
            e.board,
            1e3 * e.forecast,
            1e3 * e.bound(),
            e.bound_by
        )?;
    }
    Ok(())
}
