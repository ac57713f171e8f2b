//! Reports for people.

use igpt_firmware_core::pipeline::Counters;
use igpt_firmware_core::queue::QueueCounters;
use igpt_firmware_core::verdict::{ProblemType, Score};
use igpt_runtime::tools::{counted, one_line};
use serde_json::{Map, Value};

use super::content::{Report, Summary};
use crate::ranked::Ranked;

pub(super) fn verdict(report: &Report<'_>) -> String {
    let verdict = report.verdict;
    let what = match (report.problem, report.sure) {
        (ProblemType::SingleLabel, true) => {
            format!("{:<20} {:>7}", one_line(&verdict.label), verdict.score)
        }
        (ProblemType::SingleLabel, false) => {
            let guess = format!("unsure ({}?)", one_line(&verdict.label));
            format!("{guess:<20} {:>7}", verdict.score)
        }
        (ProblemType::MultiLabel, true) => list(report.top.iter().filter(|ranked| ranked.present)),
        (ProblemType::MultiLabel, false) => format!("none ({}?)", verdict.text()),
        (ProblemType::Regression, _) => list(report.top.iter()),
    };
    let name = one_line(report.name.unwrap_or("frame"));
    let mut line = format!(
        "{:>6}  {name:<24}  {what:<28}  {:>8.1} ms",
        report.seq, report.milliseconds
    );
    if report.dropped > 0 {
        line.push_str(&format!("  {} dropped", report.dropped));
    }
    line.push('\n');
    line
}

/// What is seen has changed.
pub(super) fn change(fields: &Map<String, Value>) -> String {
    let name = |key: &str| match fields.get(key) {
        Some(Value::String(label)) => one_line(label).into_owned(),
        _ if key == "from" && fields.get("first") == Some(&Value::Bool(true)) => "at first".into(),
        _ => "unknown".into(),
    };
    let reason = fields.get("reason").and_then(Value::as_str);
    format!(
        "        {} -> {} ({})\n",
        name("from"),
        name("to"),
        reason.unwrap_or_default()
    )
}

fn list<'a>(classes: impl Iterator<Item = &'a Ranked>) -> String {
    let texts: Vec<String> = classes.map(Ranked::text).collect();
    texts.join(", ")
}

pub(super) fn summary(summary: &Summary) -> String {
    let Counters {
        classified,
        undecodable,
        output_failures,
        source_losses,
        source_recoveries,
        ..
    } = summary.counters;
    let QueueCounters {
        produced,
        consumed,
        dropped,
        queued,
    } = summary.queue;
    let mut text = format!(
        "\n{} classified in {:.1} s ({}), {} dropped, {undecodable} skipped\n",
        counted(classified, "frame"),
        summary.elapsed.as_secs_f32(),
        summary.cause,
        dropped + summary.lost_upstream,
    );
    let counts = summary.stats.verdicts();
    let labels: Vec<&str> = counts.iter().map(|count| count.label.as_str()).collect();
    let verdicts: Vec<String> = counts
        .iter()
        .map(|one| format!("{} {}", distinct(&labels, one.class, &one.label), one.count))
        .collect();
    if !verdicts.is_empty() {
        text.push_str(&format!("verdicts   {}\n", verdicts.join(", ")));
    }
    // On lines of their own: a label may be the same word.
    for (word, count) in [
        ("unsure", summary.stats.unsure),
        ("none", summary.stats.none),
    ] {
        if count > 0 {
            text.push_str(&format!("{word:<10} {}\n", counted(count, "frame")));
        }
    }
    let labels: Vec<&str> = summary
        .stats
        .values()
        .map(|range| range.label.as_str())
        .collect();
    for range in summary.stats.values() {
        let [mean, least, most] = [range.mean(), range.least, range.most].map(Score::Value);
        text.push_str(&format!(
            "value      {}: mean {mean}, {least} to {most}\n",
            distinct(&labels, range.class, &range.label)
        ));
    }
    if let (Some(median), Some(slow)) = (
        summary.stats.percentile(0.5),
        summary.stats.percentile(0.95),
    ) {
        text.push_str(&format!(
            "time       median {median:.1} ms, 95% within {slow:.1} ms\n"
        ));
    }
    if let Some(exits) = summary.exits {
        let off = if exits.broken { "; off since" } else { "" };
        text.push_str(&format!(
            "exits      {} of {} stopped early, {} of {} audited agreed{off}\n",
            exits.exited,
            counted(exits.frames, "frame"),
            exits.agreed,
            exits.audited,
        ));
    }
    text.push_str(&format!(
        "queue      {produced} captured = {consumed} classified + {dropped} dropped + {queued} left\n"
    ));
    if summary.lost_upstream > 0 {
        text.push_str(&format!(
            "source     {} lost on the way to the queue\n",
            counted(summary.lost_upstream, "frame")
        ));
    }
    if summary.unclassified > 0 {
        text.push_str(&format!(
            "model      failed on {}\n",
            counted(summary.unclassified, "frame")
        ));
    }
    if source_losses > 0 {
        text.push_str(&format!(
            "source     lost {}, came back {}\n",
            counted(source_losses, "time"),
            counted(source_recoveries, "time")
        ));
    }
    if output_failures > 0 {
        text.push_str(&format!(
            "outputs    {} a picture or record could not be written\n",
            counted(output_failures, "time")
        ));
    }
    for output in &summary.outputs {
        text.push_str(&format!("pictures   {output}\n"));
    }
    text
}

/// The label, with the class where another has the same.
fn distinct(labels: &[&str], class: usize, label: &str) -> String {
    match labels.iter().filter(|other| **other == label).count() {
        0 | 1 => one_line(label).into_owned(),
        _ => format!("{} (class {class})", one_line(label)),
    }
}
