//! What the app prints: one line a verdict, a summary at the end; for people or as JSON.

use std::io::{self, Write};
use std::time::Duration;

use serde_json::{Value, json};

use super::stats::Stats;
use crate::pipeline::{Cause, Counters};
use crate::queue::QueueCounters;

/// A class and its probability.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Ranked {
    pub(super) class: usize,
    pub(super) label: String,
    pub(super) probability: f32,
}

/// One verdict, as it is printed.
#[derive(Debug)]
pub(super) struct Report<'a> {
    pub(super) seq: u64,
    pub(super) name: Option<&'a str>,
    pub(super) sure: bool,
    /// Likeliest first, after smoothing; the verdict is the first that the filter shows.
    pub(super) verdict: &'a Ranked,
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
    let what = if report.sure {
        report.verdict.label.clone()
    } else {
        format!("unsure ({}?)", report.verdict.label)
    };
    let name = report.name.unwrap_or("frame");
    let percent = report.verdict.probability * 100.0;
    let mut line = format!(
        "{:>6}  {name:<24}  {what:<20} {percent:>5.1} %  {:>8.1} ms",
        report.seq, report.milliseconds
    );
    if report.dropped > 0 {
        line.push_str(&format!("  {} dropped", report.dropped));
    }
    line
}

fn verdict_json(report: &Report<'_>) -> Value {
    let top: Vec<Value> = report
        .top
        .iter()
        .map(|ranked| json!({ "label": ranked.label, "class": ranked.class, "probability": ranked.probability }))
        .collect();
    json!({
        "event": "verdict",
        "seq": report.seq,
        "name": report.name,
        "label": report.verdict.label,
        "class": report.verdict.class,
        "probability": report.verdict.probability,
        "sure": report.sure,
        "ms": report.milliseconds,
        "reused_tokens": report.reused_tokens,
        "dropped": report.dropped,
        "top": top,
    })
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
        .map(|(label, count)| format!("{label} {count}"))
        .collect();
    if !verdicts.is_empty() {
        text.push_str(&format!("verdicts   {}\n", verdicts.join(", ")));
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
    let verdicts: serde_json::Map<String, Value> = summary
        .stats
        .verdicts()
        .into_iter()
        .map(|(label, count)| (label.to_owned(), json!(count)))
        .collect();
    json!({
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
    })
}
