//! Events: what is seen has changed, told once, to a file of its own or among the verdicts.

mod file;

use std::path::Path;

use igpt_firmware_core::events::{Belief, Change, EventFilter, EventSettings};
use serde_json::{Map, Value, json};

use super::judge::Judgement;
use super::lines::{Lines, Loss};
use super::origin::Invalid;
use super::ranked::label;
use super::settings::{MAX_WINDOW, Settings};
use file::EventFile;

/// Makes events of verdicts.
pub(super) struct Changes {
    settings: EventSettings,
    labels: Vec<String>,
    filter: EventFilter<MAX_WINDOW>,
    /// From which probability each label is believed; `None`: if the verdict is sure.
    thresholds: Vec<(String, f32)>,
    /// `None`: among the verdicts.
    to: Option<(String, Lines)>,
}

impl Changes {
    /// As asked for, for a model of these labels; `None` if they are not to be told.
    ///
    /// # Errors
    /// For a threshold of a label that the model has not, or a file that cannot be written.
    pub(super) fn open(settings: &Settings, labels: &[String]) -> Result<Option<Self>, NoEvents> {
        let Some(to) = &settings.events else {
            return Ok(None);
        };
        let thresholds = settings.event_thresholds.clone();
        let unknown = |(label, _): &&(String, f32)| !labels.contains(label);
        // A class that is taught later has none yet.
        if let Some((label, _)) = thresholds
            .iter()
            .find(unknown)
            .filter(|_| settings.control.is_none())
        {
            let expected = format!("a label of the model, which has {}", some(labels));
            let invalid = Invalid::new("event-threshold", format!("{label:?}"), &expected);
            return Err(NoEvents::Label(invalid));
        }
        let filter = EventFilter::new(settings.event_frames).map_err(|error| {
            let frames = format!("{}/{}", error.k, error.n);
            NoEvents::Label(Invalid::new("event-frames", frames, &error.to_string()))
        })?;
        let to = match to.as_str() {
            "-" => None,
            path => {
                let file = EventFile::open(Path::new(path)).map_err(NoEvents::File)?;
                Some((path.to_owned(), Lines::new(Box::new(file))))
            }
        };
        Ok(Some(Self {
            settings: settings.event_frames,
            labels: labels.to_vec(),
            filter,
            thresholds,
            to,
        }))
    }

    /// Another source: no earlier frame counts.
    pub(super) fn interrupt(&mut self) {
        self.filter.interrupt();
    }

    /// What a file of its own did not take.
    pub(super) fn lost(&self) -> Option<Loss> {
        let (output, lines) = self.to.as_ref()?;
        Some(Loss {
            output: output.clone(),
            what: "event",
            count: lines.lost,
            first: lines.first_error.clone()?,
        })
    }

    /// The lines of a file of its own.
    pub(super) fn lines(&mut self) -> Option<&mut (String, Lines)> {
        self.to.as_mut()
    }

    /// What a frame makes of it, of a model that now has these labels.
    pub(super) fn push(&mut self, judgement: &Judgement, labels: &[String]) -> Option<Change> {
        if self.labels != labels {
            // It was taught: what was believed is a class of another head.
            self.labels = labels.to_vec();
            self.filter = EventFilter::new(self.settings).ok()?;
        }
        let shown = &judgement.shown;
        let own = self
            .thresholds
            .iter()
            .find(|(label, _)| *label == shown.label);
        let believed = own.map_or(judgement.sure, |(_, p)| shown.score.number() >= *p);
        let class = u16::try_from(shown.class).ok().filter(|_| believed);
        self.filter
            .push(class.map_or(Belief::Unknown, Belief::Class))
    }
}

/// Why there can be no events.
#[derive(Debug)]
pub(super) enum NoEvents {
    Label(Invalid),
    File(std::io::Error),
}

/// A few labels, for a message.
fn some(labels: &[String]) -> String {
    const SHOWN: usize = 12;
    let shown: Vec<String> = labels
        .iter()
        .take(SHOWN)
        .map(|l| format!("{l:?}"))
        .collect();
    let more = labels.len().saturating_sub(SHOWN);
    match more {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// The fields of docs/json.md.
pub(super) fn fields(
    change: &Change,
    labels: &[String],
    frame: (u64, Option<&str>),
    score: Value,
) -> Map<String, Value> {
    let name = |belief: Belief| match belief {
        Belief::Class(class) => Value::from(label(labels, usize::from(class))),
        Belief::Unknown => Value::Null,
    };
    let fields = json!({
        "seq": frame.0,
        "file": frame.1,
        "from": change.from.map(name),
        "first": change.from.is_none(),
        "to": name(change.to),
        "score": score,
        "reason": format!("{} of {} frames", change.frames, change.of),
        "frames": change.frames,
        "of": change.of,
        "after": change.after,
    });
    match fields {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}
