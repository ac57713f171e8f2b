//! `igpt eval`: how good a model file is on a labelled set, and how far it is from another file.

mod compare;
mod error;
mod exits;
mod gather;
mod labels;
mod plots;
mod predictions;
mod print;
mod report;
mod subject;
mod tally;

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use igpt_runtime::{AutoModel, ImageGptForImageClassification, LoadOptions};
use indicatif::{ProgressBar, ProgressStyle};

pub use compare::{LayerError, Turn, Turns};
pub use error::EvalError;
pub use exits::{ExitScore, LevelScore};
pub use report::{
    Cell, ClassScore, Comparison, Disagreement, Flip, Hard, OtherVerdict, Report, Score, Slow,
    Verdict,
};
pub use tally::{Bin, Calibration, Times};

use super::{Backend, print_report};
use crate::failure::{Blame, Failure, Late};
use crate::labelled::{LabelledSet, Part};
use crate::loaded::Input;
use crate::onnx::Dtype;
use crate::output::Outputs;
use crate::skips::{BadPictures, Reader};
use compare::Layers;
use exits::Probed;
use gather::{Gathered, Record};
use subject::Subject;
use tally::{Judged, Tally};

/// Measure a model file on images, alone or against another such as the checkpoint it was made from.
///
/// A classifier: top-1 and top-5, cross-entropy, calibration, which classes are confused. A language model:
/// nats per token and bits per dimension, every token of every image predicted from the start token and the
/// tokens before it. With --against also which verdicts flipped and which way, how far the logits are apart,
/// and how the error grows from layer to layer.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "The images (--data):
  a folder with a folder of images for each class. They are named as the
    model's labels are, but for case and punctuation (t-shirt-top is
    T-shirt/top), or by the labels' numbers. Of train/ and test/ or val/ with
    such folders in them, the latter is measured (or valid, dev, eval and so
    on, in any case);
  a folder with IDX files (t10k-images-idx3-ubyte), or one IDX file, its
    labels beside it;
  a CSV with the columns file_name and label; the files are named from where
    it lies.
For a language model any folder of images, or one image: no classes needed.

How to read it:
  top-1, top-5        share of predictions where what is right has the
                      largest, one of the five largest logits
  nats                mean of -ln(probability of what is right); 0 is perfect,
                      guessing is ln(classes)
  bits per dimension  of a language model: nats per token / ln 2 / 3, as a
                      token is a pixel of three channels
  calibration error   how far probabilities are from the truth: at 1 %, of
                      verdicts that are 90 % sure 89 or 91 in 100 are right
  divergence          Kullback-Leibler, in nats: how far the probabilities of
                      an image are from the other model's
  hidden states       relative error and cosine of every layer; layer 0 is the
                      embeddings, of a SegFormer the first stage

Examples:
  igpt eval model.onnx --data photos/
        is it any good? photos/cat, photos/dog and so on
  igpt eval model.onnx --data photos/ --against checkpoint/ --plots pictures/
        what did int8 cost? beside the checkpoint in f32, with pictures
  igpt eval lm.onnx --data photos/ --limit 200 --json | jq .bits_per_dimension
        one number for a script
  igpt eval model.onnx --data labels.csv --predictions out.csv
        every image with its verdict, for your own statistics")]
pub struct Args {
    /// The ONNX file that `igpt quantize` wrote, or a checkpoint (its folder or its name on the hub, taken as
    /// int8).
    #[arg(value_name = "MODEL")]
    pub file: PathBuf,
    /// Images: a folder a class, IDX or a CSV.
    #[arg(long, value_name = "DIR|IDX|CSV")]
    pub data: PathBuf,
    /// What to compare with: another file for the same task, or a checkpoint (taken as f32).
    #[arg(long, value_name = "MODEL")]
    pub against: Option<PathBuf>,
    /// So many images only, evenly spaced.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: Option<u32>,
    /// How many images to name in each list; the report in JSON has every flipped one.
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub show: usize,
    /// With --against: compare the hidden states of so many images, evenly spaced.
    #[arg(long, value_name = "N", default_value_t = 64, requires = "against")]
    pub layer_images: usize,
    /// Of a file with exits (`igpt probe --exits`): what each of its promises comes to on these images, and what else could be saved.
    #[arg(long)]
    pub exits: bool,
    /// Draw into this folder: confusion.svg (of a classifier), reliability.svg, layers.svg (with --against), exits.svg
    /// (with --exits).
    #[arg(long, value_name = "DIR")]
    pub plots: Option<PathBuf>,
    /// Write one row for each image: verdict, probability, cross-entropy, time.
    #[arg(long, value_name = "FILE.csv")]
    pub predictions: Option<PathBuf>,
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

/// Runs the verb and prints its report.
///
/// # Errors
/// A model or data set that cannot be used (bad input), an output that cannot be written.
pub fn run(args: &Args) -> Result<(), Failure> {
    let (report, mut late) = eval(args)?;
    late.note(print_report("eval", args.json, &report, |out| {
        print::print(out, &report, args.show)
    }));
    late.end()
}

/// Runs the verb; what could not be written is told beside the report.
///
/// # Errors
/// As [`run`].
pub fn eval(args: &Args) -> Result<(Report, Late), Failure> {
    let options = args.backend.options()?;
    let mut outputs = Outputs::made_from([&args.file, &args.data].into_iter().chain(&args.against));
    let drawn = |folder: &PathBuf| plots::FILES.map(|name| folder.join(name));
    let plots = args.plots.as_ref().map(drawn);
    for path in args.predictions.iter().chain(plots.iter().flatten()) {
        outputs.file(path)?;
    }
    let subject = Subject::load(&args.file, None, Dtype::Int8, None, &options)?;
    let data = Data::read(&args.data, &subject).bad_input()?;
    let load = |path: &PathBuf| {
        let task = Some(subject.conversion());
        // Both read the same of an image: a checkpoint takes the file's processor.
        let other = Subject::load(path, task, Dtype::F32, Some(&subject), &options)?;
        subject.check_comparable(&other).bad_input()?;
        Ok(other)
    };
    let other = args.against.as_ref().map(load).transpose()?;
    let chosen = data.set.spaced(args.limit.map(|limit| limit as usize));

    let bar = ProgressBar::new(chosen.len() as u64);
    // indicatif draws on standard error, and only if that is a terminal.
    let style = ProgressStyle::with_template("{msg:10} {wide_bar} {pos}/{len} {eta}").failed()?;
    bar.set_style(style);
    let mut reader = Reader::new(args.bad_pictures, &bar);
    reader.pass_over(data.set.passed_over.clone());
    let gathered = measure(&subject, other.as_ref(), &data, &chosen, &mut reader, &bar)?;
    let skips = reader.end(gathered.records.len())?;
    let mut layers = Layers::default();
    let mut layer_images = 0;
    if let Some(other) = other.as_ref().filter(|other| subject.same_layers(other)) {
        let read = &gathered.records;
        let count = args.layer_images.min(read.len());
        let spaced = (0..count).filter_map(|i| read.get(i * read.len() / count));
        bar.reset();
        bar.set_length(count as u64);
        bar.set_message("layers");
        for record in spaced {
            let input = subject.input(&data.input(record.index, &subject).bad_input()?);
            let hidden = |subject: &Subject| subject.model.forward(&input).bad_input();
            let widths = subject.model.widths();
            layers.add(&hidden(&subject)?, &hidden(other)?, &widths);
            layer_images += 1;
            bar.inc(1);
        }
    }
    let probed = match args.exits {
        true => Some(probed(&subject, &options, &data, &gathered, &bar)?),
        false => None,
    };
    bar.finish_and_clear();
    let mut late = Late::default();
    if let Some(path) = &args.predictions {
        let at = || path.display().to_string();
        let written = predictions::write(path, &gathered, &data, &subject);
        late.note(written.with_context(at).failed());
    }
    let mut report = gathered.report(&subject, other.as_ref(), &data, args.show);
    if let Some(comparison) = &mut report.comparison {
        comparison.layers = layers.errors();
        comparison.layer_images = layer_images;
    }
    report.exits = probed.as_ref().map(Probed::score);
    report.skips = skips;
    if let Some(folder) = &args.plots {
        let labels = subject.model.config().labels();
        let cells = &gathered.tally.confusion;
        report.plots = plots::draw(folder, &report, cells, labels, probed.as_ref(), &mut late);
    }
    Ok((report, late))
}

/// What the probes of a file with exits say of the images that were measured.
fn probed(
    subject: &Subject,
    options: &LoadOptions,
    data: &Data,
    gathered: &Gathered,
    bar: &ProgressBar,
) -> Result<Probed, Failure> {
    let name = subject.file.display();
    let model = match subject.model.model() {
        AutoModel::ImageGpt(model) => model.exits().map(|exits| (model.config().n_layer, exits)),
        _ => None,
    };
    let Some((blocks, exits)) = model else {
        return Err(anyhow!(
            "{name}: --exits, and the file has none; `igpt probe {name} --data IMAGES --exits LAYERS -o OUT.onnx` adds them"
        ))
        .misused();
    };
    let model = ImageGptForImageClassification::load(subject.path(), options).bad_input()?;
    let mut probed = Probed::new(exits, blocks);
    bar.reset();
    bar.set_length(gathered.records.len() as u64);
    bar.set_message("exits");
    for record in &gathered.records {
        let read = data.input(record.index, subject).bad_input()?;
        let added = probed.add(&model, read.tokens(), record.label);
        added.bad_input()?;
        bar.inc(1);
    }
    Ok(probed)
}

/// The images, and a classifier's label of each.
#[derive(Debug)]
struct Data {
    path: PathBuf,
    set: LabelledSet,
    /// The model's index of each class of the set; empty for a language model.
    labels: Vec<usize>,
}

impl Data {
    fn read(path: &Path, subject: &Subject) -> anyhow::Result<Self> {
        let (set, labels) = if subject.is_causal() {
            (LabelledSet::read_unlabelled(path, Part::Test)?, Vec::new())
        } else {
            let (set, _) = LabelledSet::read(path, Part::Test)?;
            let names = subject.model.config().labels();
            let labels = labels::of_classes(&set, names, path, &subject.file)?;
            (set, labels)
        };
        let path = path.to_owned();
        Ok(Self { path, set, labels })
    }

    fn input(&self, index: usize, subject: &Subject) -> anyhow::Result<Input> {
        self.set
            .read_image(index, |image| subject.model.input(image))
    }

    /// What is to be predicted of an image: its label, or its tokens.
    fn targets(&self, index: usize, read: &Input) -> Vec<u16> {
        match self.labels.get(self.set.label(index)) {
            // A file has at most 65,536 labels.
            Some(label) => vec![u16::try_from(*label).unwrap_or(u16::MAX)],
            None => read.tokens().to_vec(),
        }
    }
}

/// Runs every chosen image that can be read through the model, and through the other.
fn measure(
    subject: &Subject,
    other: Option<&Subject>,
    data: &Data,
    chosen: &[usize],
    reader: &mut Reader,
    bar: &ProgressBar,
) -> Result<Gathered, Failure> {
    let mut gathered = Gathered::default();
    bar.set_message("measuring");
    for index in chosen {
        let at = || data.set.name(*index).to_string();
        bar.inc(1);
        let read = data.input(*index, subject);
        let Some(read) = reader.take(data.set.name(*index), read)? else {
            continue;
        };
        let input = subject.input(&read);
        if gathered.records.is_empty() {
            // A pass that touches the weights for the first time; its time says nothing of its image.
            for subject in std::iter::once(subject).chain(other) {
                subject.logits(&input).with_context(at).bad_input()?;
            }
        }
        let targets = data.targets(*index, &read);
        let (logits, seconds) = subject.logits(&input).with_context(at).bad_input()?;
        let (nats, judged) = judge(&logits, &targets, &mut gathered.tally, seconds);
        let mut record = Record {
            index: *index,
            label: data.labels.get(data.set.label(*index)).copied(),
            seconds,
            nats,
            judged,
            other: None,
        };
        if let Some((label, judged)) = record.label.zip(judged) {
            gathered.tally.confuse(label, judged.verdict);
        }
        if let Some(other) = other {
            let (theirs, seconds) = other.logits(&input).with_context(at).bad_input()?;
            let (nats, judged) = judge(&theirs, &targets, &mut gathered.other, seconds);
            record.other = Some(gather::OtherRecord {
                nats,
                judged,
                divergence: gathered.pair.add(&logits, &theirs, &targets),
            });
        }
        gathered.records.push(record);
    }
    Ok(gathered)
}

/// Adds an image's predictions to a tally; returns their mean cross-entropy and the last of them, which of a
/// classifier is the only one.
fn judge(
    logits: &subject::Logits,
    targets: &[u16],
    tally: &mut Tally,
    seconds: f64,
) -> (f64, Option<Judged>) {
    let (mut nats, mut last) = (0.0, None);
    for (row, target) in logits.rows().zip(targets) {
        last = Judged::of(row, usize::from(*target));
        if let Some(judged) = &last {
            tally.add(judged);
            nats += judged.nats;
        }
    }
    tally.seconds.push(seconds);
    (nats / targets.len().max(1) as f64, last)
}
