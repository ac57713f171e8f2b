//! How a command fails: whose fault it is decides the exit code.

use std::process::ExitCode;

/// What the exit codes mean, for `--help` and the manual pages; [`Failure::exit_code`] gives them.
pub const EXIT_CODES: [(u8, &str); 4] = [
    (0, "done"),
    (1, "something failed: an output that cannot be written, say"),
    (2, "the command line is wrong"),
    (
        3,
        "the input is at fault: a checkpoint, a model file, an image",
    ),
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
}

impl Failure {
    /// 3 for bad input, 2 for a wrong command line, 1 otherwise.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Failure::BadInput(_) => ExitCode::from(3),
            Failure::Misused(_) => ExitCode::from(2),
            Failure::Failed(_) => ExitCode::FAILURE,
        }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (Failure::BadInput(error) | Failure::Misused(error) | Failure::Failed(error)) = self;
        // Many errors already say what their cause says: each is told once.
        let mut text = error.to_string();
        for cause in error.chain().skip(1).map(ToString::to_string) {
            if !text.contains(&cause) {
                text = format!("{text}: {cause}");
            }
        }
        f.write_str(&text)
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
    use anyhow::Context;

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
}
