//! What the app prints: one line a verdict, a summary at the end; for people or as JSON.
//!
//! A label or a file's name is in JSON what it is; on a line for people what would break the line is escaped.

mod content;
mod json;
mod text;

use std::io::{self, Write};
use std::time::{Instant, SystemTime};

use igpt_runtime::tools::report::rfc3339;
use serde_json::{Map, Value, json};

use super::exit::Failure;
use super::lines::{Lines, Loss};
pub use content::Summary;
pub(super) use content::{Report, Start};

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
        self.event("start", || json::start(start))
    }

    /// Prints what was passed over (as JSON only).
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub(super) fn skipped(&mut self, file: &str, reason: &str) -> io::Result<()> {
        self.event("skipped", || json!({ "file": file, "reason": reason }))
    }

    /// Prints what was taught (as JSON only: the log says it to people).
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub(super) fn taught(&mut self, report: &Value) -> io::Result<()> {
        self.event("taught", || report.clone())
    }

    /// Prints one verdict.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub(super) fn verdict(&mut self, report: &Report<'_>) -> io::Result<()> {
        if self.json {
            return self.event("verdict", || json::verdict(report));
        }
        self.verdicts.write(&text::verdict(report))
    }

    /// Prints the summary, and if it is one, the failure that the run ends with.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub(super) fn end(&mut self, summary: &Summary, failure: Option<&Failure>) -> io::Result<()> {
        if self.json {
            return self.event("end", || json::end(summary, failure));
        }
        self.summary.write(&text::summary(summary))
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

    /// Prints among the verdicts that what is seen has changed.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub(super) fn change(&mut self, fields: Map<String, Value>) -> io::Result<()> {
        if self.json {
            return self.event("change", || Value::Object(fields));
        }
        self.verdicts.write(&text::change(&fields))
    }

    /// One object on a line: which event, when, and what `fields` says.
    fn event(&mut self, name: &str, fields: impl FnOnce() -> Value) -> io::Result<()> {
        if !self.json {
            return Ok(());
        }
        let line = self.line(name, fields());
        self.verdicts.write(&line)
    }

    /// The line of an event.
    pub(super) fn line(&self, name: &str, fields: Value) -> String {
        let mut object = Map::new();
        object.insert("event".to_owned(), name.into());
        object.insert("time".to_owned(), rfc3339(SystemTime::now()).into());
        object.insert(
            "elapsed".to_owned(),
            json!(self.began.elapsed().as_secs_f64()),
        );
        if let Value::Object(fields) = fields {
            object.extend(fields);
        }
        format!("{}\n", Value::Object(object))
    }
}
