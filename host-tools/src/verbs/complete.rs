//! `igpt complete`: a language model paints what is missing of a picture, or a picture of its own.

use std::io::Write;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::anyhow;
use igpt_runtime::tools::counted;
use igpt_runtime::tools::report::RunReport;
use igpt_runtime::{
    DecodedImage, GenerationConfig, ImageGptForCausalImageModeling, ImageGptImageProcessor,
};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use super::{Backend, describe_run, print_report};
use crate::choices;
use crate::failure::{Blame, Failure, Late};
use crate::labelled::ImageName;
use crate::listing::Listing;
use crate::onnx::{Dtype, Task};
use crate::output::{self, Outputs};
use crate::pictures::{Grid, comfortable_scale, format_of};
use crate::skips::{BadPictures, Reader, Skips};
use crate::source::{ModelSource, tokens_of};

/// What a cell shows where the model was given nothing.
const UNKNOWN: [u8; 3] = [160, 160, 160];

/// Complete pictures from their first rows, or paint new ones, as one picture.
///
/// One row of it for each image: the image as the model sees it (shrunk, in its palette), the rows it
/// is given, then the samples. Without images the model paints from nothing.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:
  igpt complete models/fashion-mnist/lm photo.png -o grid.png
        four completions of the lower half
  igpt complete lm.onnx photos/ --rows 4 --samples 8 -o grid.png
        a folder, eight each, given only the first four rows
  igpt complete lm.onnx --samples 16 -o samples.png
        sixteen pictures from nothing
  igpt complete lm.onnx photo.png --greedy -o grid.png
        the likeliest token each time: always the same picture

The same seed gives the same picture on every machine.")]
pub struct Args {
    /// A file made with `igpt quantize --task causal`, or a language model's checkpoint: its folder or its
    /// name on the hub.
    #[arg(value_name = "MODEL", required_unless_present = "model_option")]
    pub model: Option<PathBuf>,
    /// Pictures to complete, or folders of them; none to paint from nothing.
    pub images: Vec<PathBuf>,
    /// The model by its former name; what comes first is then an image.
    #[arg(short, long = "model", value_name = "MODEL", hide = true)]
    pub model_option: Option<PathBuf>,
    /// The picture to write: .png, .jpg, .webp, .bmp, .tif or .ppm.
    #[arg(short, long, value_name = "GRID.png")]
    pub output: PathBuf,
    /// Rows that the model is given of each image [default: the upper half].
    #[arg(long)]
    pub rows: Option<usize>,
    /// Samples of each image, or in all without images.
    #[arg(short = 'n', long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..))]
    pub samples: u16,
    /// Divides the logits: below 1 bolder and duller, above 1 wilder.
    #[arg(long, default_value_t = 1.0, value_parser = positive)]
    pub temperature: f32,
    /// Draw from this many of the likeliest tokens only; 0 for all.
    #[arg(long, default_value_t = 40)]
    pub top_k: usize,
    /// Draw from the likeliest tokens that together have this probability.
    #[arg(long, default_value_t = 1.0, value_parser = probability)]
    pub top_p: f32,
    /// Seed of the draws.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Take the likeliest token instead of drawing; one sample says it all.
    #[arg(long, conflicts_with_all = ["temperature", "top_k", "top_p", "seed", "samples"])]
    pub greedy: bool,
    /// What a checkpoint is computed in; a file is what it is.
    #[arg(long, value_parser = choices::dtype(), default_value = "int8")]
    pub dtype: Dtype,
    /// Pixels of the picture for each token, along a side [default: about 128 for an image].
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    pub scale: Option<u16>,
    /// What to do about a picture that cannot be read.
    #[command(flatten)]
    pub bad_pictures: BadPictures,
    /// How to run it.
    #[command(flatten)]
    pub backend: Backend,
    /// Print the report, with every sample's tokens, as JSON.
    #[arg(long)]
    pub json: bool,
}

impl Args {
    /// The model and the images, whichever way the model was named.
    fn inputs(&self) -> Result<(PathBuf, Vec<PathBuf>), Failure> {
        let images = self.images.iter().cloned();
        let (model, images): (_, Vec<PathBuf>) = match (&self.model_option, &self.model) {
            (Some(model), first) => (model, first.iter().cloned().chain(images).collect()),
            (None, Some(model)) => (model, images.collect()),
            (None, None) => return Err(anyhow!("no MODEL")).misused(),
        };
        if self.rows.is_some() && images.is_empty() {
            return Err(anyhow!("--rows: of no image, expected IMAGES after MODEL")).misused();
        }
        Ok((model.clone(), images))
    }
}

fn positive(text: &str) -> Result<f32, String> {
    let number = text.parse().ok();
    let number = number.filter(|number: &f32| number.is_finite() && *number > 0.0);
    number.ok_or_else(|| "expected a number above 0".into())
}

fn probability(text: &str) -> Result<f32, String> {
    let number = text.parse().ok();
    let number = number.filter(|number: &f32| *number > 0.0 && *number <= 1.0);
    number.ok_or_else(|| "expected a number above 0 and at most 1".into())
}

/// One image and its completions.
#[derive(Clone, Debug, Serialize)]
pub struct Completion {
    /// The image; absent when painted from nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<ImageName>,
    /// Every sample's tokens in raster order, those that were given first.
    pub samples: Vec<Vec<u16>>,
}

/// What was painted.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The model and how it ran.
    #[serde(flatten)]
    pub run: RunReport,
    /// The picture that was written.
    pub file: PathBuf,
    /// Rows given.
    pub rows: usize,
    /// Tokens generated, all samples together.
    pub tokens: usize,
    /// Time it took in seconds, reading the contexts included.
    pub seconds: f64,
    /// Their quotient.
    pub tokens_per_second: f64,
    /// One for each image.
    pub completions: Vec<Completion>,
    /// Pictures that cannot be read.
    #[serde(flatten)]
    pub skips: Skips,
}

/// Runs the verb and prints its report.
///
/// # Errors
/// A model or image that cannot be used (bad input), an output that cannot be written.
pub fn run(args: &Args) -> Result<(), Failure> {
    let (report, mut late) = complete(args)?;
    late.note(print_report("complete", args.json, &report, |out| {
        report.skips.print(out)?;
        let samples: usize = report.completions.iter().map(|c| c.samples.len()).sum();
        writeln!(
            out,
            "{}: {}, {} in {:.2} s on {}: {:.0} tokens/s",
            args.output.display(),
            counted(samples, "sample"),
            counted(report.tokens, "token"),
            report.seconds,
            report.run.isa,
            report.tokens_per_second
        )
    }));
    late.end()
}

/// Runs the verb; what could not be written is told beside the report.
///
/// # Errors
/// As [`run`].
pub fn complete(args: &Args) -> Result<(Report, Late), Failure> {
    let options = args.backend.options()?;
    let (file, images) = args.inputs()?;
    format_of(&args.output)?;
    let mut outputs = Outputs::made_from(images.iter().chain([&file]));
    outputs.file(&args.output)?;
    let listing = Listing::of_paths(&images).bad_input()?;
    let paths = listing.files;
    output::refuse_inputs(&args.output, &paths)?;
    let source = ModelSource::open(&file, Some(Task::Causal), args.dtype)?;
    let model = ImageGptForCausalImageModeling::load(source.path(), &options).bad_input()?;
    let (asked, found) = (args.dtype.name(), model.model().dtype().name());
    if args.dtype != Dtype::Int8 && asked != found {
        let file = file.display();
        return Err(anyhow!(
            "{file}: its layers are stored in {found}, and --dtype {asked} is for a checkpoint"
        ))
        .misused();
    }
    let processor = model.model().processor();
    let processor = processor
        .ok_or_else(|| crate::processor::missing(&file))
        .bad_input()?;
    let (height, width) = processor.size();
    let rows = match (images.is_empty(), args.rows) {
        (true, _) => 0,
        (false, rows) => rows.unwrap_or(height / 2),
    };
    if rows >= height {
        return Err(anyhow!(
            "--rows {rows}: the model's images have {height} rows, expected 0 to {}",
            height - 1
        ))
        .bad_input();
    }
    let samples = if args.greedy {
        1
    } else {
        usize::from(args.samples)
    };
    let bar = ProgressBar::new(0);
    let mut reader = Reader::new(args.bad_pictures, &bar);
    reader.pass_over(listing.passed_over);
    let (mut read, mut originals) = (Vec::new(), Vec::new());
    for path in paths {
        let name = ImageName::File(path.clone());
        if let Some(tokens) = reader.take(name, tokens_of(processor, &path))? {
            read.push(path);
            originals.push(tokens);
        }
    }
    let skips = reader.end(read.len())?;
    let grid = new_grid(args, samples, originals.len(), (width, height))?;

    let start_token = model.start_token();
    let context = |tokens: &[u16]| {
        let given = tokens.iter().take(rows * width).copied();
        std::iter::once(start_token).chain(given).collect()
    };
    let contexts: Vec<Vec<u16>> = match originals.as_slice() {
        [] => vec![vec![start_token]],
        some => some.iter().map(|tokens| context(tokens)).collect(),
    };
    let how = GenerationConfig::new()
        .with_max_length(Some(1 + height * width))
        .with_do_sample(!args.greedy)
        .with_temperature(args.temperature)
        .with_top_k(args.top_k)
        .with_top_p(args.top_p)
        .with_seed(args.seed);
    let tokens = contexts.len() * samples * (height - rows) * width;
    bar.set_length(tokens as u64);
    // indicatif draws on standard error, and only if that is a terminal.
    let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} tokens {per_sec} {eta}");
    bar.set_style(style.failed()?);
    let contexts: Vec<&[u16]> = contexts.iter().map(Vec::as_slice).collect();
    let began = Instant::now();
    let painted = model
        .generate_batch(&contexts, samples, &how, &|_| bar.inc(1))
        .bad_input()?;
    let seconds = began.elapsed().as_secs_f64();
    bar.finish_and_clear();

    // Without the start token.
    let painted: Vec<Vec<u16>> = painted
        .into_iter()
        .map(|t| t.into_iter().skip(1).collect())
        .collect();
    let drawn = draw(grid, processor, &originals, &painted, samples, rows * width).bad_input()?;
    let mut late = Late::default();
    late.note(drawn.save(&args.output));
    let mut images = read.into_iter();
    let completions = painted.chunks(samples).map(|samples| Completion {
        image: images.next().map(ImageName::File),
        samples: samples.to_vec(),
    });
    let report = Report {
        run: describe_run(model.model(), &file, source.path()),
        file: args.output.clone(),
        rows,
        tokens,
        seconds,
        tokens_per_second: tokens as f64 / seconds.max(f64::MIN_POSITIVE),
        completions: completions.collect(),
        skips,
    };
    Ok((report, late))
}

/// Before anything is computed: a grid that is too large is refused at once.
fn new_grid(
    args: &Args,
    samples: usize,
    images: usize,
    cell: (usize, usize),
) -> Result<Grid, Failure> {
    let scale = args
        .scale
        .map_or_else(|| comfortable_scale(cell.0), usize::from);
    let (columns, rows) = shape(samples, images);
    Grid::new(columns, rows, cell, scale).bad_input()
}

/// Columns and rows: original, given rows and samples of each image; or a near square of samples.
fn shape(samples: usize, images: usize) -> (usize, usize) {
    if images > 0 {
        return (2 + samples, images);
    }
    let columns = (1..=samples).find(|n| n * n >= samples).unwrap_or(1);
    (columns, samples.div_ceil(columns))
}

fn draw(
    mut grid: Grid,
    processor: &ImageGptImageProcessor,
    originals: &[Vec<u16>],
    painted: &[Vec<u16>],
    samples: usize,
    given: usize,
) -> anyhow::Result<Grid> {
    let (columns, _) = shape(samples, originals.len());
    for (row, tokens) in originals.iter().enumerate() {
        let original = processor.decode_tokens(tokens)?;
        let mut pixels = original.rgb().to_vec();
        for pixel in pixels.as_chunks_mut::<3>().0.iter_mut().skip(given) {
            *pixel = UNKNOWN;
        }
        grid.put(0, row, &original);
        grid.put(
            1,
            row,
            &DecodedImage::new(original.width(), original.height(), pixels)?,
        );
    }
    for (index, tokens) in painted.iter().enumerate() {
        let picture = processor.decode_tokens(tokens)?;
        if originals.is_empty() {
            grid.put(index % columns, index / columns, &picture);
        } else {
            grid.put(2 + index % samples, index / samples, &picture);
        }
    }
    Ok(grid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_from_nothing_make_a_near_square() {
        assert_eq!(
            [1, 2, 4, 5, 16, 17].map(|n| shape(n, 0)),
            [(1, 1), (2, 1), (2, 2), (3, 2), (4, 4), (5, 4)]
        );
        assert_eq!(shape(4, 3), (6, 3));
    }
}
