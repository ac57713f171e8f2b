//! What a stabilizer's margin does to verdicts: every test image of an IDX data set, shown for two noisy frames after two of the
//! image before it, with and without. Prints a table of docs/measured.md.
//!
//!     cargo run --release -p igpt-tests --example stabilize_margin -- /usr/share/datasets/fashion-mnist/t10k-images-idx3-ubyte.gz [IMAGES]

use std::path::Path;

use anyhow::Context as _;
use igpt_runtime::{ImageGptForImageClassification, LoadOptions, Stabilizer, StabilizerOptions};
use igpt_tools::idx::LabelledImages;

const MODEL: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../models/fashion-mnist/igpt-fashion-mnist-int8.onnx"
);
const MARGINS: [f32; 5] = [0.02, 0.04, 0.06, 0.08, 0.12];
const SIDE: usize = 28;

/// Sensor noise, the same on every machine.
struct Noise(u64);

impl Noise {
    /// Of standard deviation 2: eight numbers of 0 to 5 have 4.8.
    fn next(&mut self) -> i32 {
        let mut sum = 0;
        for _ in 0..8 {
            self.0 = self
                .0
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            sum += ((self.0 >> 40) % 6) as i32;
        }
        ((sum - 20) as f32 * (2.0 / 4.83)).round() as i32
    }

    fn on(&mut self, rgb: &[u8]) -> Vec<u8> {
        let noisy = rgb.as_chunks::<3>().0.iter().flat_map(|[grey, ..]| {
            let level = (i32::from(*grey) + self.next()).clamp(0, 255) as u8;
            [level; 3]
        });
        noisy.collect()
    }
}

/// What a way of showing the images came to.
#[derive(Clone, Default)]
struct Tally {
    right: usize,
    agree: usize,
    still: usize,
}

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments
        .next()
        .context("usage: stabilize_margin IMAGES [COUNT]")?;
    let images = LabelledImages::read(Path::new(&path))?;
    let count = arguments.next().map_or(Ok(usize::MAX), |n| n.parse())?;
    let model = ImageGptForImageClassification::load(MODEL, &LoadOptions::new().with_threads(1))?;
    let processor = model.processor();
    let mut session = model.session()?;
    let mut verdict = |tokens: &[u16]| anyhow::Ok(session.classify(tokens)?.top_k(1)[0].index);
    let mut noise = Noise(1);
    let (mut plain, mut tallies) = (0, vec![Tally::default(); MARGINS.len()]);
    let mut before: Option<Vec<u8>> = None;
    let mut shown = 0;
    for (rgb, label) in images.iter().take(count) {
        let before = before.replace(rgb.clone()).unwrap_or_else(|| rgb.clone());
        let frames: Vec<Vec<u8>> = [&before, &before, &rgb, &rgb]
            .into_iter()
            .map(|rgb| noise.on(rgb))
            .collect();
        let resized: Vec<_> = frames
            .iter()
            .map(|f| processor.resized(f, SIDE, SIDE))
            .collect::<Result<_, _>>()?;
        let own = verdict(&processor.tokens_from_rgb8(&frames[3], SIDE, SIDE)?)?;
        plain += usize::from(own == usize::from(label));
        for (margin, tally) in MARGINS.iter().zip(&mut tallies) {
            let mut stable = Stabilizer::new(StabilizerOptions::default().with_margin(*margin));
            let (mut tokens, mut changed) = (Vec::new(), 0);
            for frame in &resized {
                let (now, differ) = stable.next(processor, frame.rgb())?;
                (tokens, changed) = (now.to_vec(), differ);
            }
            let seen = verdict(&tokens)?;
            tally.right += usize::from(seen == usize::from(label));
            tally.agree += usize::from(seen == own);
            tally.still += usize::from(changed == 0);
        }
        shown += 1;
    }
    let percent = |n: usize| 100.0 * n as f64 / f64::from(shown);
    println!(
        "| margin | right | points | same verdict as without | second frame unchanged |\n|---|---|---|---|---|"
    );
    println!("| none | {:.2} % | | | |", percent(plain));
    for (
        margin,
        Tally {
            right,
            agree,
            still,
        },
    ) in MARGINS.iter().zip(&tallies)
    {
        println!(
            "| {margin} | {:.2} % | {:+.2} | {:.2} % | {:.1} % |",
            percent(*right),
            percent(*right) - percent(plain),
            percent(*agree),
            percent(*still)
        );
    }
    Ok(())
}
