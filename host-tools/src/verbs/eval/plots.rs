//! The pictures of an evaluation, as SVG.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use igpt_runtime::tools::{counted, one_line};

use super::exits::Probed;
use super::report::{Report, Score};
use crate::charts::confusion::{self, Confusion};
use crate::charts::errors_by_layer;
use crate::charts::reliability::{self, Curve, Point};
use crate::charts::saving;
use crate::failure::{Blame as _, Late, say};

/// What is drawn, at most.
pub(super) const FILES: [&str; 4] = [
    "confusion.svg",
    "reliability.svg",
    "layers.svg",
    "exits.svg",
];

/// Draws what there is to draw into `folder`; returns the files. `cells` are images by label and verdict,
/// indices of `labels`. What cannot be written is kept in `late`.
pub(super) fn draw(
    folder: &Path,
    report: &Report,
    cells: &BTreeMap<(usize, usize), u64>,
    labels: &[String],
    probed: Option<&Probed>,
    late: &mut Late,
) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let [confusion, reliability, layers, exits] = FILES.map(|name| folder.join(name));
    let mut drawn = |path: PathBuf, result: anyhow::Result<()>| {
        files.extend(late.note(result.failed()).map(|()| path));
    };
    let score = &report.score;
    let this = name(score);
    let against = report
        .comparison
        .as_ref()
        .map(|comparison| &comparison.against);
    if !cells.is_empty() {
        let matrix = involved(cells, labels);
        let right = (100.0 * score.top1, score.images);
        let title = format!(
            "{this}: {:.2} % of {} right",
            right.0,
            counted(right.1, "image")
        );
        let (path, found, most) = (confusion, matrix.labels.len(), confusion::MOST);
        if found <= most {
            let result = confusion::draw(&path, &title, &matrix);
            drawn(path, result);
        } else {
            let path = path.display();
            say(&format!(
                "{path}: not drawn, {found} classes, at most {most} are"
            ));
        }
    }
    let what = if score.is_causal() {
        "predicted tokens"
    } else {
        "verdicts"
    };
    let title = format!("Reliability of {} {what}", score.predictions);
    let result = reliability::draw(
        &reliability,
        &title,
        &curve(score),
        against.map(curve).as_ref(),
    );
    drawn(reliability, result);
    if let Some(comparison) = report.comparison.as_ref().filter(|c| !c.layers.is_empty()) {
        let against = name(&comparison.against);
        let title = format!(
            "{this} against {against}, {}",
            counted(comparison.layer_images, "image")
        );
        let errors: Vec<f64> = comparison.layers.iter().map(|l| l.relative_error).collect();
        let result = errors_by_layer(&layers, &title, &errors);
        drawn(layers, result);
    }
    if let Some((probed, exits_score)) = probed.zip(report.exits.as_ref()) {
        let title = format!(
            "{this}: stopping early, {}",
            counted(exits_score.images, "image")
        );
        let promises = super::exits::promises(exits_score);
        drawn(
            exits.clone(),
            saving::draw(&exits, &title, &probed.curve(), &promises),
        );
    }
    files
}

fn name(score: &Score) -> String {
    let path = score.run.model.path();
    let name = path.file_name().unwrap_or(path.as_os_str());
    format!("{} ({})", name.to_string_lossy(), score.run.model.dtype)
}

fn curve(score: &Score) -> Curve {
    let calibration = &score.calibration;
    let points = calibration.bins.iter().map(|bin| Point {
        from: bin.from,
        to: bin.to,
        confidence: bin.confidence,
        accuracy: bin.accuracy,
        predictions: bin.predictions,
    });
    Curve {
        name: format!(
            "{}: calibration error {:.2} %",
            name(score),
            100.0 * calibration.ece
        ),
        points: points.collect(),
    }
}

/// The matrix of those classes that images are of or were taken for: of a thousand there may be ten.
fn involved(cells: &BTreeMap<(usize, usize), u64>, labels: &[String]) -> Confusion {
    let classes: BTreeSet<usize> = cells
        .keys()
        .flat_map(|(label, verdict)| [*label, *verdict])
        .collect();
    let places: BTreeMap<usize, usize> = classes
        .iter()
        .enumerate()
        .map(|(place, class)| (*class, place))
        .collect();
    let place = |class: &usize| places.get(class).copied().unwrap_or_default();
    Confusion {
        labels: classes
            .iter()
            .filter_map(|class| labels.get(*class))
            .map(|label| one_line(label).into_owned())
            .collect(),
        cells: cells
            .iter()
            .map(|((label, verdict), n)| (place(label), place(verdict), *n))
            .collect(),
    }
}
