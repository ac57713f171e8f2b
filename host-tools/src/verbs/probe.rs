//! `igpt probe`: which layer knows most of a data set, and that layer as a model of its own.

mod data;
mod exits;
mod features;
mod report;
mod write;

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use igpt_heads::{Logistic, Quality};
use igpt_runtime::tools::Packing;
use igpt_runtime::{ImageGptModel, ModelConfig};
use indicatif::{ProgressBar, ProgressStyle};

use super::{Backend, describe_run, plot as plot_path, print_report};
use crate::arrays::NpzWriter;
use crate::failure::{Blame, Failure, Late};
use crate::labelled::LabelledSet;
use crate::loaded::LoadedModel;
use crate::onnx::{Dtype, Task};
use crate::output::Outputs;
use crate::skips::{BadPictures, Reader};
use crate::source::ModelSource;
use data::{Asked, Data};
use features::Features;
use report::{best, plot, print};
use write::Cut;

pub use exits::{ExitReport, ProbeReport};
pub use report::{LayerReport, Report, WithExits, Written};

/// Find the layer whose features tell the classes of your images apart best, and write it as a model.
///
/// Linear probing as in the ImageGPT paper: of every layer (of a SegFormer every stage) the hidden states, normalised
/// and averaged over the image, go into a logistic regression. The best features are often those of a middle layer, and a file
/// that stops there is smaller and faster.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "The images (--data, --test):
  a folder with a folder of images for each class (their names are the
    labels), or with train/ and test/ of that form (or training, valid, val,
    dev, eval and so on, in any case);
  a folder with IDX files (train-images-idx3-ubyte and t10k-...), or one IDX
    file, its labels beside it;
  a CSV with the columns file_name and label, the files named from where it
    lies.
What is measured: --test, else the data set's own test part, else --held-out
of each class.

Examples:
  igpt probe openai/imagegpt-small --data photos/ -o photos.onnx
        a classifier for photos/cat, photos/dog and so on;
        igpt-cam --model photos.onnx runs it
  igpt probe photos.onnx --data photos/ --exits 8,12,16 -o early.onnx
        may stop after the 8th, 12th or 16th block
  igpt probe model.onnx --data labels.csv --limit 2000 --json
        a look at 2000 images, as JSON")]
pub struct Args {
    /// The ONNX file that `igpt quantize` wrote, for any task, or a checkpoint (its folder or its name on the
    /// hub, taken as int8).
    #[arg(value_name = "MODEL")]
    pub model: PathBuf,
    /// Labelled images: a folder a class, IDX or a CSV.
    #[arg(long)]
    pub data: PathBuf,
    /// Labelled images to measure on.
    #[arg(long, value_name = "DATA")]
    pub test: Option<PathBuf>,
    /// Without a test set: the share of each class that is kept from the fit and measured on.
    /// [default: 0.2]
    #[arg(long, value_name = "SHARE", value_parser = share, conflicts_with = "test")]
    pub held_out: Option<f64>,
    /// So many images of each part at most, drawn at random.
    #[arg(long)]
    pub limit: Option<usize>,
    /// Seed of what is drawn.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// The inverse of the regularisation's strength, as scikit-learn's C; smaller for few images.
    #[arg(short, long = "c", default_value_t = 1.0, value_parser = positive)]
    pub c: f64,
    /// The int8 model file to write: the best layer with its regression as the head. Not from a packed file.
    #[arg(short, long, value_name = "BEST.onnx")]
    pub output: Option<PathBuf>,
    /// Write this layer instead of the best.
    #[arg(long, requires = "output", value_parser = clap::value_parser!(u16).range(1..))]
    pub layer: Option<u16>,
    /// Add a probe after each of these blocks of a classifier, fitted to what the whole model says, and write it with the promises that
    /// the held-out images allow: `igpt-cam --exit` stops at the first that is sure enough. A model that is no classifier becomes
    /// one first.
    #[arg(long, value_name = "LAYER,...", value_delimiter = ',', requires = "output",
          conflicts_with_all = ["plots", "plot", "features"], value_parser = clap::value_parser!(u16).range(1..))]
    pub exits: Vec<u16>,
    /// Draw into this folder: accuracy.svg, accuracy over layer.
    #[arg(long, value_name = "DIR")]
    pub plots: Option<PathBuf>,
    /// The same, as a file of this name.
    #[arg(long, value_name = "FILE.svg", hide = true, conflicts_with = "plots")]
    pub plot: Option<PathBuf>,
    /// Write the features, [layers + 1, images, width], and labels: train_features, train_labels,
    /// test_features, test_labels. Where layers are of several widths, as a SegFormer's stages, an array for each:
    /// train_features.1 and so on, [images, width].
    #[arg(long, value_name = "OUT.npz")]
    pub features: Option<PathBuf>,
    /// What to do about a picture that cannot be read.
    #[command(flatten)]
    pub bad_pictures: BadPictures,
    /// How to run it.
    #[command(flatten)]
    pub backend: Backend,
    /// Print the report as JSON.
    #[arg(long)]
    pub json: bool,
}

fn share(text: &str) -> Result<f64, String> {
    let share = text
        .parse()
        .ok()
        .filter(|share| (0.0..1.0).contains(share) && *share > 0.0);
    share.ok_or_else(|| "expected a share between 0 and 1".into())
}

fn positive(text: &str) -> Result<f64, String> {
    let number = text
        .parse()
        .ok()
        .filter(|number: &f64| number.is_finite() && *number > 0.0);
    number.ok_or_else(|| "expected a number above 0".into())
}

/// Runs the verb and prints its report.
///
/// # Errors
/// A model or data set that cannot be used (bad input), an output that cannot be written.
pub fn run(args: &Args) -> Result<(), Failure> {
    if !args.exits.is_empty() {
        let (report, mut late) = with_exits(args)?;
        late.note(print_report("probe", args.json, &report, |out| {
            report
                .probe
                .as_ref()
                .map_or(Ok(()), |probe| print(out, probe))?;
            report.skips.print(out)?;
            exits::print(out, &report.exits)
        }));
        return late.end();
    }
    let (report, mut late) = probe(args)?;
    late.note(print_report("probe", args.json, &report, |out| {
        print(out, &report)
    }));
    late.end()
}

/// Adds exits to a classifier, which is made first if the model is none.
///
/// # Errors
/// As [`run`].
pub fn with_exits(args: &Args) -> Result<(WithExits, Late), Failure> {
    let options = args.backend.options()?;
    let mut outputs = Outputs::made_from([&args.model, &args.data].into_iter().chain(&args.test));
    let Some(output) = &args.output else {
        return Err(anyhow!("--exits needs --output")).misused();
    };
    outputs.file(output)?;
    let source = ModelSource::open(&args.model, None, Dtype::Int8)?;
    let model = LoadedModel::load(source.path(), &options)?;
    let ModelConfig::ImageGpt(config) = model.config() else {
        let (name, kind) = (args.model.display(), model.config().model_type());
        return Err(anyhow!("{name}: --exits is for ImageGPT, this is a {kind}")).misused();
    };
    exits::check_layers(&args.exits, config, &args.model)?;
    let is_classifier = model.task() == Task::Classify;
    if is_classifier && args.layer.is_some() {
        let name = args.model.display();
        return Err(anyhow!(
            "{name}: a classifier keeps its head, --layer is for a model without one"
        ))
        .misused();
    }
    let run = describe_run(model.model(), &args.model, source.path());
    drop(model);
    let folder = tempfile::tempdir().context("a temporary folder").failed()?;
    let made = folder.path().join("classifier.onnx");
    let (probe, late) = if is_classifier {
        (None, Late::default())
    } else {
        let (report, late) = probe(&Args {
            output: Some(made.clone()),
            ..args.clone()
        })?;
        (Some(report), late)
    };
    let classifier = match &probe {
        Some(_) => made.as_path(),
        None => source.path(),
    };
    let whole = ImageGptModel::load(classifier, &options).bad_input()?;
    let layers = exits::check_layers(&args.exits, whole.config(), &args.model)?;
    drop(whole);
    let data = Data::read(&asked(args)).bad_input()?;
    let bar = ProgressBar::new(0);
    let style = ProgressStyle::with_template("{msg:11} {wide_bar} {pos}/{len} {eta}").failed()?;
    bar.set_style(style);
    let plan = exits::Plan {
        source: classifier,
        name: &args.model,
        layers: &layers,
        train: &data.train,
        held_out: &data.test,
        c: args.c,
        options: &options,
        output,
    };
    let (exits, skips) = plan.run(|| Reader::new(args.bad_pictures, &bar), &bar)?;
    bar.finish_and_clear();
    let report = WithExits {
        run,
        probe,
        exits,
        skips,
    };
    Ok((report, late))
}

/// Which images the arguments ask for.
fn asked(args: &Args) -> Asked<'_> {
    Asked {
        data: &args.data,
        test: args.test.as_deref(),
        held_out: args.held_out,
        limit: args.limit,
        seed: args.seed,
    }
}

/// Runs the verb; what could not be written is told beside the report.
///
/// # Errors
/// As [`run`].
pub fn probe(args: &Args) -> Result<(Report, Late), Failure> {
    let options = args.backend.options()?;
    let chart = plot_path(args.plots.as_deref(), "accuracy.svg", args.plot.as_ref());
    let mut outputs = Outputs::made_from([&args.model, &args.data].into_iter().chain(&args.test));
    for path in [&args.output, &chart, &args.features].into_iter().flatten() {
        outputs.file(path)?;
    }
    let data = Data::read(&asked(args)).bad_input()?;
    let source = ModelSource::open(&args.model, Some(Task::Features), Dtype::Int8)?;
    let model = LoadedModel::load(source.path(), &options)?;
    // Of an ImageGPT the embeddings are layer 0; a SegFormer's stages count from 1.
    let (first, blocks) = match model.config() {
        ModelConfig::ImageGpt(config) => (0, config.n_layer),
        _ => (1, model.widths().len()),
    };
    let asked = args.layer.map(usize::from);
    if let Some(layer) = asked.filter(|layer| *layer > blocks) {
        return Err(anyhow!("--layer {layer}: the model has {blocks}")).bad_input();
    }
    let Some(size) = model.processor().map(|processor| processor.size()) else {
        return Err(crate::processor::missing(&args.model)).bad_input();
    };
    // Before the images, not after minutes of them.
    if args.output.is_some() && model.packing() != Some(Packing::AtLoad { file: None }) {
        return Err(anyhow!(
            "{}: its weights are in a CPU's order, -o needs the file it was packed from",
            args.model.display()
        ))
        .bad_input();
    }
    // indicatif draws on standard error, and only if that is a terminal.
    let bar = ProgressBar::new((data.train.1.len() + data.test.1.len()) as u64);
    let style = ProgressStyle::with_template("{msg:10} {wide_bar} {pos}/{len} {eta}").failed()?;
    bar.set_style(style);
    bar.set_message("features");
    let part = |(set, chosen): &(LabelledSet, Vec<usize>)| {
        let mut reader = Reader::new(args.bad_pictures, &bar);
        reader.pass_over(set.passed_over.clone());
        let features = Features::of(&model, set, chosen, &mut reader, &bar)?;
        Ok::<_, Failure>((reader.end(features.labels.len())?, features))
    };
    let ((skips, train), (others, test)) = (part(&data.train)?, part(&data.test)?);
    let skips = skips.and(others);
    check_classes(&train, &data.train, args)?;
    let mut late = Late::default();
    if let Some(path) = &args.features {
        let saved = save(path, &train, &test);
        late.note(saved.with_context(|| path.display().to_string()).failed());
    }
    let classes = data.train.0.classes.clone();
    bar.reset();
    bar.set_length((blocks + 1 - first) as u64);
    bar.set_message("fitting");
    let mut fitted = Vec::new();
    for (index, layer) in (first..=blocks).enumerate() {
        let Logistic { head, iterations } =
            Logistic::fit(&train.samples(index), classes.len(), args.c)
                .with_context(|| format!("layer {layer}"))
                .failed()?;
        let Quality { accuracy, nats } = head.quality(&test.samples(index));
        let report = LayerReport {
            layer,
            train_accuracy: head.quality(&train.samples(index)).accuracy,
            accuracy,
            nats,
            iterations,
        };
        fitted.push((head, report));
        bar.inc(1);
    }
    let layers: Vec<LayerReport> = fitted.iter().map(|(_, report)| report.clone()).collect();
    let best_layer = best(layers.iter());
    let written = match &args.output {
        None => None,
        Some(output) => {
            // The embeddings alone are no model: a file has one block at least, and one after its last exit.
            let exit = args
                .exits
                .iter()
                .max()
                .map_or(0, |layer| usize::from(*layer));
            let layer = asked.unwrap_or_else(|| best(layers.iter().filter(|l| l.layer > exit)));
            let index = layer.saturating_sub(first).min(fitted.len() - 1);
            let (head, report) = fitted.swap_remove(index);
            bar.reset();
            bar.set_length(test.labels.len() as u64);
            bar.set_message("checking");
            let cut = Cut {
                source: source.path(),
                config: model.config(),
                size,
                dtype: model.dtype(),
                layer,
                head,
                classes: &classes,
            };
            let written = cut.write(output, report.accuracy).and_then(|bytes| {
                let set = &data.test.0;
                Ok(Written {
                    bytes,
                    accuracy: write::accuracy(output, &options, set, &test.images, &bar)?,
                    file: output.clone(),
                    layer,
                })
            });
            late.note(written)
        }
    };
    bar.finish_and_clear();
    let report = Report {
        run: describe_run(model.model(), &args.model, source.path()),
        train_images: train.labels.len(),
        test_images: test.labels.len(),
        train_split: data.train.0.split.clone(),
        test_split: data.test.0.split.clone(),
        classes,
        layers,
        best_layer,
        skips,
        written,
    };
    if let Some(path) = &chart {
        late.note(plot(path, &report).failed());
    }
    Ok((report, late))
}

/// Refuses a fit of which a class is gone with its pictures: the regression would never name it.
fn check_classes(
    train: &Features,
    (set, chosen): &(LabelledSet, Vec<usize>),
    args: &Args,
) -> Result<(), Failure> {
    let mut asked = chosen.iter().map(|index| set.label(*index));
    let Some(gone) = asked.find(|label| !train.labels.contains(label)) else {
        return Ok(());
    };
    let (data, class) = (args.data.display(), set.classes.get(gone));
    let class = class.map_or("", String::as_str);
    Err(anyhow!("{data}: of class {class:?} no picture can be read")).bad_input()
}

/// Writes the features of both parts.
fn save(path: &Path, train: &Features, test: &Features) -> anyhow::Result<()> {
    let mut npz = NpzWriter::create(path)?;
    for (name, part) in [("train", train), ("test", test)] {
        let images = part.labels.len();
        let (width, layers) = (part.widths.first(), &part.layers);
        if let Some(width) = width.filter(|width| part.widths.iter().all(|w| w == *width)) {
            let shape = [layers.len(), images, *width];
            let features = layers.iter().map(Vec::as_slice);
            npz.add(&format!("{name}_features"), &shape, features)?;
        } else {
            for (stage, (features, width)) in layers.iter().zip(&part.widths).enumerate() {
                let array = format!("{name}_features.{}", stage + 1);
                npz.add(&array, &[images, *width], [features.as_slice()])?;
            }
        }
        let labels: Vec<i64> = part.labels.iter().map(|label| *label as i64).collect();
        npz.add(
            &format!("{name}_labels"),
            &[labels.len()],
            [labels.as_slice()],
        )?;
    }
    npz.finish()
}
