//! Why the app could not do its work, and the exit code that says so to scripts and systemd.

use std::process::ExitCode;

/// Everything that ends the app with an exit code other than 0.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The command line or the configuration asks for something that cannot be.
    #[error("{}", chain(.0))]
    Usage(anyhow::Error),
    /// The source could not be opened, was lost for good, or is not what `--strict` demands.
    #[error("{}", chain(.0))]
    Source(anyhow::Error),
    /// The screen is not there. It may come.
    #[error("{}", chain(.0))]
    Screen(anyhow::Error),
    /// The model is missing, damaged or unsuitable.
    #[error("{}", chain(.0))]
    Model(anyhow::Error),
    /// A sink, the record or the log could not be opened.
    #[error("{}", chain(.0))]
    Output(anyhow::Error),
    /// Something failed while running: an output that did not take everything, for one.
    #[error("{}", chain(.0))]
    Runtime(anyhow::Error),
}

/// The table in `--help`; kept beside the codes so that they cannot part.
pub(super) const EXIT_CODES: &str = "\
Exit codes:
  0  the stream ended, the frame limit was reached, the reader of the output
     went away, or Ctrl-C or SIGTERM asked for the end
  1  something failed while running: an output that did not take everything (a
     full disk), for one
  2  the command line or the configuration file is wrong, also a source that
     can never be one: an address, a film, a malformed pattern; an output that
     is an input
  3  the source is missing, unreadable, without a usable picture or lost for
     good; the screen is not there; with --strict, a picture that cannot be
     used
  4  the model is missing, damaged or does not suit this app
  5  a sink, the record directory or the log could not be opened";

impl Failure {
    /// See [`EXIT_CODES`].
    pub fn code(&self) -> u8 {
        match self {
            Self::Runtime(_) => 1,
            Self::Usage(_) => 2,
            Self::Source(_) | Self::Screen(_) => 3,
            Self::Model(_) => 4,
            Self::Output(_) => 5,
        }
    }
}

/// The error and what caused it, in one line. A cause that the message before already spells out
/// is not said twice.
pub(super) fn chain(error: &anyhow::Error) -> String {
    let mut line = String::new();
    for cause in error.chain() {
        let cause = cause.to_string();
        if line.is_empty() {
            line = cause;
        } else if !line.ends_with(&cause) {
            line.push_str(": ");
            line.push_str(&cause);
        }
    }
    line
}

impl From<&Failure> for ExitCode {
    fn from(failure: &Failure) -> Self {
        Self::from(failure.code())
    }
}

#[cfg(test)]
mod tests {
    use super::chain;
    use anyhow::anyhow;

    #[test]
    fn causes_are_named_once() {
        let error = anyhow!("no such file")
            .context("a.onnx: no such file")
            .context("--model");
        assert_eq!(chain(&error), "--model: a.onnx: no such file");
    }
}
