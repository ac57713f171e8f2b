//! What the app prints: one line a verdict, a summary at the end; for people or as JSON.
//!
//! A label or a file's name is in JSON what it is; on a line for people what would break the line is escaped.

use std::io::{self, Write};
use std::time::Duration;

use igpt_runtime::one_line;
use serde_json::{Map, Value, json};

use super::ranked::Ranked;
use super::stats::Stats;
use crate::pipeline::{Cause, Counters};
use crate::queue::QueueCounters;
use crate::verdict::{ProblemType, Score};

/// One verdict, as it is printed.
#[derive(Debug)]
pub(super) struct Report<'a> {
    pub(super) seq: u64,
    pub(super) name: Option<&'a str>,
    pub(super) problem: ProblemType,
    pub(super) sure: bool,
    /// What the filter shows; of a multi-label model the strongest.
    pub(super) verdict: &'a Ranked,
    /// Largest score first, after smoothing; of a multi-label model with every label that is present.
    pub(super) top: &'a [Ranked],
    pub(super) milliseconds: f32,
    pub(super) reused_tokens: usize,
    /// Dropped between the verdict before and this one.
    pub(super) dropped: u64,
}

/// The end of a run.
#[derive(Debug)]
pub struct Summary {
    /// Why it ended.
    pub cause: Cause,
    /// What happened.
    pub counters: Counters,
    /// What went through the queue.
    pub queue: QueueCounters,
    /// Frames that the source itself reported lost.
    pub lost_upstream: u64,
    /// Frames that the model failed on.
    pub unclassified: u64,
    /// From the start to the end.
    pub elapsed: Duration,
    /// Where pictures went.
    pub outputs: Vec<String>,
    pub(super) stats: Stats,
}

/// Writes reports.
pub struct Reporter {
    json: bool,
    verdicts: Box<dyn Write + Send>,
    summary: Box<dyn Write + Send>,
}

impl Reporter {
    /// Verdicts (and, as JSON, the summary) go to `verdicts`; the summary for people to `summary`.
    pub fn new(
        json: bool,
        verdicts: Box<dyn Write + Send>,
        summary: Box<dyn Write + Send>,
    ) -> Self {
        Self {
            json,
            verdicts,
            summary,
        }
    }

    /// Prints one verdict.
    ///
    /// # Errors
    /// When nobody reads any more, or the disk is full.
    pub(super) fn verdict(&mut self, report: &Report<'_>) -> io::Result<()> {
        let line = if self.json {
            verdict_json(report).to_string()
        } else {
            verdict_text(report)
        };
        // One call a line: a reader never meets half of one.
        self.verdicts.write_all(format!("{line}\n").as_bytes())?;
        self.verdicts.flush()
    }

    /// Prints the summary.
    ///
    /// # Errors
    /// As [`verdict`](Self::verdict).
    pub(super) fn summary(&mut self, summary: &Summary) -> io::Result<()> {
        if self.json {
            writeln!(self.verdicts, "{}", summary_json(summary))?;
            self.verdicts.flush()
        } else {
            self.summary.write_all(summary_text(summary).as_bytes())?;
            self.summary.flush()
        }
    }
}

fn verdict_text(report: &Report<'_>) -> String {
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
    line
}

fn list<'a>(classes: impl Iterator<Item = &'a Ranked>) -> String {
    let texts: Vec<String> = classes.map(Ranked::text).collect();
    texts.join(", ")
}

fn verdict_json(report: &Report<'_>) -> Value {
    let mut object = report.verdict.json();
    let top: Vec<_> = report.top.iter().map(Ranked::json).collect();
    let mut put = |key: &str, value: Value| object.insert(key.to_owned(), value);
    put("event", json!("verdict"));
    put("seq", json!(report.seq));
    put("name", json!(report.name));
    put("ms", json!(report.milliseconds));
    put("reused_tokens", json!(report.reused_tokens));
    put("dropped", json!(report.dropped));
    put("top", json!(top));
    // A value is neither sure nor unsure.
    if report.problem != ProblemType::Regression {
        put("sure", json!(report.sure));
    }
    if report.problem == ProblemType::MultiLabel {
        let present = report.top.iter().filter(|ranked| ranked.present);
        let labels: Vec<&str> = present.map(|ranked| ranked.label.as_str()).collect();
        put("labels", json!(labels));
    }
    Value::Object(object)
}

fn summary_text(summary: &Summary) -> String {
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
        "\n{classified} frames classified in {:.1} s ({}), {} dropped, {undecodable} skipped\n",
        summary.elapsed.as_secs_f32(),
        summary.cause,
        dropped + summary.lost_upstream,
    );
    let verdicts: Vec<String> = summary
        .stats
        .verdicts()
        .iter()
        .map(|(label, count)| format!("{} {count}", one_line(label)))
        .collect();
    if !verdicts.is_empty() {
        text.push_str(&format!("verdicts   {}\n", verdicts.join(", ")));
    }
    for (label, range) in summary.stats.values() {
        let [mean, least, most] = [range.mean(), range.least, range.most].map(Score::Value);
        text.push_str(&format!(
            "value      {}: mean {mean}, {least} to {most}\n",
            one_line(label)
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
    text.push_str(&format!(
        "queue      {produced} captured = {consumed} classified + {dropped} dropped + {queued} left\n"
    ));
    if summary.lost_upstream > 0 {
        text.push_str(&format!(
            "source     {} frames lost before they reached the queue\n",
            summary.lost_upstream
        ));
    }
    if summary.unclassified > 0 {
        text.push_str(&format!(
            "model      failed on {} frames\n",
            summary.unclassified
        ));
    }
    if source_losses > 0 {
        text.push_str(&format!(
            "source     lost {source_losses} times, came back {source_recoveries} times\n"
        ));
    }
    if output_failures > 0 {
        text.push_str(&format!(
            "outputs    {output_failures} pictures or records could not be written\n"
        ));
    }
    for output in &summary.outputs {
        text.push_str(&format!("pictures   {output}\n"));
    }
    text
}

fn summary_json(summary: &Summary) -> Value {
    let Counters {
        captured,
        undecodable,
        classified,
        output_failures,
        source_losses,
        source_recoveries,
    } = summary.counters;
    let QueueCounters {
        produced,
        consumed,
        dropped,
        queued,
    } = summary.queue;
    let verdicts: Map<String, Value> = summary
        .stats
        .verdicts()
        .into_iter()
        .map(|(label, count)| (label.to_owned(), json!(count)))
        .collect();
    let values: Map<String, Value> = summary
        .stats
        .values()
        .iter()
        .map(|(label, range)| {
            let range = json!({ "mean": range.mean(), "min": range.least, "max": range.most });
            (label.clone(), range)
        })
        .collect();
    let mut object = json!({
        "event": "summary",
        "cause": summary.cause.to_string(),
        "seconds": summary.elapsed.as_secs_f32(),
        "captured": captured,
        "classified": classified,
        "unclassified": summary.unclassified,
        "skipped": undecodable,
        "lost_upstream": summary.lost_upstream,
        "output_failures": output_failures,
        "source_losses": source_losses,
        "source_recoveries": source_recoveries,
        "verdicts": verdicts,
        "median_ms": summary.stats.percentile(0.5),
        "p95_ms": summary.stats.percentile(0.95),
        "queue": { "produced": produced, "consumed": consumed, "dropped": dropped, "queued": queued },
        "outputs": summary.outputs,
    });
    if let (false, Some(object)) = (values.is_empty(), object.as_object_mut()) {
        object.insert("values".into(), Value::Object(values));
    }
    object
}
