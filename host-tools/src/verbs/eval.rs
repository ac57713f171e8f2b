//! `igpt eval`: how good a model file is on a labelled set, and how far it is from another file.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, anyhow};
use igpt_runtime::onnx::Task;
use igpt_runtime::{
    ImageGptForCausalImageModeling, ImageGptForImageClassification, ImageGptModel, LoadOptions,
};
use indicatif::ProgressBar;
use serde::Serialize;

use super::{Backend, print_report};
use crate::failure::{Blame, Failure};
use crate::idx::LabelledImages;

/// Measure a model file over a labelled set of images.
///
/// A classifier's top-1 accuracy and cross-entropy; a causal model's nats per token, every token of every
/// image predicted from the start token and the tokens before it.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The ONNX file that `igpt quantize` wrote.
    pub file: PathBuf,
    /// An IDX file of images (its labels beside it), or the folder with t10k-images-idx3-ubyte; gzipped or not.
    #[arg(long)]
    pub data: PathBuf,
    /// Another file for the same task, such as the f32 one, to compare with.
    #[arg(long, value_name = "FILE")]
    pub against: Option<PathBuf>,
    /// Stop after so many images.
    #[arg(long)]
    pub limit: Option<usize>,
    /// How to run it.
    #[command(flatten)]
    pub backend: Backend,
    /// Print the report as JSON.
    #[arg(long)]
    pub json: bool,
}

/// What one file reaches.
#[derive(Clone, Debug, Serialize)]
pub struct Score {
    /// The file.
    pub file: PathBuf,
    /// `classify` or `causal`.
    pub task: &'static str,
    /// The instruction set that was used.
    pub cpu: &'static str,
    /// Images measured.
    pub images: usize,
    /// Share of predictions that are right: the label's, or the next token's.
    pub top1: f64,
    /// Mean cross-entropy of a prediction in nats: per image, or per token.
    pub nats: f64,
    /// Mean time of one image's forward pass in seconds.
    pub seconds_per_image: f64,
}

/// How far two files are apart.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// The other file's score.
    pub against: Score,
    /// Share of predictions whose largest logit is the same.
    pub argmax_agreement: f64,
    /// Cosine of all logits, taken as one vector.
    pub logits_cosine: f64,
    /// This file's top-1 minus the other's, in percentage points.
    pub top1_points: f64,
    /// This file's nats over the other's, minus one, in percent.
    pub nats_percent: f64,
}

/// The whole measurement.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// This file's score.
    #[serde(flatten)]
    pub score: Score,
    /// Present with `--against`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comparison: Option<Comparison>,
}

/// Runs the verb and prints its report.
///
/// # Errors
/// A model or data set that cannot be used (bad input).
pub fn run(args: &Args) -> Result<(), Failure> {
    let report = eval(args)?;
    print_report(args.json, &report, |out| print(out, &report))
}

/// Runs the verb.
///
/// # Errors
/// As [`run`].
pub fn eval(args: &Args) -> Result<Report, Failure> {
    let options = args.backend.options()?;
    let mut subject = Subject::load(&args.file, &options)?;
    let mut other = args
        .against
        .as_ref()
        .map(|path| Subject::load(path, &options))
        .transpose()?;
    let set = LabelledImages::read(&args.data).bad_input()?;
    let count = set.labels.len().min(args.limit.unwrap_or(usize::MAX));
    // indicatif draws on standard error, and only if that is a terminal.
    let bar = ProgressBar::new(count as u64);
    let mut pair = Pair::default();
    for (image, label) in set.iter().take(count) {
        let size = (set.width, set.height);
        let logits = subject.predict(&image, size, label)?;
        if let Some(other) = &mut other {
            pair.add(&logits, &other.predict(&image, size, label)?);
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    let score = subject.score();
    let comparison = other.map(|other| pair.finish(&score, other.score()));
    Ok(Report { score, comparison })
}

/// A model being measured.
struct Subject {
    file: PathBuf,
    model: Model,
    images: usize,
    predictions: usize,
    right: usize,
    nats: f64,
    seconds: f64,
}

enum Model {
    Classify(Box<ImageGptForImageClassification>),
    Causal(Box<ImageGptForCausalImageModeling>),
}

/// The logits of an image's predictions, one row each.
struct Logits {
    values: Vec<f32>,
    columns: usize,
}

impl Logits {
    fn rows(&self) -> impl Iterator<Item = &[f32]> {
        self.values.chunks_exact(self.columns.max(1))
    }
}

impl Subject {
    fn load(path: &Path, options: &LoadOptions) -> Result<Self, Failure> {
        let model = ImageGptModel::load(path, options).bad_input()?;
        let model = match model.task() {
            Task::Causal => Model::Causal(Box::new(model.try_into().bad_input()?)),
            // A features file has nothing to measure; taking it for a classifier says so.
            Task::Classify | Task::Features => {
                Model::Classify(Box::new(model.try_into().bad_input()?))
            }
        };
        let file = path.to_owned();
        Ok(Self {
            file,
            model,
            images: 0,
            predictions: 0,
            right: 0,
            nats: 0.0,
            seconds: 0.0,
        })
    }

    /// Adds one RGB8 image to the tally and returns its logits.
    fn predict(
        &mut self,
        rgb: &[u8],
        (width, height): (usize, usize),
        label: u8,
    ) -> Result<Logits, Failure> {
        let start;
        let (logits, targets) = match &self.model {
            Model::Classify(model) => {
                let tokens = model
                    .processor()
                    .tokens_from_rgb8(rgb, width, height)
                    .bad_input()?;
                start = Instant::now();
                let values = model
                    .session()
                    .bad_input()?
                    .classify(&tokens)
                    .bad_input()?
                    .logits;
                (
                    Logits {
                        columns: values.len(),
                        values,
                    },
                    vec![u16::from(label)],
                )
            }
            Model::Causal(model) => {
                let name = self.file.display();
                let processor = model.model().processor();
                let processor = processor
                    .with_context(|| format!("{name}: no igpt.preprocessor"))
                    .bad_input()?;
                let targets = processor.tokens_from_rgb8(rgb, width, height).bad_input()?;
                let mut context = vec![model.start_token()];
                context.extend(targets.iter().take(targets.len().saturating_sub(1)));
                start = Instant::now();
                let values = model.logits(&context).bad_input()?;
                (
                    Logits {
                        columns: model.model().config().num_colors(),
                        values,
                    },
                    targets,
                )
            }
        };
        self.seconds += start.elapsed().as_secs_f64();
        self.images += 1;
        for (row, target) in logits.rows().zip(&targets) {
            let target = usize::from(*target);
            self.predictions += 1;
            self.right += usize::from(argmax(row) == target);
            let found = || {
                anyhow!(
                    "{}: label {target}, the data set and the model differ",
                    self.file.display()
                )
            };
            let picked = row.get(target).copied().ok_or_else(found).bad_input()?;
            self.nats += log_sum_exp(row) - f64::from(picked);
        }
        Ok(logits)
    }

    fn score(self) -> Score {
        let (task, cpu) = match &self.model {
            Model::Classify(model) => ("classify", model.isa()),
            Model::Causal(model) => ("causal", model.model().isa()),
        };
        let per = |total: f64, count: usize| total / count.max(1) as f64;
        Score {
            file: self.file,
            task,
            cpu: cpu.name(),
            images: self.images,
            top1: per(self.right as f64, self.predictions),
            nats: per(self.nats, self.predictions),
            seconds_per_image: per(self.seconds, self.images),
        }
    }
}

/// The comparison of two subjects' logits, image by image.
#[derive(Default)]
struct Pair {
    predictions: usize,
    agreed: usize,
    dot: f64,
    square_a: f64,
    square_b: f64,
}

impl Pair {
    fn add(&mut self, a: &Logits, b: &Logits) {
        for (a, b) in a.rows().zip(b.rows()) {
            self.predictions += 1;
            self.agreed += usize::from(argmax(a) == argmax(b));
            for (x, y) in a.iter().zip(b) {
                let (x, y) = (f64::from(*x), f64::from(*y));
                self.dot += x * y;
                self.square_a += x * x;
                self.square_b += y * y;
            }
        }
    }

    fn finish(self, score: &Score, against: Score) -> Comparison {
        Comparison {
            argmax_agreement: self.agreed as f64 / self.predictions.max(1) as f64,
            logits_cosine: self.dot / (self.square_a * self.square_b).sqrt(),
            top1_points: 100.0 * (score.top1 - against.top1),
            nats_percent: 100.0 * (score.nats / against.nats - 1.0),
            against,
        }
    }
}

/// Index of the largest value, the first of equals.
fn argmax(row: &[f32]) -> usize {
    let mut best = (0, f32::NEG_INFINITY);
    for (index, value) in row.iter().enumerate() {
        if *value > best.1 {
            best = (index, *value);
        }
    }
    best.0
}

fn log_sum_exp(row: &[f32]) -> f64 {
    let top = f64::from(row.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    top + row
        .iter()
        .map(|value| (f64::from(*value) - top).exp())
        .sum::<f64>()
        .ln()
}

fn print(out: &mut impl Write, report: &Report) -> io::Result<()> {
    let against = report
        .comparison
        .iter()
        .map(|comparison| &comparison.against);
    for score in std::iter::once(&report.score).chain(against) {
        writeln!(
            out,
            "{}: top-1 {:.2}%, {:.4} nats per {}, {} images, {:.2} ms each on {}",
            score.file.display(),
            100.0 * score.top1,
            score.nats,
            if score.task == "causal" {
                "token"
            } else {
                "image"
            },
            score.images,
            1e3 * score.seconds_per_image,
            score.cpu
        )?;
    }
    let Some(comparison) = &report.comparison else {
        return Ok(());
    };
    writeln!(
        out,
        "argmax agreement {:.2}%, logits cosine {:.6}, top-1 {:+.2} points, nats {:+.3}%",
        100.0 * comparison.argmax_agreement,
        comparison.logits_cosine,
        comparison.top1_points,
        comparison.nats_percent
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn argmax_takes_the_first_of_equals() {
        assert_eq!(argmax(&[1.0, 3.0, 3.0, 2.0]), 1);
        assert_eq!(argmax(&[-5.0]), 0);
    }

    #[test]
    fn cross_entropy_does_not_overflow() {
        assert!((log_sum_exp(&[1000.0, 1000.0]) - (1000.0 + 2f64.ln())).abs() < 1e-9);
        assert!((log_sum_exp(&[-1e4, 0.0]) - 0.0).abs() < 1e-9);
    }
}
