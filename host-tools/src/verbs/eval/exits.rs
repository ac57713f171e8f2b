//! What a file's early exits do on a data set: each promise, and every other way of stopping by one margin.

use std::io::{self, Write};

use igpt_runtime::tools::{argmax, margin};
use igpt_runtime::{Error, ExitLevel, Exits, ImageGptForImageClassification};
use serde::Serialize;

use crate::charts::saving::Point;

/// Points of the curve.
const POINTS: usize = 200;

/// What the exits of a file come to.
#[derive(Clone, Debug, Serialize)]
pub struct ExitScore {
    /// Images that were run with all probes.
    pub images: usize,
    /// The blocks after which there is a probe.
    pub layers: Vec<usize>,
    /// Of each probe, the share of the images of which it says what the whole model does, whatever its margin.
    pub probe_agreement: Vec<f64>,
    /// Each promise of the file.
    pub levels: Vec<LevelScore>,
}

/// What became of a promise.
#[derive(Clone, Debug, Serialize)]
pub struct LevelScore {
    /// What it promises, of the images that stop early.
    pub promised: f64,
    /// Share of the images that stop early.
    pub exited: f64,
    /// Of these, the share that gets the whole model's verdict; absent if none stops.
    pub agreement: Option<f64>,
    /// Of all images, that share.
    pub verdicts: f64,
    /// Share of all blocks that was not computed.
    pub saved: f64,
    /// Share of the images that are right.
    pub top1: f64,
}

/// The images of an evaluation, as the probes see them.
#[derive(Clone, Debug)]
pub(super) struct Probed {
    exits: Exits,
    blocks: usize,
    images: Vec<Image>,
}

/// What the probes say of an image, and last the whole model.
#[derive(Clone, Debug)]
struct Image {
    label: Option<usize>,
    classes: Vec<usize>,
    margins: Vec<f32>,
}

impl Image {
    fn whole(&self) -> Option<&usize> {
        self.classes.last()
    }
}

/// What a way of stopping comes to, in images.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    exited: usize,
    agreed: usize,
    right: usize,
    blocks: usize,
}

impl Probed {
    /// Of a model with these exits.
    pub(super) fn new(exits: &Exits, blocks: usize) -> Self {
        Self {
            exits: exits.clone(),
            blocks,
            images: Vec::new(),
        }
    }

    /// Runs an image of this label.
    ///
    /// # Errors
    /// On tokens that do not fit the model, or activations that overflow.
    pub(super) fn add(
        &mut self,
        model: &ImageGptForImageClassification,
        tokens: &[u16],
        label: Option<usize>,
    ) -> Result<(), Error> {
        let logits = model.logits_by_exit(tokens)?;
        self.images.push(Image {
            label,
            classes: logits.iter().map(|logits| argmax(logits)).collect(),
            margins: logits.iter().map(|logits| margin(logits)).collect(),
        });
        Ok(())
    }

    /// The sum over all images, each stopping where `stops` says so first of an exit and its margin.
    fn sum(&self, stops: impl Fn(usize, f32) -> bool) -> Sum {
        let mut sum = Sum::default();
        for image in &self.images {
            let exits = self.exits.layers.iter().enumerate();
            let mut exits = exits.zip(&image.margins);
            let found = exits.find(|((exit, _), margin)| stops(*exit, **margin));
            let (class, layer) = match found {
                Some(((exit, layer), _)) => (image.classes.get(exit), *layer),
                None => (image.whole(), self.blocks),
            };
            sum.exited += usize::from(found.is_some());
            sum.agreed += usize::from(class == image.whole());
            sum.right += usize::from(image.label.is_some() && class == image.label.as_ref());
            sum.blocks += layer;
        }
        sum
    }

    fn saved(&self, sum: Sum) -> f64 {
        1.0 - sum.blocks as f64 / (self.blocks * self.images.len()).max(1) as f64
    }

    /// The promises on these images.
    pub(super) fn score(&self) -> ExitScore {
        let images = self.images.len();
        let share = |count: usize| count as f64 / images.max(1) as f64;
        let level = |level: &ExitLevel| {
            let margins = &level.margins;
            let sum = self.sum(|exit, margin| {
                let enough = margins.get(exit).copied().flatten();
                enough.is_some_and(|enough| margin >= enough)
            });
            let alone = images - sum.exited;
            let agreement = (sum.agreed - alone) as f64 / sum.exited as f64;
            LevelScore {
                promised: level.agreement,
                exited: share(sum.exited),
                agreement: (sum.exited > 0).then_some(agreement),
                verdicts: share(sum.agreed),
                saved: self.saved(sum),
                top1: share(sum.right),
            }
        };
        let says = |exit: usize| {
            let same = self
                .images
                .iter()
                .filter(|image| image.classes.get(exit) == image.whole());
            share(same.count())
        };
        ExitScore {
            images,
            layers: self.exits.layers.clone(),
            probe_agreement: (0..self.exits.layers.len()).map(says).collect(),
            levels: self.exits.levels.iter().map(level).collect(),
        }
    }

    /// Saving against agreement where one margin is enough at every exit, from the strictest on.
    pub(super) fn curve(&self) -> Vec<Point> {
        let exits = self.exits.layers.len();
        let margins = self
            .images
            .iter()
            .flat_map(|i| i.margins.iter().take(exits));
        let mut margins: Vec<f32> = margins.copied().collect();
        margins.sort_by(|a, b| b.total_cmp(a));
        let step = margins.len().div_ceil(POINTS).max(1);
        let last = margins.last().copied();
        let enough = margins.iter().copied().step_by(step).chain(last);
        let point = |enough: f32| {
            let sum = self.sum(|_, margin| margin >= enough);
            Point {
                saved: self.saved(sum),
                agreement: sum.agreed as f64 / self.images.len().max(1) as f64,
            }
        };
        enough.map(point).collect()
    }
}

/// The promises as points of that curve.
pub(super) fn promises(score: &ExitScore) -> Vec<Point> {
    let point = |level: &LevelScore| Point {
        saved: level.saved,
        agreement: level.verdicts,
    };
    score.levels.iter().map(point).collect()
}

/// As a table.
pub(super) fn print(out: &mut impl Write, score: &ExitScore) -> io::Result<()> {
    for (layer, agreement) in score.layers.iter().zip(&score.probe_agreement) {
        let agreement = 100.0 * agreement;
        writeln!(
            out,
            "probe after block {layer}: the whole model's verdict on {agreement:.2}%"
        )?;
    }
    writeln!(
        out,
        "{:>8} {:>11} {:>10} {:>13} {:>13} {:>8}",
        "promised", "stop early", "agree", "all verdicts", "blocks saved", "top-1"
    )?;
    for level in &score.levels {
        let agree = level.agreement.map_or_else(
            || "-".to_owned(),
            |agreement| format!("{:.2}%", 100.0 * agreement),
        );
        writeln!(
            out,
            "{:>8} {:>10.1}% {agree:>10} {:>12.2}% {:>12.1}% {:>7.2}%",
            level.promised,
            100.0 * level.exited,
            100.0 * level.verdicts,
            100.0 * level.saved,
            100.0 * level.top1,
        )?;
    }
    Ok(())
}
