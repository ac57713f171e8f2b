//! `igpt palette`: the colour clusters of a set of images, as a checkpoint's `preprocessor_config.json`.

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, anyhow};
use igpt_runtime::processor::Backend;
use igpt_runtime::tools::counted;
use igpt_runtime::{DecodedImage, ImageGptImageProcessor, ProcessorConfig, image_io};
use indicatif::{ProgressBar, ProgressStyle};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::{IntoParallelRefIterator, ParallelIterator};
use serde::Serialize;

use super::{plot, print_report};
use crate::failure::{Blame, Failure, Late};
use crate::kmeans::cluster;
use crate::labelled::ImageName;
use crate::listing::Listing;
use crate::output::{self, Outputs};
use crate::pictures::{Grid, comfortable_scale, format_of};
use crate::processor;
use crate::skips::{BadPictures, Reader, Skips};

/// Images decoded at a time.
const CHUNK: usize = 256;
/// Images of the picture.
const SHOWN: usize = 8;

/// Find the colours that a set of images is best drawn in: k-means, in Hugging Face's form.
///
/// Every image is shrunk as the model's processor does; of all their pixels a sample drawn without favour is
/// clustered. Memory depends on the sample, not on the number of images.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:
  igpt palette photos/ -o preprocessor_config.json
        512 colours for 32 x 32 images, as ImageGPT has them
  igpt palette photos/ --colors 64 --size 14 --plots pictures/ -o palette.json
        fewer and smaller, with a picture: images above, the same in the
        palette below

The same images and seed give the same palette.")]
pub struct Args {
    /// Images, or folders of them.
    #[arg(required = true)]
    pub images: Vec<PathBuf>,
    /// The preprocessor_config.json to write.
    #[arg(short, long, value_name = "FILE.json")]
    pub output: PathBuf,
    /// Colours.
    #[arg(long, default_value_t = 512, value_parser = clap::value_parser!(u16).range(1..=4096))]
    pub colors: u16,
    /// Side of the model's images in pixels.
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub size: u16,
    /// Whose resize shrinks the images, and what the file says is to make tokens of them: transformers' PIL or
    /// its torchvision processor.
    #[arg(long, value_name = "PROCESSOR", default_value = "pil", value_parser = processor::parser())]
    pub processor: Backend,
    /// Pixels to cluster at most.
    #[arg(long, alias = "sample", value_name = "N", default_value_t = 1 << 18, value_parser = clap::value_parser!(u32).range(1..=1 << 26))]
    pub pixels: u32,
    /// Seed of the sample and of the clustering.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Draw into this folder: palette.png, some of the images, before above and after below.
    #[arg(long, value_name = "DIR")]
    pub plots: Option<PathBuf>,
    /// The same, as a file of this name.
    #[arg(long, value_name = "FILE.png", hide = true, conflicts_with = "plots")]
    pub png: Option<PathBuf>,
    /// What to do about a picture that cannot be read.
    #[command(flatten)]
    pub bad_pictures: BadPictures,
    /// Print the report as JSON.
    #[arg(long)]
    pub json: bool,
}

/// What was found.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The configuration that was written.
    pub file: PathBuf,
    /// Whose resize and arithmetic it is for: `pil` or `torchvision`.
    pub processor: &'static str,
    /// Images read.
    pub images: usize,
    /// Pixels they have after shrinking.
    pub pixels: u64,
    /// Pixels that were clustered.
    pub sampled: usize,
    /// Colours of the palette.
    pub colors: usize,
    /// Iterations of k-means.
    pub iterations: usize,
    /// Root of the mean squared error of a channel over the sample, in 8-bit steps.
    pub rms: f64,
    /// The same over [-1, 1], where the clusters are.
    pub rms_normalized: f64,
    /// Pictures that cannot be read.
    #[serde(flatten)]
    pub skips: Skips,
}

/// Runs the verb and prints its report.
///
/// # Errors
/// Images that cannot be used (bad input), an output that cannot be written.
pub fn run(args: &Args) -> Result<(), Failure> {
    let (report, mut late) = palette(args)?;
    late.note(print_report("palette", args.json, &report, |out| {
        report.skips.print(out)?;
        writeln!(
            out,
            "{}: {} of {} ({}), RMS error {:.3} of 255 after {}",
            args.output.display(),
            counted(report.colors, "colour"),
            counted(report.sampled, "pixel"),
            counted(report.images, "image"),
            report.rms,
            counted(report.iterations, "iteration")
        )
    }));
    late.end()
}

/// Runs the verb; what could not be written is told beside the report.
///
/// # Errors
/// As [`run`].
pub fn palette(args: &Args) -> Result<(Report, Late), Failure> {
    let picture = plot(args.plots.as_deref(), "palette.png", args.png.as_ref());
    let mut outputs = Outputs::made_from(&args.images);
    outputs.file(&args.output)?;
    if let Some(path) = &picture {
        format_of(path)?;
        outputs.file(path)?;
    }
    let listing = Listing::of_paths(&args.images).bad_input()?;
    let files = listing.files;
    output::refuse_inputs(&args.output, &files)?;
    if let Some(path) = &args.png {
        output::refuse_inputs(path, &files)?;
    }
    let shrink = image_processor(args, vec![[0.0; 3]]).failed()?;
    let bar = ProgressBar::new(files.len() as u64);
    // indicatif draws on standard error, and only if that is a terminal.
    let style = ProgressStyle::with_template("{msg:10} {wide_bar} {pos}/{len} {eta}").failed()?;
    bar.set_style(style);
    bar.set_message("reading");
    let mut reader = Reader::new(args.bad_pictures, &bar);
    reader.pass_over(listing.passed_over);
    let mut sample = Reservoir::new(args.pixels as usize, args.seed);
    let mut shown = Vec::new();
    // From all of them, not from the first folder.
    let every = files.len().div_ceil(SHOWN).max(1);
    let mut index = 0;
    for chunk in files.chunks(CHUNK) {
        let images: Vec<anyhow::Result<DecodedImage>> = chunk
            .par_iter()
            .map(|path| {
                let image = image_io::decode_file(path)?;
                let small = shrink.resized(image.rgb(), image.width(), image.height());
                small.with_context(|| path.display().to_string())
            })
            .collect();
        for (path, image) in chunk.iter().zip(images) {
            let name = ImageName::File(path.clone());
            let Some(image) = reader.take(name, image)? else {
                continue;
            };
            for pixel in image.rgb().as_chunks::<3>().0 {
                sample.add(*pixel);
            }
            if index % every == 0 {
                shown.push(image);
            }
            index += 1;
        }
        bar.inc(chunk.len() as u64);
    }
    let skips = reader.end(index)?;
    bar.set_message("clustering");
    let found = cluster(
        &sample.pixels,
        usize::from(args.colors),
        args.seed,
        |iteration| {
            bar.set_message(format!("pass {iteration}"));
        },
    );
    bar.finish_and_clear();
    if found.centers.len() < usize::from(args.colors) {
        let (different, wanted) = (found.centers.len(), args.colors);
        return Err(anyhow!(
            "the images have {different} different colours, expected at least --colors {wanted}; say \
             --colors {different} or fewer"
        ))
        .bad_input();
    }
    let clusters = found
        .centers
        .iter()
        .map(|color| color.map(|x| x / 127.5 - 1.0));
    let processor = image_processor(args, clusters.collect()).failed()?;
    let mut late = Late::default();
    late.note(output::write(&args.output, (processor.to_json() + "\n").as_bytes()).failed());
    if let Some(path) = &picture {
        let grid = before_and_after(&processor, &shown).failed();
        late.note(grid.and_then(|grid| grid.save(path)));
    }
    let report = Report {
        file: args.output.clone(),
        processor: args.processor.name(),
        images: index,
        pixels: sample.seen,
        sampled: sample.pixels.len(),
        colors: found.centers.len(),
        iterations: found.iterations,
        rms: found.rms,
        rms_normalized: found.rms / 127.5,
        skips,
    };
    Ok((report, late))
}

fn image_processor(args: &Args, clusters: Vec<[f64; 3]>) -> anyhow::Result<ImageGptImageProcessor> {
    let side = usize::from(args.size);
    let mut config = ProcessorConfig::new(clusters);
    config.backend = args.processor;
    (config.height, config.width) = (side, side);
    Ok(ImageGptImageProcessor::new(config)?)
}

fn before_and_after(
    processor: &ImageGptImageProcessor,
    images: &[DecodedImage],
) -> anyhow::Result<Grid> {
    let (height, width) = processor.size();
    let mut grid = Grid::new(images.len(), 2, (width, height), comfortable_scale(width))?;
    for (column, image) in images.iter().enumerate() {
        grid.put(column, 0, image);
        let tokens = processor.tokens_from_image(image)?;
        grid.put(column, 1, &processor.decode_tokens(&tokens)?);
    }
    Ok(grid)
}

/// A sample of a stream in which every pixel has the same chance (Vitter's algorithm R).
struct Reservoir {
    pixels: Vec<[u8; 3]>,
    limit: usize,
    seen: u64,
    rng: ChaCha8Rng,
}

impl Reservoir {
    fn new(limit: usize, seed: u64) -> Self {
        Self {
            pixels: Vec::new(),
            limit,
            seen: 0,
            rng: ChaCha8Rng::seed_from_u64(seed),
        }
    }

    fn add(&mut self, pixel: [u8; 3]) {
        self.seen += 1;
        if self.pixels.len() < self.limit {
            self.pixels.push(pixel);
            return;
        }
        let at = self.rng.random_range(0..self.seen);
        let slot = usize::try_from(at)
            .ok()
            .and_then(|at| self.pixels.get_mut(at));
        if let Some(slot) = slot {
            *slot = pixel;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn early_and_late_pixels_have_the_same_chance() {
        let mut sample = Reservoir::new(1000, 7);
        for value in 0..=199u8 {
            (0..100).for_each(|_| sample.add([value; 3]));
        }
        assert_eq!((sample.seen, sample.pixels.len()), (20_000, 1000));
        let mean = sample.pixels.iter().map(|p| f64::from(p[0])).sum::<f64>() / 1000.0;
        // The mean of 1000 draws from 0..200 has a standard error of 1.8.
        assert!((mean - 99.5).abs() < 8.0, "{mean}");
    }
}
