//! The app's log: every event once, as a readable line or as a defmt log point.

use std::fmt;
use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, anyhow};
use igpt_runtime::tools::counted;

use super::exit::Failure;
use super::origin::{Invalid, Origin};
use crate::defmt_log;
use igpt_firmware_core::verdict::Score;

/// Where the log goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum LogTarget {
    /// Readable lines on standard error.
    Text,
    /// defmt frames to standard output.
    DefmtStdout,
    /// defmt frames to a file.
    DefmtFile(PathBuf),
    /// Nowhere.
    None,
}

impl LogTarget {
    /// `text`, `defmt:FILE`, `defmt:-` or `none`.
    pub(super) fn parse(spec: &str) -> Result<Self, Invalid> {
        match (spec, spec.strip_prefix("defmt:")) {
            ("text", _) => Ok(Self::Text),
            ("none", _) => Ok(Self::None),
            (_, Some("-")) => Ok(Self::DefmtStdout),
            (_, Some(file)) if !file.is_empty() => Ok(Self::DefmtFile(file.into())),
            _ => {
                let expected = "text, defmt:FILE, defmt:- or none";
                Err(Invalid::new("log", format!("{spec:?}"), expected))
            }
        }
    }
}

/// Something worth a line.
pub(super) enum Event<'a> {
    /// The model is ready.
    ModelLoaded {
        name: &'a str,
        classes: usize,
        kernels: &'a str,
        milliseconds: f32,
    },
    /// Its file was packed for another CPU.
    ModelRepacked { name: &'a str, notice: &'a str },
    /// The configured model is condemned; this one is used instead.
    FellBack { reason: &'a str, instead: &'a str },
    /// The guard's record could not be read or written.
    GuardFailed { error: &'a dyn fmt::Display },
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

/// Writes events.
pub(super) struct Log {
    target: LogTarget,
    colour: bool,
}

impl Log {
    /// Opens the log.
    ///
    /// # Errors
    /// When its file cannot be created.
    pub(super) fn open(target: LogTarget) -> anyhow::Result<Self> {
        match &target {
            LogTarget::DefmtStdout => defmt_log::install(Box::new(io::stdout())),
            LogTarget::DefmtFile(path) => {
                let file = File::create(path)
                    .with_context(|| format!("{}: cannot create the log", path.display()))?;
                defmt_log::install(Box::new(file));
            }
            LogTarget::Text | LogTarget::None => {}
        }
        Ok(Self {
            target,
            colour: io::stderr().is_terminal(),
        })
    }

    /// Writes one event.
    pub(super) fn write(&self, event: &Event<'_>) {
        match self.target {
            LogTarget::Text => self.text(event),
            LogTarget::DefmtStdout | LogTarget::DefmtFile(_) => defmt_point(event),
            LogTarget::None => {}
        }
    }

    fn text(&self, event: &Event<'_>) {
        if matches!(event, Event::Verdict { .. } | Event::Failed { .. }) {
            return;
        }
        let (on, off) = match (self.colour, event.is_trouble()) {
            (true, true) => ("\x1b[33m", "\x1b[0m"),
            (true, false) => ("\x1b[2m", "\x1b[0m"),
            _ => ("", ""),
        };
        // A closed standard error leaves nobody to tell.
        let _ = writeln!(io::stderr(), "{on}igpt-cam: {event}{off}");
    }

    /// Ends the log.
    ///
    /// # Errors
    /// When it did not take everything; a reader that went away wanted no more.
    pub(super) fn close(&self, origin: &Origin) -> anyhow::Result<()> {
        let lost = defmt_log::lost();
        defmt_log::uninstall();
        let name = match &self.target {
            LogTarget::DefmtFile(path) => {
                origin.setting("log", format!("defmt:{}", path.display()))
            }
            _ => origin.setting("log", "defmt:-"),
        };
        match lost {
            Some(lost) if lost.error.kind() != io::ErrorKind::BrokenPipe => Err(anyhow!(
                "{name}: {} ({} lost)",
                lost.error,
                counted(lost.frames, "message")
            )),
            _ => Ok(()),
        }
    }
}

impl Event<'_> {
    fn is_trouble(&self) -> bool {
        !matches!(
            self,
            Self::ModelLoaded { .. }
                | Self::ModelRepacked { .. }
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
            Self::FellBack { reason, instead } => write!(f, "{reason}; using {instead} instead"),
            Self::GuardFailed { error } => write!(f, "boot guard: {error}; going on without it"),
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

/// One log point per kind of event: the words stay in the ELF file, only the values travel.
fn defmt_point(event: &Event<'_>) {
    match event {
        Event::ModelLoaded {
            name,
            classes,
            kernels,
            milliseconds,
        } => {
            defmt::info!(
                "model {=str}: {=usize} classes, {=str} kernels, loaded in {=f32} ms",
                name,
                classes,
                kernels,
                milliseconds
            );
        }
        Event::ModelRepacked { name, notice } => {
            defmt::info!("model {=str}: {=str}", name, notice);
        }
        Event::FellBack { reason, instead } => {
            defmt::error!("{=str}; using {=str} instead", reason, instead)
        }
        Event::GuardFailed { error } => {
            defmt::warn!("boot guard: {}", defmt::Display2Format(error))
        }
        Event::SourceOpened { description } => defmt::info!("source: {=str}", description),
        Event::SourceLost { error, retry_in } => defmt::warn!(
            "source lost: {}; trying again in {=u64:ms}",
            defmt::Display2Format(error),
            retry_in.as_millis() as u64
        ),
        Event::Skipped { name, reason } => defmt::warn!("skipped {=str}: {=str}", name, reason),
        Event::SinkOpened { description } => defmt::info!("sink: {=str}", description),
        Event::SinkFailed { error, count } => {
            defmt::warn!(
                "{} ({=u64} pictures not shown so far)",
                defmt::Display2Format(error),
                count
            );
        }
        Event::LinesLost {
            output,
            error,
            count,
        } => {
            defmt::warn!(
                "{=str}: {=str} ({=u64} lines lost so far)",
                output,
                error,
                count
            );
        }
        Event::RecordFailed { error, count } => {
            defmt::warn!(
                "record: {} ({=u64} frames not kept so far)",
                defmt::Display2Format(error),
                count
            );
        }
        Event::ClassifyFailed { frame, error } => {
            defmt::error!(
                "{=str}: not classified: {}",
                frame,
                defmt::Display2Format(error)
            );
        }
        Event::Verdict {
            seq,
            label,
            score: Score::Probability(probability),
            milliseconds,
            dropped,
        } => defmt::info!(
            "frame {=u64}: {=str} p {=f32} in {=f32} ms, {=u64} dropped so far",
            seq,
            label,
            probability,
            milliseconds,
            dropped
        ),
        Event::Verdict {
            seq,
            label,
            score: Score::Value(value),
            milliseconds,
            dropped,
        } => defmt::info!(
            "frame {=u64}: {=str} = {=f32} in {=f32} ms, {=u64} dropped so far",
            seq,
            label,
            value,
            milliseconds,
            dropped
        ),
        Event::Failed { failure } => {
            let code = failure.code();
            defmt::error!(
                "ending with code {=u8}: {}",
                code,
                defmt::Display2Format(failure)
            );
        }
        Event::Unexpected { error } => {
            defmt::error!("please report this: {}", defmt::Display2Format(error));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::LogTarget;

    #[test]
    fn targets_are_read_or_refused_by_name() {
        assert_eq!(LogTarget::parse("text").unwrap(), LogTarget::Text);
        assert_eq!(LogTarget::parse("none").unwrap(), LogTarget::None);
        assert_eq!(LogTarget::parse("defmt:-").unwrap(), LogTarget::DefmtStdout);
        assert_eq!(
            LogTarget::parse("defmt:a/b").unwrap(),
            LogTarget::DefmtFile("a/b".into())
        );
        for bad in ["", "defmt", "defmt:", "journal"] {
            assert!(
                LogTarget::parse(bad)
                    .expect_err(bad)
                    .to_string()
                    .contains("--log"),
                "{bad}"
            );
        }
    }
}
