//! Reports as JSON: the fields of docs/json.md.

use igpt_firmware_core::pipeline::Counters;
use igpt_firmware_core::queue::QueueCounters;
use igpt_firmware_core::verdict::ProblemType;
use serde_json::{Value, json};

use super::content::{Report, Start, Summary};
use crate::exit::Failure;
use crate::ranked::Ranked;

pub(super) fn start(start: &Start<'_>) -> Value {
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

pub(super) fn verdict(report: &Report<'_>) -> Value {
    let mut object = report.verdict.json();
    let top: Vec<_> = report.top.iter().map(Ranked::json).collect();
    let mut put = |key: &str, value: Value| object.insert(key.to_owned(), value);
    put("seq", json!(report.seq));
    put("file", json!(report.name));
    put("seconds", json!(seconds(report.milliseconds)));
    for (stage, spent) in report.stages {
        put(stage, json!(seconds(spent.as_secs_f32() * 1000.0)));
    }
    put("reused_tokens", json!(report.reused_tokens));
    put("changed_tokens", json!(report.changed_tokens));
    put("exit_layer", json!(report.exit_layer));
    put("dropped", json!(report.dropped));
    if let Some(said) = report.recognised {
        let taught = json!({
            "label": said.label,
            "score": said.score,
            "distance": said.distance,
            "limit": said.limit,
            "none": said.none,
        });
        put("taught", taught);
    }
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

pub(super) fn end(summary: &Summary, failure: Option<&Failure>) -> Value {
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
    if let (Some(exits), Some(object)) = (summary.exits, object.as_object_mut()) {
        let exits = json!({
            "frames": exits.frames,
            "exited": exits.exited,
            "audited": exits.audited,
            "agreed": exits.agreed,
            "broken": exits.broken,
        });
        object.insert("exits".into(), exits);
    }
    object
}

/// Milliseconds to the microsecond, in seconds.
fn seconds(milliseconds: f32) -> f64 {
    (f64::from(milliseconds) * 1e3).round() / 1e6
}
