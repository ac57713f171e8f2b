//! From what was measured of every image to the report.

use std::collections::BTreeMap;

use super::Data;
use super::compare::{Pair, Turn};
use super::report::{
    Cell, ClassScore, Comparison, Disagreement, Flip, Hard, OtherVerdict, Report, Score, Slow,
    Verdict,
};
use super::subject::Subject;
use super::tally::{Judged, Tally};
use crate::skips::Skips;

/// What was measured.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    pub(super) tally: Tally,
    /// The other model's.
    pub(super) other: Tally,
    pub(super) pair: Pair,
    pub(super) records: Vec<Record>,
}

/// What was measured of one image.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record {
    /// Its place in the data set.
    pub(super) index: usize,
    /// A classifier's index of its label.
    pub(super) label: Option<usize>,
    pub(super) seconds: f64,
    /// Cross-entropy: of the label, or of the mean token.
    pub(super) nats: f64,
    /// A classifier's verdict, or a language model's on the last token.
    pub(super) judged: Option<Judged>,
    /// Of the other model.
    pub(super) other: Option<OtherRecord>,
}

/// What the other model says of an image.
#[derive(Clone, Copy, Debug)]
pub(super) struct OtherRecord {
    pub(super) nats: f64,
    pub(super) judged: Option<Judged>,
    pub(super) divergence: f64,
}

impl Gathered {
    /// The report, but for the layers and the pictures; lists name `show` images.
    pub(super) fn report(
        &self,
        subject: &Subject,
        other: Option<&Subject>,
        data: &Data,
        show: usize,
    ) -> Report {
        let names = Names {
            labels: subject.model.config().labels(),
            data,
        };
        let (score, n) = (score(subject, &self.tally), self.records.len());
        let by = |key: fn(&Record) -> f64| {
            let mut sorted: Vec<&Record> = self.records.iter().collect();
            sorted.sort_by(|a, b| key(b).total_cmp(&key(a)));
            sorted.truncate(show.min(n));
            sorted
        };
        let hard = |record: &&Record| Hard {
            image: data.set.name(record.index),
            nats: record.nats,
            verdict: names.verdict(record),
        };
        let slow = |record: &&Record| Slow {
            image: data.set.name(record.index),
            seconds: record.seconds,
        };
        let comparison = other.map(|other| {
            let apart = by(|r| r.other.map_or(0.0, |other| other.divergence));
            let disagreement = |record: &&Record| Disagreement {
                image: data.set.name(record.index),
                divergence: record.other.map_or(0.0, |other| other.divergence),
                verdict: names.verdict(record),
                other: names.other(record),
            };
            let against = self::score(other, &self.other);
            Comparison {
                argmax_agreement: self.pair.agreement(),
                logits_cosine: self.pair.cosine(),
                top1_points: 100.0 * (score.top1 - against.top1),
                nats_percent: 100.0 * (score.nats / against.nats - 1.0),
                turns: self.pair.turns,
                flips: (!subject.is_causal()).then(|| self.flips(&names)),
                disagreeing: apart.iter().map(disagreement).collect(),
                layer_images: 0,
                layers: Vec::new(),
                against,
            }
        });
        Report {
            data: data.path.clone(),
            split: data.set.split.clone(),
            classes: self.classes(&names),
            confusion: self.cells(&names),
            hardest: by(|r| r.nats).iter().map(hard).collect(),
            slowest: by(|r| r.seconds).iter().map(slow).collect(),
            comparison,
            exits: None,
            skips: Skips::default(),
            plots: Vec::new(),
            score,
        }
    }

    /// Every image whose verdict flipped, the widest divergence first.
    fn flips(&self, names: &Names<'_>) -> Vec<Flip> {
        let flip = |record: &Record| {
            let (ours, other) = (record.judged?, record.other?);
            let turn = Turn::of(record.label?, ours.verdict, other.judged?.verdict)?;
            let flip = Flip {
                image: names.data.set.name(record.index),
                verdict: names.verdict(record)?,
                other: names.other(record)?,
                turn,
            };
            Some((other.divergence, flip))
        };
        let mut flips: Vec<(f64, Flip)> = self.records.iter().filter_map(flip).collect();
        flips.sort_by(|a, b| b.0.total_cmp(&a.0));
        flips.into_iter().map(|(_, flip)| flip).collect()
    }

    fn cells(&self, names: &Names<'_>) -> Vec<Cell> {
        let cell = |((label, verdict), images): (&(usize, usize), &u64)| Cell {
            label: names.label(*label),
            verdict: names.label(*verdict),
            images: *images,
        };
        self.tally.confusion.iter().map(cell).collect()
    }

    /// Every class that images are of or were taken for.
    fn classes(&self, names: &Names<'_>) -> Vec<ClassScore> {
        let mut counts = BTreeMap::<usize, (u64, u64, u64)>::new();
        for ((label, verdict), images) in &self.tally.confusion {
            counts.entry(*label).or_default().0 += images;
            counts.entry(*verdict).or_default().1 += images;
            if label == verdict {
                counts.entry(*label).or_default().2 += images;
            }
        }
        let share = |right: u64, of: u64| (of > 0).then(|| right as f64 / of as f64);
        let class = |(label, (images, taken, right)): (usize, (u64, u64, u64))| ClassScore {
            label: names.label(label),
            images,
            recall: share(right, images),
            precision: share(right, taken),
        };
        counts.into_iter().map(class).collect()
    }
}

/// What indices are called.
struct Names<'a> {
    labels: &'a [String],
    data: &'a Data,
}

impl Names<'_> {
    fn label(&self, index: usize) -> String {
        self.labels.get(index).cloned().unwrap_or_default()
    }

    /// A classifier's verdict.
    fn verdict(&self, record: &Record) -> Option<Verdict> {
        let judged = record.judged?;
        Some(Verdict {
            label: self.label(record.label?),
            verdict: self.label(judged.verdict),
            probability: judged.confidence,
        })
    }

    /// The other classifier's.
    fn other(&self, record: &Record) -> Option<OtherVerdict> {
        record.label?;
        let judged = record.other?.judged?;
        Some(OtherVerdict {
            against_verdict: self.label(judged.verdict),
            against_probability: judged.confidence,
        })
    }
}

fn score(subject: &Subject, tally: &Tally) -> Score {
    let (top1, nats) = (tally.top1(), tally.nats());
    let bits = subject.is_causal().then(|| nats / std::f64::consts::LN_2);
    let error = || (top1 * (1.0 - top1) / tally.predictions.max(1) as f64).sqrt();
    Score {
        run: subject.describe(),
        images: tally.seconds.len(),
        predictions: tally.predictions,
        top1,
        top1_standard_error: (!subject.is_causal()).then(error),
        top5: tally.top5(),
        nats,
        bits_per_token: bits,
        bits_per_dimension: bits.map(|bits| bits / 3.0),
        seconds_per_image: tally.times(),
        calibration: tally.calibration(),
    }
}
