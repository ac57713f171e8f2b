//! The report as a person reads it.

use std::io::{self, Write};

use igpt_runtime::tools::{counted, one_line};

use super::compare::LayerError;
use super::exits;
use super::report::{Comparison, OtherVerdict, Report, Score, Verdict};

/// Prints the report; of each list `show` lines.
pub(super) fn print(out: &mut impl Write, report: &Report, show: usize) -> io::Result<()> {
    let score = &report.score;
    let against = report
        .comparison
        .as_ref()
        .map(|comparison| &comparison.against);
    writeln!(
        out,
        "{}: {} in {} on {}, {} of {}{}",
        score.run.model.path().display(),
        score.run.model.task,
        score.run.model.dtype,
        score.run.isa,
        counted(score.images, "image"),
        report.data.display(),
        report
            .split
            .as_ref()
            .map_or_else(String::new, |split| format!(" ({split})"))
    )?;
    if let Some(against) = against {
        writeln!(
            out,
            "against {} in {}",
            against.run.model.path().display(),
            against.run.model.dtype
        )?;
    }
    report.skips.print(out)?;
    scores(out, score, report.comparison.as_ref())?;
    if let Some(comparison) = &report.comparison {
        verdicts(out, score, comparison, show)?;
        layers(out, comparison)?;
    }
    if let Some(exits) = &report.exits {
        exits::print(out, exits)?;
    }
    confusions(out, report, show)?;
    images(out, report)?;
    for path in &report.plots {
        writeln!(out, "{}", path.display())?;
    }
    Ok(())
}

/// What two columns are called: by how they are stored, if that tells them apart.
fn columns<'a>(score: &'a Score, against: &'a Score) -> (&'a str, &'a str) {
    match (score.run.model.dtype, against.run.model.dtype) {
        (this, other) if this == other => ("this", "against"),
        (this, other) => (this, other),
    }
}

fn scores(out: &mut impl Write, score: &Score, comparison: Option<&Comparison>) -> io::Result<()> {
    let against = comparison.map(|comparison| &comparison.against);
    if let Some(against) = against {
        let (this, other) = columns(score, against);
        writeln!(out, "{:<22} {this:>10} {other:>10}", "")?;
    }
    let mut row = |name: &str, decimals: usize, of: &dyn Fn(&Score) -> f64, note: String| {
        write!(out, "{name:<22} {:>10.decimals$}", of(score))?;
        if let Some(against) = against {
            write!(out, " {:>10.decimals$}", of(against))?;
        }
        writeln!(out, "{}{note}", if note.is_empty() { "" } else { "   " })
    };
    let mut note = comparison.map_or_else(String::new, |c| format!("{:+.2} points", c.top1_points));
    if let Some(error) = score.top1_standard_error {
        let comma = if note.is_empty() { "" } else { ", " };
        note = format!("{note}{comma}standard error {:.2}", 100.0 * error);
    }
    row("top-1, %", 2, &|s| 100.0 * s.top1, note)?;
    row("top-5, %", 2, &|s| 100.0 * s.top5, String::new())?;
    let note = comparison.map_or_else(String::new, |c| format!("{:+.3} %", c.nats_percent));
    let unit = if score.is_causal() {
        "nats per token"
    } else {
        "nats per image"
    };
    row(unit, 4, &|s| s.nats, note)?;
    if score.is_causal() {
        let bits = |s: &Score| s.bits_per_dimension.unwrap_or_default();
        row("bits per dimension", 4, &bits, String::new())?;
    }
    let ece = |s: &Score| 100.0 * s.calibration.ece;
    row("calibration error, %", 2, &ece, String::new())?;
    let times = &score.seconds_per_image;
    let note = format!("median; 95 % within {:.2}", 1e3 * times.p95);
    row(
        "ms per image",
        2,
        &|s| 1e3 * s.seconds_per_image.median,
        note,
    )
}

/// Whether verdicts flipped, and which.
fn verdicts(
    out: &mut impl Write,
    score: &Score,
    comparison: &Comparison,
    show: usize,
) -> io::Result<()> {
    let (this, other) = columns(score, &comparison.against);
    let turns = &comparison.turns;
    let what = if score.is_causal() {
        "predicted tokens"
    } else {
        "verdicts"
    };
    if turns.flipped == 0 {
        write!(out, "{this} flipped none of {} {what}", score.predictions)?;
    } else {
        write!(
            out,
            "{this} flipped {} of {} {what} ({:.2} % the same): {} to right, {} to wrong, \
             {} from wrong to wrong",
            turns.flipped,
            score.predictions,
            100.0 * comparison.argmax_agreement,
            turns.to_right,
            turns.to_wrong,
            turns.between_wrong
        )?;
    }
    writeln!(
        out,
        "; cosine of the logits {:.6}",
        comparison.logits_cosine
    )?;
    let flips = comparison.flips.as_deref().unwrap_or_default();
    for flip in flips.iter().take(show) {
        let verdicts = pair(&flip.verdict, &flip.other, this, other);
        writeln!(out, "  {}: {verdicts}: {}", flip.image, flip.turn.words())?;
    }
    if flips.len() > show {
        writeln!(out, "  and {} more, which --json names", flips.len() - show)?;
    }
    if comparison.disagreeing.is_empty() {
        return Ok(());
    }
    writeln!(out, "most disagreement (divergence in nats):")?;
    for image in &comparison.disagreeing {
        write!(out, "  {}: {:.5}", image.image, image.divergence)?;
        match image.verdict.as_ref().zip(image.other.as_ref()) {
            Some((ours, theirs)) => writeln!(out, ", {}", pair(ours, theirs, this, other))?,
            None => writeln!(out)?,
        }
    }
    Ok(())
}

fn pair(ours: &Verdict, theirs: &OtherVerdict, this: &str, other: &str) -> String {
    format!(
        "{}, {this} says {} ({:.1} %), {other} {} ({:.1} %)",
        one_line(&ours.label),
        one_line(&ours.verdict),
        100.0 * ours.probability,
        one_line(&theirs.against_verdict),
        100.0 * theirs.against_probability
    )
}

fn layers(out: &mut impl Write, comparison: &Comparison) -> io::Result<()> {
    if comparison.layers.is_empty() {
        let why = "the two have not as many of the same width, or --layer-images is 0";
        return writeln!(out, "layers: not compared, {why}");
    }
    writeln!(
        out,
        "hidden states of {}:\n  {:>5} {:>14} {:>10} {:>22}",
        counted(comparison.layer_images, "image"),
        "layer",
        "relative error",
        "cosine",
        "least cosine of a token"
    )?;
    for LayerError {
        layer,
        relative_error,
        cosine,
        least_token_cosine,
    } in &comparison.layers
    {
        let percent = 100.0 * relative_error;
        writeln!(
            out,
            "  {layer:>5} {percent:>12.3} % {cosine:>10.6} {least_token_cosine:>23.6}"
        )?;
    }
    Ok(())
}

/// The largest cells beside the diagonal.
fn confusions(out: &mut impl Write, report: &Report, show: usize) -> io::Result<()> {
    let mut cells: Vec<_> = report
        .confusion
        .iter()
        .filter(|c| c.label != c.verdict)
        .collect();
    cells.sort_by_key(|cell| std::cmp::Reverse(cell.images));
    if cells.is_empty() {
        return Ok(());
    }
    writeln!(out, "most confused:")?;
    for cell in cells.iter().take(show) {
        let class = report
            .classes
            .iter()
            .find(|class| class.label == cell.label);
        let of = class.map_or(0, |class| class.images);
        writeln!(
            out,
            "  {} taken for {}: {} of {}",
            one_line(&cell.label),
            one_line(&cell.verdict),
            cell.images,
            counted(of, "image")
        )?;
    }
    Ok(())
}

fn images(out: &mut impl Write, report: &Report) -> io::Result<()> {
    if report.hardest.is_empty() {
        return Ok(());
    }
    writeln!(out, "least foreseen (nats):")?;
    for hard in &report.hardest {
        write!(out, "  {}: {:.4}", hard.image, hard.nats)?;
        match &hard.verdict {
            Some(Verdict {
                label,
                verdict,
                probability,
            }) => writeln!(
                out,
                ", {} taken for {} ({:.1} %)",
                one_line(label),
                one_line(verdict),
                100.0 * probability
            )?,
            None => writeln!(out)?,
        }
    }
    writeln!(out, "slowest (ms):")?;
    for slow in &report.slowest {
        writeln!(out, "  {}: {:.2}", slow.image, 1e3 * slow.seconds)?;
    }
    Ok(())
}
