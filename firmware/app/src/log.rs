//! The app's log: every event once, as a readable line or as a defmt log point.

mod event;
mod point;

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;

use anyhow::{Context, anyhow};
use igpt_runtime::tools::counted;

use super::origin::{Invalid, Origin};
use crate::defmt_log;
pub(super) use event::Event;
use point::defmt_point;

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
