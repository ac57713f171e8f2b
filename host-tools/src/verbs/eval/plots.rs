//! The pictures of an evaluation, as SVG.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::report::{Report, Score};
use crate::charts::confusion::{self, Confusion};
use crate::charts::errors_by_layer;
use crate::charts::reliability::{self, Curve, Point};

/// Draws what there is to draw into `folder`; returns the files. `cells` are images by label and verdict,
/// indices of `labels`.
///
/// # Errors
/// A folder or a file that cannot be written.
pub(super) fn draw(
    folder: &Path,
    report: &Report,
    cells: &BTreeMap<(usize, usize), u64>,
    labels: &[String],
) -> anyhow::Result<Vec<PathBuf>> {
    std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    let mut files = Vec::new();
    let score = &report.score;
    let this = name(score);
    let against = report
        .comparison
        .as_ref()
        .map(|comparison| &comparison.against);
    if !cells.is_empty() {
        let matrix = involved(cells, labels);
        let right = (100.0 * score.top1, score.images);
        let title = format!("{this}: {:.2} % of {} images right", right.0, right.1);
        let path = folder.join("confusion.svg");
        if matrix.labels.len() <= confusion::MOST {
            confusion::draw(&path, &title, &matrix)?;
            files.push(path);
        } else {
            let (found, most) = (matrix.labels.len(), confusion::MOST);
            eprintln!(
                "igpt: {}: not drawn, {found} classes, at most {most} are",
                path.display()
            );
        }
    }
    let path = folder.join("reliability.svg");
    let what = if score.is_causal() {
        "predicted tokens"
    } else {
        "verdicts"
    };
    let title = format!("Reliability of {} {what}", score.predictions);
    reliability::draw(&path, &title, &curve(score), against.map(curve).as_ref())?;
    files.push(path);
    if let Some(comparison) = report.comparison.as_ref().filter(|c| !c.layers.is_empty()) {
        let path = folder.join("layers.svg");
        let against = name(&comparison.against);
        let title = format!(
            "{this} against {against}, {} images",
            comparison.layer_images
        );
        let errors: Vec<f64> = comparison.layers.iter().map(|l| l.relative_error).collect();
        errors_by_layer(&path, &title, &errors)?;
        files.push(path);
    }
    Ok(files)
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
            .filter_map(|class| labels.get(*class).cloned())
            .collect(),
        cells: cells
            .iter()
            .map(|((label, verdict), n)| (place(label), place(verdict), *n))
            .collect(),
    }
}
