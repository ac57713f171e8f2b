//! A showing under way: which frames become examples, and when it is over.

use std::sync::mpsc::Sender;
use std::time::Duration;

use igpt_heads::{Added, NONE};
use serde_json::{Value, json};

use super::Teacher;
use super::request::Request;
use crate::classify::Classify;
use crate::source::FrameBuffer;

/// Examples of a live source unless another number is asked for.
const USUAL: u32 = 5;
/// Time between two of a live source unless another is asked for: enough to turn a thing a little.
const PAUSE: Duration = Duration::from_millis(500);
/// Frames that may be nearly the same as others before it ends with fewer examples, as a multiple of the examples wanted.
const PATIENCE: u32 = 4;
/// Longest without a frame.
const SILENCE: Duration = Duration::from_secs(30);

/// What is being shown, and to whom that is told.
pub(crate) struct Showing {
    pub(crate) label: Option<String>,
    /// Examples to take, none for all that come.
    wanted: Option<u32>,
    pause: Duration,
    /// Its number, from the first frame on.
    number: Option<u64>,
    taken: u32,
    frames: u32,
    /// Not before this is the next one taken.
    due: Duration,
    /// At this it is over, whatever came.
    end: Duration,
    answers: Sender<Value>,
}

impl Showing {
    /// Of a request to teach; none of any other.
    pub(crate) fn new(
        request: &Request,
        answers: Sender<Value>,
        live: bool,
        now: Duration,
    ) -> Option<Self> {
        let Request::Teach {
            label,
            examples,
            interval,
            ..
        } = request
        else {
            return None;
        };
        // It was checked to be a time of a minute at most.
        let pause = interval.and_then(|pause| Duration::try_from_secs_f64(pause).ok());
        Some(Self {
            label: label.clone(),
            wanted: examples.or(live.then_some(USUAL)),
            pause: pause.unwrap_or(if live { PAUSE } else { Duration::ZERO }),
            number: None,
            taken: 0,
            frames: 0,
            due: Duration::ZERO,
            end: now + SILENCE,
            answers,
        })
    }

    /// What is shown, and how far it is: `mug 3/5`.
    pub(crate) fn word(&self) -> String {
        let label = self.label.as_deref().unwrap_or(NONE);
        match self.wanted {
            Some(wanted) => format!("{label} {}/{wanted}", self.taken),
            None => format!("{label} {}", self.taken),
        }
    }

    /// Whether a frame at this moment is to be taken.
    pub(crate) fn wants(&self, now: Duration) -> bool {
        now >= self.due
    }

    /// Whether nothing came for too long.
    pub(crate) fn is_late(&self, now: Duration) -> bool {
        now >= self.end
    }

    /// Makes a frame that was classified an example, and says so. Whether it goes on. `now` is asked when it is done.
    ///
    /// # Errors
    /// What the teacher cannot do.
    pub(crate) fn take(
        &mut self,
        pupil: &mut dyn Classify,
        frame: &FrameBuffer,
        now: impl FnOnce() -> Duration,
    ) -> anyhow::Result<bool> {
        let label = self.label.as_deref();
        let number = match (self.number, pupil.teacher()) {
            (Some(number), _) => number,
            (None, Some(teacher)) => *self.number.insert(teacher.begin(label)?),
            (None, None) => anyhow::bail!("this model cannot be taught"),
        };
        let added = pupil.show(frame, number, label)?;
        self.frames += 1;
        self.taken += u32::from(added == Added::New);
        self.due = now() + self.pause;
        self.end = self.due + SILENCE;
        let mut answer = pupil
            .teacher()
            .map(|teacher| teacher.report())
            .unwrap_or_default();
        answer.retain(|key, _| matches!(key.as_str(), "accuracy" | "of" | "counted"));
        answer.insert("event".into(), json!("example"));
        answer.insert("label".into(), json!(self.label));
        answer.insert("new".into(), json!(added == Added::New));
        answer.insert("taken".into(), json!(self.taken));
        answer.insert("wanted".into(), json!(self.wanted));
        // Whoever asked went away: what was shown so far stays, as undo takes it back.
        if self.answers.send(Value::Object(answer)).is_err() {
            return Ok(false);
        }
        let over = self.wanted.is_some_and(|wanted| {
            self.taken >= wanted || self.frames >= wanted.saturating_mul(PATIENCE)
        });
        Ok(!over)
    }

    /// Says that it is over.
    pub(crate) fn end(self, teacher: &Teacher) {
        let label = self.label.as_deref().unwrap_or(NONE);
        let answer = match (self.taken, self.wanted) {
            (0, _) => failed("no frame came that could be an example"),
            (taken, Some(wanted)) if taken < wanted => teacher.answer(
                &format!(
                    "{label:?}: {taken} of {wanted} examples, the other frames were nearly the same or did not come"
                ),
            ),
            (taken, _) => teacher.answer(&format!("{label:?}: {taken} more")),
        };
        // If nobody listens any more, nobody wants to know.
        let _ = self.answers.send(answer);
    }

    /// Says why it cannot go on.
    pub(crate) fn fail(self, error: &str) {
        let _ = self.answers.send(failed(error));
    }
}

/// The answer to what could not be done.
pub(crate) fn failed(error: &str) -> Value {
    json!({ "event": "error", "error": error })
}
