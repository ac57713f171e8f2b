//! What a model's features are worth when classes are taught by showing a few pictures, beside the same heads on raw pixels: classes drawn
//! at random, examples drawn at random, all of it many times over. Prints the tables of docs/teaching.md.
//!
//!     igpt quantize models/fashion-mnist/lm --task causal -o lm.onnx
//!     cargo run --release -p igpt-tests --example few_shot -- lm.onnx /usr/share/datasets/fashion-mnist/t10k-images-idx3-ubyte.gz
//!
//! Further arguments: SEED, and three classes such as 0,3,7 instead of random ones.

use std::path::Path;

use anyhow::{Context as _, ensure};
use igpt_heads::{Examples, Layer, Logistic, NearestMean, Samples, Taught};
use igpt_runtime::{AutoModel, DecodedImage, LoadOptions};
use igpt_tools::idx::LabelledImages;

const SIDE: usize = 28;
const DRAWS: usize = 20;
const CLASSES: usize = 3;
/// Pictures of each class that examples and tests are drawn from.
const POOL: usize = 200;
/// Pictures that are shown as none of the classes.
const NEGATIVES: usize = 20;
/// Pictures of a class that are measured.
const MEASURED: usize = 100;

/// Random numbers, the same on every machine.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % end.max(1)
    }

    fn shuffle<T>(&mut self, list: &mut [T]) {
        for last in (1..list.len()).rev() {
            list.swap(last, self.below(last + 1));
        }
    }
}

/// A picture as each layer has it.
type Picture = Vec<Vec<f32>>;

/// One way of seeing the pictures: by class.
struct View {
    name: &'static str,
    layers: Vec<Layer>,
    usual: usize,
    by_class: Vec<Vec<Picture>>,
}

/// Numbers of many draws.
#[derive(Default)]
struct Spread(Vec<f64>);

impl Spread {
    fn text(&self) -> String {
        let count = self.0.len() as f64;
        let mean = self.0.iter().sum::<f64>() / count;
        let variance = self.0.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (count - 1.0);
        format!("{:.1} ± {:.1} %", 100.0 * mean, 100.0 * variance.sqrt())
    }
}

/// What one draw came to.
struct Draw {
    right: f64,
    means: f64,
    regression: f64,
    /// Of the classes' pictures, those that pass the gate.
    accepted: f64,
    /// Of classes that were shown as none of them, fresh pictures that pass.
    like_negatives: f64,
    /// The same of classes that were never shown at all.
    unknown: f64,
}

fn draw(view: &View, shots: usize, order: &[usize], random: &mut Random) -> anyhow::Result<Draw> {
    let mut examples = Examples::new(view.layers.clone());
    let show = |examples: &mut Examples, label: Option<&str>, picture: &Picture| {
        let showing = examples.begin(label)?;
        let features: Vec<&[f32]> = picture.iter().map(Vec::as_slice).collect();
        anyhow::Ok(examples.add(showing, label, &features).map(drop)?)
    };
    let shuffled = |class: usize, random: &mut Random| {
        let mut pictures: Vec<&Picture> = view.by_class[class].iter().collect();
        random.shuffle(&mut pictures);
        pictures
    };
    let usual = view
        .layers
        .iter()
        .position(|l| l.number == view.usual)
        .context("a layer")?;
    let (mut tests, mut fitted, mut labels) = (Vec::new(), Vec::new(), Vec::new());
    for (class, of) in order.iter().take(CLASSES).enumerate() {
        let pictures = shuffled(*of, random);
        for picture in pictures.iter().take(shots) {
            show(&mut examples, Some(&format!("{class}")), picture)?;
            fitted.extend_from_slice(&picture[usual]);
            labels.push(class);
        }
        let measured = pictures.into_iter().skip(shots).take(MEASURED);
        tests.extend(measured.map(|picture| (picture, class)));
    }
    let mut like_negatives = Vec::new();
    for of in &order[CLASSES..2 * CLASSES] {
        let pictures = shuffled(*of, random);
        for picture in pictures.iter().take(NEGATIVES.div_ceil(CLASSES)) {
            show(&mut examples, None, picture)?;
        }
        like_negatives.extend(pictures.into_iter().rev().take(MEASURED));
    }
    let unknown = order[2 * CLASSES..].iter();
    let unknown: Vec<&Picture> = unknown
        .flat_map(|of| view.by_class[*of].iter().take(MEASURED))
        .collect();
    let head = Taught::train(&examples, view.usual)?.context("a head")?;
    let layer = view
        .layers
        .iter()
        .position(|l| *l == head.layer())
        .context("its layer")?;
    let passes = |pictures: &[&Picture]| {
        let pass = pictures
            .iter()
            .filter(|picture| !head.recognise(&picture[layer]).none);
        pass.count() as f64 / pictures.len() as f64
    };
    let share = |right: &dyn Fn(&Picture, usize) -> bool| {
        let right = tests
            .iter()
            .filter(|(picture, class)| right(picture, *class));
        right.count() as f64 / tests.len() as f64
    };
    let width = view.layers[usual].width;
    let samples = Samples {
        features: &fitted,
        width,
        labels: &labels,
    };
    let means = NearestMean::fit(&samples, CLASSES, &[])?;
    let regression = Logistic::fit(&samples, CLASSES, 1.0)?.head;
    let best = |numbers: Vec<f64>| (0..CLASSES).max_by(|a, b| numbers[*a].total_cmp(&numbers[*b]));
    let known: Vec<&Picture> = tests.iter().map(|(picture, _)| *picture).collect();
    Ok(Draw {
        right: share(&|picture, class| head.recognise(&picture[layer]).class == class),
        means: share(&|picture, class| best(means.similarities(&picture[usual])) == Some(class)),
        regression: share(&|picture, class| {
            best(regression.logits(&picture[usual])) == Some(class)
        }),
        accepted: passes(&known),
        like_negatives: passes(&like_negatives),
        unknown: passes(&unknown),
    })
}

/// The pictures as the model's layers have them, and as they are.
fn views(model: &AutoModel, images: &LabelledImages) -> anyhow::Result<[View; 2]> {
    let numbers: Vec<usize> = (1..=*model.layers().end()).collect();
    let layer = |number: &usize| {
        let width = model.width(*number)?;
        Some(Layer {
            number: *number,
            width,
        })
    };
    let usual = match model {
        AutoModel::ImageGpt(_) => (2 * numbers.len()).div_ceil(3),
        _ => numbers.len(),
    };
    let mut session = model.feature_session(&numbers)?;
    let mut features: Vec<Vec<Picture>> = vec![Vec::new(); 10];
    let mut pixels = features.clone();
    for (rgb, class) in images.iter() {
        let class = usize::from(class);
        if features[class].len() == POOL {
            continue;
        }
        pixels[class].push(vec![
            rgb.iter()
                .step_by(3)
                .map(|level| f32::from(*level) / 255.0)
                .collect(),
        ]);
        let image = DecodedImage::new(SIDE, SIDE, rgb)?;
        features[class].push(session.features_image(&image)?.layers);
    }
    ensure!(
        features.iter().all(|class| class.len() == POOL),
        "too few pictures"
    );
    Ok([
        View {
            name: "features",
            layers: numbers.iter().filter_map(layer).collect(),
            usual,
            by_class: features,
        },
        View {
            name: "raw pixels",
            layers: vec![Layer {
                number: 0,
                width: SIDE * SIDE,
            }],
            usual: 0,
            by_class: pixels,
        },
    ])
}

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let usage = "usage: few_shot MODEL.onnx IMAGES [SEED [CLASS,CLASS,CLASS]]";
    let model = AutoModel::load(arguments.next().context(usage)?, &LoadOptions::new())?;
    let images = LabelledImages::read(Path::new(&arguments.next().context(usage)?))?;
    let seed = arguments.next().map_or(Ok(1), |seed| seed.parse())?;
    let fixed = arguments.next().map(|list| {
        list.split(',')
            .map(str::parse)
            .collect::<Result<Vec<usize>, _>>()
    });
    let fixed = fixed.transpose()?;
    let views = views(&model, &images)?;
    println!(
        "| examples of each | of | right | nearest mean alone | regression alone | passes the gate | of negatives' classes | of classes never shown |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for shots in [1, 2, 3, 5, 10, 20] {
        for view in &views {
            let mut random = Random(seed);
            let mut all: [Spread; 6] = Default::default();
            for _ in 0..DRAWS {
                let mut order: Vec<usize> = (0..10).collect();
                random.shuffle(&mut order);
                if let Some(fixed) = &fixed {
                    ensure!(
                        fixed.len() == CLASSES && fixed.iter().all(|class| *class < 10),
                        usage
                    );
                    order.retain(|class| !fixed.contains(class));
                    order.splice(0..0, fixed.iter().copied());
                }
                let Draw {
                    right,
                    means,
                    regression,
                    accepted,
                    like_negatives,
                    unknown,
                } = draw(view, shots, &order, &mut random)?;
                let numbers = [right, means, regression, accepted, like_negatives, unknown];
                all.iter_mut()
                    .zip(numbers)
                    .for_each(|(all, number)| all.0.push(number));
            }
            let texts: Vec<String> = all.iter().map(Spread::text).collect();
            println!("| {shots} | {} | {} |", view.name, texts.join(" | "));
        }
    }
    Ok(())
}
