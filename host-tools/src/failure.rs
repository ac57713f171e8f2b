//! How a command fails: whose fault it is decides the exit code.

use std::io::{self, Write as _};
use std::process::ExitCode;

use anyhow::Context as _;

/// What the exit codes mean, for `--help` and the manual pages; [`Failure::exit_code`] gives them.
pub const EXIT_CODES: [(u8, &str); 5] = [
    (0, "done"),
    (1, "something failed: an output that cannot be written, say"),
    (2, "the command line is wrong"),
    (
        3,
        "the input is at fault: a checkpoint, a model file, an image",
    ),
    (4, "`igpt verify` found a difference"),
];

/// [`EXIT_CODES`] as `--help` shows them.
pub(crate) fn exit_codes_help() -> String {
    let lines = EXIT_CODES.map(|(code, meaning)| format!("  {code}  {meaning}"));
    format!("Exit codes:\n{}", lines.join("\n"))
}

/// A command's error.
#[derive(Debug)]
pub enum Failure {
    /// The input is at fault: a checkpoint, a model file, an image. Exit code 3.
    BadInput(anyhow::Error),
    /// The command line asks for what makes no sense. Exit code 2, as clap has it.
    Misused(anyhow::Error),
    /// Anything else: an output that cannot be written, say. Exit code 1.
    Failed(anyhow::Error),
    /// What was compared is not equal. Exit code 4.
    Differs(anyhow::Error),
    /// Several of these, while everything else was done. The exit code of the first.
    Several(Vec<Failure>),
}

impl Failure {
    /// 3 for bad input, 2 for a wrong command line, 4 for a difference, 1 otherwise.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Failure::BadInput(_) => ExitCode::from(3),
            Failure::Misused(_) => ExitCode::from(2),
            Failure::Failed(_) => ExitCode::FAILURE,
            Failure::Differs(_) => ExitCode::from(4),
            Failure::Several(all) => all.first().map_or(ExitCode::FAILURE, Self::exit_code),
        }
    }

    /// The single failures that this is made of, each to be told on a line of its own.
    pub fn each(&self) -> Vec<&Failure> {
        match self {
            Failure::Several(all) => all.iter().flat_map(Self::each).collect(),
            one => vec![one],
        }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Failure::BadInput(error)
            | Failure::Misused(error)
            | Failure::Failed(error)
            | Failure::Differs(error) => f.write_str(&told_once(error)),
            Failure::Several(all) => {
                let lines: Vec<String> = all.iter().map(ToString::to_string).collect();
                f.write_str(&lines.join("\n"))
            }
        }
    }
}

/// An error with its causes. Many already say what their cause says: each is told once.
pub(crate) fn told_once(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

/// Outputs that could not be written after the work was done: what was found is printed and the others are
/// written all the same.
#[derive(Debug, Default)]
pub struct Late(Vec<Failure>);

impl Late {
    /// What there is, or the failure kept for later.
    pub fn note<T>(&mut self, result: Result<T, Failure>) -> Option<T> {
        result.map_err(|failure| self.0.push(failure)).ok()
    }

    /// How it ended.
    ///
    /// # Errors
    /// If anything failed.
    pub fn end(mut self) -> Result<(), Failure> {
        match self.0.len() {
            0 => Ok(()),
            1 => Err(self.0.remove(0)),
            _ => Err(Failure::Several(self.0)),
        }
    }
}

/// Tells the user something on standard error. One that is full or gone is no reason to stop.
pub fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "igpt: {line}");
}

/// How writing to standard output ended, where the work was done before. A reader that has seen enough, as
/// `| head -1` has, is no failure; nor is it one in `igpt-cam`.
///
/// # Errors
/// Those of `written`, but for a pipe that nobody reads any more.
pub fn printed(written: io::Result<()>) -> Result<(), Failure> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other.context("standard output").failed(),
    }
}

/// Says whose fault an error is.
pub trait Blame<T> {
    /// The input's.
    ///
    /// # Errors
    /// The receiver's, as [`Failure::BadInput`].
    fn bad_input(self) -> Result<T, Failure>;
    /// The command line's.
    ///
    /// # Errors
    /// The receiver's, as [`Failure::Misused`].
    fn misused(self) -> Result<T, Failure>;
    /// Not the input's.
    ///
    /// # Errors
    /// The receiver's, as [`Failure::Failed`].
    fn failed(self) -> Result<T, Failure>;
}

impl<T, E: Into<anyhow::Error>> Blame<T> for Result<T, E> {
    fn bad_input(self) -> Result<T, Failure> {
        self.map_err(|error| Failure::BadInput(error.into()))
    }

    fn misused(self) -> Result<T, Failure> {
        self.map_err(|error| Failure::Misused(error.into()))
    }

    fn failed(self) -> Result<T, Failure> {
        self.map_err(|error| Failure::Failed(error.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_is_told_once() {
        let error = std::fs::read("/no/such/file").map_err(|source| {
            crate::checkpoint::CheckpointError::Io {
                path: "/no/such/file".into(),
                source,
            }
        });
        let failure = error.context("reading").bad_input().unwrap_err();
        assert_eq!(
            failure.to_string(),
            "reading: /no/such/file: No such file or directory (os error 2)"
        );
    }

    #[test]
    fn late_failures_are_all_told_and_the_first_decides() {
        let mut late = Late::default();
        assert_eq!(late.note(Ok(1)), Some(1));
        late.note::<()>(Err(anyhow::anyhow!("a")).bad_input());
        late.note::<()>(Err(anyhow::anyhow!("b")).failed());
        let failure = late.end().unwrap_err();
        assert_eq!(failure.each().len(), 2);
        assert_eq!(failure.to_string(), "a\nb");
        assert_eq!(
            format!("{:?}", failure.exit_code()),
            format!("{:?}", ExitCode::from(3))
        );
        Late::default().end().unwrap();
    }
}
