//! What a probe found: as JSON, as a table, as a chart.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use igpt_runtime::tools::counted;
use igpt_runtime::tools::report::RunReport;
use serde::Serialize;

use super::exits::ExitReport;
use crate::charts::{Curve, by_layer};
use crate::skips::Skips;

/// What one layer's features are worth.
#[derive(Clone, Debug, Serialize)]
pub struct LayerReport {
    /// 0: the embeddings; else the block, or of a SegFormer the stage, that it follows.
    pub layer: usize,
    /// Share of the fitted images that it gets right.
    pub train_accuracy: f64,
    /// Share of the others.
    pub accuracy: f64,
    /// Mean cross-entropy of the others in nats.
    pub nats: f64,
    /// Of L-BFGS.
    pub iterations: u64,
}

/// The file that was written.
#[derive(Clone, Debug, Serialize)]
pub struct Written {
    /// Where.
    pub file: PathBuf,
    /// Its blocks.
    pub layer: usize,
    /// Its size.
    pub bytes: u64,
    /// Its accuracy on the measured images, run as a board would.
    pub accuracy: f64,
}

/// The whole probe.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The model and how it ran.
    #[serde(flatten)]
    pub run: RunReport,
    /// Images fitted.
    pub train_images: usize,
    /// Images measured.
    pub test_images: usize,
    /// Of a data set with splits, the folder or file that was fitted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub train_split: Option<String>,
    /// The same of what was measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test_split: Option<String>,
    /// Their classes.
    pub classes: Vec<String>,
    /// Every layer, the embeddings first.
    pub layers: Vec<LayerReport>,
    /// The most accurate, the first of equals.
    pub best_layer: usize,
    /// Pictures that cannot be read.
    #[serde(flatten)]
    pub skips: Skips,
    /// Present with `--output`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub written: Option<Written>,
}

/// What became of `--exits`.
#[derive(Clone, Debug, Serialize)]
pub struct WithExits {
    /// The model and how it ran.
    #[serde(flatten)]
    pub run: RunReport,
    /// Of a model that had to become a classifier first: how.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub probe: Option<Report>,
    /// The exits.
    pub exits: ExitReport,
    /// Pictures that cannot be read.
    #[serde(flatten)]
    pub skips: Skips,
}

/// Draws accuracy over layer.
pub(super) fn plot(path: &Path, report: &Report) -> anyhow::Result<()> {
    let curve = |name, of: fn(&LayerReport) -> f64| Curve {
        name,
        values: report.layers.iter().map(of).collect(),
    };
    let name = report
        .run
        .model
        .path()
        .file_name()
        .unwrap_or_default()
        .to_string_lossy();
    let title = format!("{name}: linear probes of {} classes", report.classes.len());
    by_layer(
        path,
        &title,
        &[
            curve("measured", |l| l.accuracy),
            curve("fitted", |l| l.train_accuracy),
        ],
    )
}

/// The most accurate layer, the first of equals: it is the smallest.
pub(super) fn best<'a>(layers: impl Iterator<Item = &'a LayerReport>) -> usize {
    let mut best: Option<&LayerReport> = None;
    for layer in layers {
        if best.is_none_or(|best| layer.accuracy > best.accuracy) {
            best = Some(layer);
        }
    }
    best.map_or(0, |best| best.layer)
}

/// As a table.
pub(super) fn print(out: &mut impl Write, report: &Report) -> io::Result<()> {
    writeln!(
        out,
        "{:>5} {:>9} {:>9} {:>8}  {} fitted, {} measured, {}",
        "layer",
        "fitted",
        "measured",
        "nats",
        counted(report.train_images, "image"),
        report.test_images,
        counted(report.classes.len(), "class")
    )?;
    if let Some((train, test)) = report.train_split.as_ref().zip(report.test_split.as_ref()) {
        writeln!(out, "fitted: {train}, measured: {test}")?;
    }
    report.skips.print(out)?;
    for layer in &report.layers {
        let mark = if layer.layer == report.best_layer {
            "  best"
        } else {
            ""
        };
        writeln!(
            out,
            "{:>5} {:>8.2}% {:>8.2}% {:>8.4}{mark}",
            layer.layer,
            100.0 * layer.train_accuracy,
            100.0 * layer.accuracy,
            layer.nats
        )?;
    }
    let Some(written) = &report.written else {
        return Ok(());
    };
    let best_block = best(report.layers.iter().filter(|layer| layer.layer > 0));
    if report.best_layer == 0 && written.layer == best_block {
        writeln!(
            out,
            "layer 0 is the embeddings, of which no model can be made: the best block instead"
        )?;
    }
    writeln!(
        out,
        "{}: the first {} of {}, {} bytes, {:.2}% of the measured images right when run",
        written.file.display(),
        written.layer,
        match report.run.model.model_type {
            "imagegpt" => counted(report.layers.len().saturating_sub(1), "block"),
            _ => counted(report.layers.len(), "stage"),
        },
        written.bytes,
        100.0 * written.accuracy
    )
}
