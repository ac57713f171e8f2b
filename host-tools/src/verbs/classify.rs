//! `igpt classify`: what a classifier says of pictures.

use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Instant;

use anyhow::Context as _;
use clap::builder::RangedU64ValueParser;
use igpt_runtime::tools::one_line;
use igpt_runtime::tools::report::RunReport;
use igpt_runtime::{
    AutoModelForImageClassification, AutoSession, Classification, DecodedImage, Score, image_io,
};
use indicatif::{ProgressBar, ProgressStyle};
use serde::{Serialize, Serializer};

use super::{Backend, describe_run, print_report};
use crate::failure::{Blame as _, Failure, printed};
use crate::json::lossy;
use crate::labelled::ImageName;
use crate::listing::Listing;
use crate::loaded::LoadedModel;
use crate::onnx::{Dtype, Task};
use crate::skips::{BadPictures, Reader, Skips};
use crate::source::ModelSource;

/// Say what is on pictures: the likeliest labels of each, with their probabilities.
///
/// Of a multi-label model the probability of each label for itself, of a regression the values.
/// Pictures are classified one by one, each by itself, and told at once. For a camera see `igpt-cam`, for
/// pictures whose labels are known `igpt eval`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:
  igpt classify model.onnx photo.jpg
  igpt classify model.onnx photos/ --top-k 1
        every picture in the folder, and in the folders in it
  igpt classify model.onnx photos/ --json |
    jq -r '.verdicts[] | [.file, .label] | @tsv'
        a table for a script
  igpt classify my-checkpoint/ photo.jpg
        a classifier's checkpoint, converted to int8 first")]
pub struct Args {
    /// The ONNX file that `igpt quantize --task classify` or `igpt probe` wrote, or a classifier's checkpoint
    /// (its folder or its name on the hub, taken as int8).
    pub model: PathBuf,
    /// Pictures, or folders of them.
    #[arg(required = true)]
    pub images: Vec<PathBuf>,
    /// Classes to tell, likeliest first.
    #[arg(long, value_name = "K", default_value_t = 3,
          value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
    pub top_k: usize,
    /// What to do about a picture that cannot be read.
    #[command(flatten)]
    pub bad_pictures: BadPictures,
    /// How to run it.
    #[command(flatten)]
    pub backend: Backend,
    /// Print one report as JSON, when all are classified.
    #[arg(long)]
    pub json: bool,
}

/// A class that was considered.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Ranked {
    /// Its label.
    pub label: String,
    /// Its index.
    pub class: usize,
    /// What the model says of it: a `probability`, or of a regression a `value`.
    #[serde(flatten, serialize_with = "by_name")]
    pub score: Score,
}

fn by_name<S: Serializer>(score: &Score, to: S) -> Result<S::Ok, S::Error> {
    let name = match score {
        Score::Probability(_) => "probability",
        Score::Value(_) => "value",
    };
    to.collect_map([(name, score.number())])
}

/// What the model says of a picture.
#[derive(Clone, Debug, Serialize)]
pub struct Verdict {
    /// The picture.
    #[serde(serialize_with = "lossy")]
    pub file: PathBuf,
    /// The likeliest class.
    #[serde(flatten)]
    pub best: Ranked,
    /// Time of the picture: resize and forward pass.
    pub seconds: f64,
    /// The likeliest classes, that one first.
    pub top: Vec<Ranked>,
}

/// What the model says of all of them.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The model and how it ran.
    #[serde(flatten)]
    pub run: RunReport,
    /// Pictures classified.
    pub images: usize,
    /// One for each.
    pub verdicts: Vec<Verdict>,
    /// Pictures that cannot be read.
    #[serde(flatten)]
    pub skips: Skips,
}

/// Runs the verb; prints verdicts as they come, or the report as JSON.
///
/// # Errors
/// A model that is no classifier, no picture that can be read (bad input), a standard output that cannot be
/// written.
pub fn run(args: &Args) -> Result<(), Failure> {
    let report = classify(args, |verdict| {
        if args.json {
            return Ok(());
        }
        let mut out = io::stdout().lock();
        writeln!(out, "{}", line(verdict)).and_then(|()| out.flush())
    })?;
    if args.json {
        return print_report("classify", true, &report, |_| Ok(()));
    }
    // Of one table or pipe the summary is no part.
    report.skips.print(&mut io::stderr()).or(Ok(()))
}

/// Runs the verb; `told` gets every verdict as soon as there is one.
///
/// # Errors
/// As [`run`].
pub fn classify(
    args: &Args,
    mut told: impl FnMut(&Verdict) -> io::Result<()>,
) -> Result<Report, Failure> {
    let options = args.backend.options()?;
    let listing = Listing::of_paths(&args.images).bad_input()?;
    let files = listing.files;
    let source = ModelSource::open(&args.model, Some(Task::Classify), Dtype::Int8)?;
    let model = LoadedModel::load(source.path(), &options)?.into_model();
    let model = AutoModelForImageClassification::try_from(model).bad_input()?;
    let mut session = model.session().failed()?;
    let bar = ProgressBar::new(files.len() as u64);
    // indicatif draws on standard error, and only if that is a terminal.
    bar.set_style(ProgressStyle::with_template("{wide_bar} {pos}/{len} {eta}").failed()?);
    let mut reader = Reader::new(args.bad_pictures, &bar);
    reader.pass_over(listing.passed_over);
    let mut verdicts = Vec::new();
    for file in files {
        let image = image_io::decode_file(&file).map_err(anyhow::Error::from);
        bar.inc(1);
        let Some(image) = reader.take(ImageName::File(file.clone()), image)? else {
            continue;
        };
        let verdict = verdict(&mut session, file, &image, args.top_k)?;
        let written = bar.suspend(|| told(&verdict));
        verdicts.push(verdict);
        // Nobody reads the rest: it need not be found out.
        let gone = |error: &io::Error| error.kind() == io::ErrorKind::BrokenPipe;
        let done = written.as_ref().is_err_and(gone);
        printed(written)?;
        if done {
            break;
        }
    }
    bar.finish_and_clear();
    Ok(Report {
        run: describe_run(&model, &args.model, source.path()),
        images: verdicts.len(),
        skips: reader.end(verdicts.len())?,
        verdicts,
    })
}

fn verdict(
    session: &mut AutoSession,
    file: PathBuf,
    image: &DecodedImage,
    top_k: usize,
) -> Result<Verdict, Failure> {
    let at = || file.display().to_string();
    let start = Instant::now();
    let classified = session.classify_image(image).with_context(at).bad_input()?;
    let seconds = start.elapsed().as_secs_f64();
    let top = ranked(&classified, top_k);
    let best = top
        .first()
        .cloned()
        .context("a model without labels")
        .with_context(at);
    Ok(Verdict {
        best: best.bad_input()?,
        file,
        seconds,
        top,
    })
}

fn ranked(classified: &Classification, top_k: usize) -> Vec<Ranked> {
    let top = classified.top_k(top_k).into_iter();
    top.map(|found| Ranked {
        label: found.label,
        class: found.index,
        score: found.score,
    })
    .collect()
}

/// `photo.jpg: Ankle boot 99.6 %, Sneaker 0.3 %`
fn line(verdict: &Verdict) -> String {
    let top = verdict.top.iter();
    let classes = top.map(|found| format!("{} {}", one_line(&found.label), found.score));
    format!(
        "{}: {}",
        ImageName::File(verdict.file.clone()),
        classes.collect::<Vec<_>>().join(", ")
    )
}
