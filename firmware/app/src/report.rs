//! What the app prints: one line a verdict, a summary at the end; for people or as JSON.
//!
//! A label or a file's name is in JSON what it is; on a line for people what would break the line is escaped.

use std::io::{self, Write};
use std::time::{Duration, Instant, SystemTime};

use igpt_runtime::tools::report::{RunReport, rfc3339};
use igpt_runtime::tools::{counted, one_line};
use serde_json::{Value, json};

use super::exit::Failure;
use super::lines::{Lines, Loss};
use super::ranked::Ranked;
use super::stats::Stats;
use igpt_firmware_core::pipeline::{Cause, Counters};
use igpt_firmware_core::queue::QueueCounters;
use igpt_firmware_core::verdict::{ProblemType, Score};

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

/// What a run is about to do, as the first line says it.
#[derive(Debug)]
pub(super) struct Start<'a> {
    /// What is run and how; `null` in tests.
    pub(super) run: Option<&'a RunReport>,
    pub(super) model: &'a str,
    pub(super) labels: &'a [String],
    /// As it was asked for.
    pub(super) source: &'a str,
}

/// Writes reports.
pub struct Reporter {
    json: bool,
    /// What elapsed times are counted from.
    began: Instant,
    verdicts: Lines,
    summary: Lines,
}

impl Reporter {
    /// Verdicts (and, as JSON, everything else) go to `verdicts`; the summary for people to `summary`.
    pub fn new(
        json: bool,
        verdicts: Box<dyn Write + Send>,
        summary: Box<dyn Write + Send>,
    ) -> Self {
        Self {
            json,
            began: Instant::now(),
            verdicts: Lines::new(verdicts),
            summary: Lines::new(summary),
        }
    }

    /// Prints what is run (as JSON only: the log says it to people).
    ///
    /// # Errors
    /// When nobody reads any more, or the disk is full.
    pub(super) fn start(&mut self, start: &Start<'_>) -> io::Result<()> {
        self.event("start", || start_json(start))
    }

    /// Prints what was passed over (as JSON only).
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub(super) fn skipped(&mut self, file: &str, reason: &str) -> io::Result<()> {
        self.event("skipped", || json!({ "file": file, "reason": reason }))
    }

    /// Prints one verdict.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub(super) fn verdict(&mut self, report: &Report<'_>) -> io::Result<()> {
        if self.json {
            return self.event("verdict", || verdict_json(report));
        }
        self.verdicts.write(&verdict_text(report))
    }

    /// Prints the summary, and if it is one, the failure that the run ends with.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub(super) fn end(&mut self, summary: &Summary, failure: Option<&Failure>) -> io::Result<()> {
        if self.json {
            return self.event("end", || end_json(summary, failure));
        }
        self.summary.write(&summary_text(summary))
    }

    /// How many lines an output did not take, and why it did not take the first of them.
    pub(super) fn lost(&self) -> Option<Loss> {
        let loss = |lines: &Lines| {
            let first = lines.first_error.clone()?;
            Some(Loss {
                output: "standard output".to_owned(),
                what: "line",
                count: lines.lost,
                first,
            })
        };
        loss(&self.verdicts).or_else(|| {
            loss(&self.summary).map(|loss| Loss {
                output: "standard error".to_owned(),
                ..loss
            })
        })
    }

    /// One object on a line: which event, when, and what `fields` says.
    fn event(&mut self, name: &str, fields: impl FnOnce() -> Value) -> io::Result<()> {
        if !self.json {
            return Ok(());
        }
        let mut object = serde_json::Map::new();
        object.insert("event".to_owned(), name.into());
        object.insert("time".to_owned(), rfc3339(SystemTime::now()).into());
        object.insert(
            "elapsed".to_owned(),
            json!(self.began.elapsed().as_secs_f64()),
        );
        if let Value::Object(fields) = fields() {
            object.extend(fields);
        }
        self.verdicts.write(&format!("{}\n", Value::Object(object)))
    }
}

fn start_json(start: &Start<'_>) -> Value {
    let Start {
        run,
        model,
        labels,
        source,
    } = start;
    let mut fields = json!({
        "program": "igpt-cam",
        "version": env!("CARGO_PKG_VERSION"),
        "name": model,
        "labels": labels,
        "source": source,
    });
    if let (Some(run), Some(fields)) = (run, fields.as_object_mut())
        && let Ok(Value::Object(run)) = serde_json::to_value(run)
    {
        fields.extend(run);
    }
    fields
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
    line.push('\n');
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
    put("seq", json!(report.seq));
    put("file", json!(report.name));
    put("seconds", json!(seconds(report.milliseconds)));
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

fn end_json(summary: &Summary, failure: Option<&Failure>) -> Value {
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
    let verdicts: Vec<Value> = summary
        .stats
        .verdicts()
        .into_iter()
        .map(|one| json!({ "class": one.class, "label": one.label, "count": one.count }))
        .collect();
    let values: Vec<Value> = summary
        .stats
        .values()
        .map(|range| {
            json!({
                "class": range.class,
                "label": range.label,
                "mean": range.mean(),
                "min": range.least,
                "max": range.most,
            })
        })
        .collect();
    let mut object = json!({
        "cause": summary.cause.to_string(),
        "seconds": seconds(summary.elapsed.as_secs_f32() * 1000.0),
        "captured": captured,
        "classified": classified,
        "unclassified": summary.unclassified,
        "skipped_images": undecodable,
        "lost_upstream": summary.lost_upstream,
        "output_failures": output_failures,
        "source_losses": source_losses,
        "source_recoveries": source_recoveries,
        "verdicts": verdicts,
        "unsure": summary.stats.unsure,
        "none": summary.stats.none,
        "median_seconds": summary.stats.percentile(0.5).map(seconds),
        "p95_seconds": summary.stats.percentile(0.95).map(seconds),
        "queue": { "produced": produced, "consumed": consumed, "dropped": dropped, "queued": queued },
        "outputs": summary.outputs,
        "error": failure.map(ToString::to_string),
        "exit_code": failure.map_or(0, Failure::code),
    });
    if let (false, Some(object)) = (values.is_empty(), object.as_object_mut()) {
        object.insert("values".into(), Value::Array(values));
    }
    object
}

/// Milliseconds to the microsecond, in seconds.
fn seconds(milliseconds: f32) -> f64 {
    (f64::from(milliseconds) * 1e3).round() / 1e6
}
