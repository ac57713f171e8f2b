//! What the log tells, and how it reads as a line.

use std::fmt;
use std::time::Duration;

use igpt_firmware_core::verdict::Score;
use igpt_runtime::tools::counted;

use crate::exit::Failure;

/// Something worth a line.
pub(crate) enum Event<'a> {
    /// The model is ready.
    ModelLoaded {
        name: &'a str,
        classes: usize,
        kernels: &'a str,
        milliseconds: f32,
    },
    /// Its file was packed for another CPU.
    ModelRepacked { name: &'a str, notice: &'a str },
    /// The model that stands in for another has no early exits.
    NoExits { error: &'a str },
    /// On this stream early exits do not keep their promise: there are none any more.
    ExitsOff { agreed: u64, audited: u64 },
    /// The configured model is condemned; this one is used instead.
    FellBack { reason: &'a str, instead: &'a str },
    /// The guard's record could not be read or written.
    GuardFailed { error: &'a dyn fmt::Display },
    /// What is taught by now.
    Taught { what: &'a str },
    /// What was taught is of another model than the one that stands in.
    Unusable { error: &'a str },
    /// The control socket is there.
    Listening { path: &'a str },
    /// The source is open.
    SourceOpened { description: &'a str },
    /// It failed; it is opened again after the pause.
    SourceLost {
        error: &'a dyn fmt::Display,
        retry_in: Duration,
    },
    /// Something in the stream was passed over.
    Skipped { name: &'a str, reason: &'a str },
    /// A sink is open.
    SinkOpened { description: &'a str },
    /// A sink did not take a picture, for the `count`th time.
    SinkFailed {
        error: &'a dyn fmt::Display,
        count: u64,
    },
    /// Standard output did not take a line, for the `count`th time.
    LinesLost {
        output: &'a str,
        error: &'a str,
        count: u64,
    },
    /// The record did not take a frame, for the `count`th time.
    RecordFailed {
        error: &'a dyn fmt::Display,
        count: u64,
    },
    /// The model failed on a frame.
    ClassifyFailed {
        frame: &'a str,
        error: &'a dyn fmt::Display,
    },
    /// A verdict (defmt only: on a terminal it is the output itself).
    Verdict {
        seq: u64,
        label: &'a str,
        score: Score,
        milliseconds: f32,
        dropped: u64,
    },
    /// The end, in failure (defmt only: whatever the log, `main` prints it on standard error).
    Failed { failure: &'a Failure },
    /// The app made a mistake that it could pass over.
    Unexpected { error: &'a dyn fmt::Display },
}

impl Event<'_> {
    /// Whether somebody may have to do something about it.
    pub(super) fn is_trouble(&self) -> bool {
        !matches!(
            self,
            Self::ModelLoaded { .. }
                | Self::ModelRepacked { .. }
                | Self::Taught { .. }
                | Self::Listening { .. }
                | Self::SourceOpened { .. }
                | Self::SinkOpened { .. }
                | Self::Verdict { .. }
        )
    }
}

impl fmt::Display for Event<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ModelLoaded {
                name,
                classes,
                kernels,
                milliseconds,
            } => {
                write!(
                    f,
                    "model {name}: {}, {kernels} kernels, loaded in {milliseconds:.0} ms",
                    counted(*classes, "class")
                )
            }
            Self::ModelRepacked { name, notice } => write!(f, "model {name}: {notice}"),
            Self::NoExits { error } => write!(f, "{error}; every frame is computed to the end"),
            Self::ExitsOff { agreed, audited } => write!(
                f,
                "early exits are off from now on: the whole model agreed on {agreed} of {audited} that were computed to the end"
            ),
            Self::FellBack { reason, instead } => write!(f, "{reason}; using {instead} instead"),
            Self::GuardFailed { error } => write!(f, "boot guard: {error}; going on without it"),
            Self::Taught { what } => write!(f, "taught: {what}"),
            Self::Unusable { error } => write!(f, "{error}; going on without what was taught"),
            Self::Listening { path } => write!(f, "control: {path}"),
            Self::SourceOpened { description } => write!(f, "source: {description}"),
            Self::SourceLost { error, retry_in } => {
                write!(f, "{error}; trying again in {retry_in:.1?}")
            }
            Self::Skipped { name, reason } => write!(f, "skipped {name}: {reason}"),
            Self::SinkOpened { description } => write!(f, "sink: {description}"),
            Self::SinkFailed { error, count } => {
                write!(
                    f,
                    "{error} ({} not shown so far)",
                    counted(*count, "picture")
                )
            }
            Self::LinesLost {
                output,
                error,
                count,
            } => {
                write!(
                    f,
                    "{output}: {error} ({} lost so far)",
                    counted(*count, "line")
                )
            }
            Self::RecordFailed { error, count } => {
                write!(
                    f,
                    "record: {error} ({} not kept so far)",
                    counted(*count, "frame")
                )
            }
            Self::ClassifyFailed { frame, error } => write!(f, "{frame}: not classified: {error}"),
            Self::Verdict {
                seq,
                label,
                score,
                milliseconds,
                ..
            } => {
                write!(f, "{seq} {label} {score} {milliseconds:.1} ms")
            }
            Self::Failed { failure } => write!(f, "{failure}"),
            Self::Unexpected { error } => write!(f, "please report this: {error}"),
        }
    }
}
