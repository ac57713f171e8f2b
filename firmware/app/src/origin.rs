//! Where a setting came from, so that a wrong one is named as its author wrote it: an option of the command
//! line, or a key and a line of the configuration file.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use anyhow::anyhow;
use toml::Spanned;

use super::exit::chain;

/// A setting whose value cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("--{option} {found}: expected {expected}")]
pub(super) struct Invalid {
    option: &'static str,
    found: String,
    expected: String,
}

impl Invalid {
    pub(super) fn new(option: &'static str, found: impl ToString, expected: &str) -> Self {
        let (found, expected) = (found.to_string(), expected.to_owned());
        Self {
            option,
            found,
            expected,
        }
    }
}

/// The settings that came from a configuration file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    file: PathBuf,
    /// Each key's line, from 1.
    lines: BTreeMap<String, usize>,
}

impl Origin {
    /// `keys` came from the file at `file`, which reads `text`.
    pub(super) fn new(file: PathBuf, text: &str, keys: Vec<String>) -> Self {
        // It was read once already, so this works; without it keys have no line.
        let spans = toml::from_str::<BTreeMap<Spanned<String>, toml::Value>>(text);
        let spans = spans.unwrap_or_default();
        let line = |key: &String| {
            let start = spans
                .keys()
                .find(|found| found.get_ref() == key)?
                .span()
                .start;
            Some(
                text.get(..start)?.lines().count().max(1)
                    + usize::from(text.get(..start)?.ends_with('\n')),
            )
        };
        let lines = keys.into_iter().map(|key| {
            let line = line(&key).unwrap_or_default();
            (key, line)
        });
        Self {
            lines: lines.collect(),
            file,
        }
    }

    /// The file, if one was read.
    pub(super) fn file(&self) -> Option<&PathBuf> {
        (!self.file.as_os_str().is_empty()).then_some(&self.file)
    }

    /// `cam.toml:3: model`, if the setting came from the file.
    fn key(&self, option: &str) -> Option<String> {
        let line = self.lines.get(option)?;
        Some(format!("{}:{line}: {option}", self.file.display()))
    }

    /// A setting and its value as they were written: `--sink out`, or `cam.toml:4: sink = "out"`.
    pub(super) fn setting(&self, option: &str, value: impl Display) -> String {
        match self.key(option) {
            Some(key) => format!("{key} = {:?}", value.to_string()),
            None => format!("--{option} {value}"),
        }
    }

    /// An error that a setting leads to and that names its value: of a setting from the file it names that too. On
    /// the command line the value stands before the reader's eyes.
    pub(super) fn blame(&self, option: &str, error: anyhow::Error) -> anyhow::Error {
        let named = format!("{option} \"");
        match self.key(option) {
            // It names the setting itself.
            Some(key) if chain(&error).starts_with(&named) => {
                let place = key.strip_suffix(option).unwrap_or(&key);
                anyhow!("{place}{}", chain(&error))
            }
            Some(key) => error.context(key),
            None => error,
        }
    }

    /// [`blame`](Self::blame), where the value is a path: one that is not there may have been meant to begin where
    /// the file is.
    pub(super) fn blame_path(
        &self,
        option: &str,
        path: &Path,
        error: anyhow::Error,
    ) -> anyhow::Error {
        let not_found = |cause: &(dyn std::error::Error + 'static)| {
            let kind = cause.downcast_ref().map(io::Error::kind);
            kind == Some(ErrorKind::NotFound)
        };
        let astray = path.is_relative() && error.chain().any(not_found);
        match (self.key(option), std::env::current_dir()) {
            (Some(_), Ok(folder)) if astray => {
                let error = anyhow!(
                    "{}; relative paths start in the working folder, {}, wherever the configuration is",
                    chain(&error),
                    folder.display()
                );
                self.blame(option, error)
            }
            _ => self.blame(option, error),
        }
    }

    /// The error as the author of the setting reads it.
    pub(super) fn explain(&self, invalid: Invalid) -> anyhow::Error {
        let Invalid {
            option,
            found,
            expected,
        } = &invalid;
        match self.key(option) {
            Some(key) => anyhow!("{key} = {found}: expected {expected}"),
            None => invalid.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_the_file_that_led_to_it_and_where_a_relative_path_starts() {
        let text = "model = \"m.onnx\"\nsink = [\"out\"]\n";
        let keys = ["model", "sink"].map(str::to_owned).to_vec();
        let origin = Origin::new("etc/cam.toml".into(), text, keys);
        assert_eq!(
            origin.setting("sink", "out"),
            "etc/cam.toml:2: sink = \"out\""
        );
        assert_eq!(origin.setting("record", "run"), "--record run");
        let missing = || anyhow::Error::new(io::Error::from(ErrorKind::NotFound)).context("m.onnx");
        let said =
            |option, path: &str| chain(&origin.blame_path(option, Path::new(path), missing()));
        let relative = said("model", "m.onnx");
        assert!(
            relative.starts_with("etc/cam.toml:1: model: m.onnx: "),
            "{relative}"
        );
        let folder = std::env::current_dir().unwrap();
        assert!(
            relative.contains("working folder") && relative.contains(&*folder.to_string_lossy())
        );
        assert!(!said("model", "/m.onnx").contains("working folder"));
        assert_eq!(
            said("record", "m.onnx"),
            chain(&missing()),
            "the command line's"
        );
        let other = anyhow::Error::new(io::Error::from(ErrorKind::InvalidData));
        let other = chain(&origin.blame_path("model", Path::new("m.onnx"), other));
        assert!(!other.contains("working folder"), "{other}");
        let itself = origin.blame("sink", anyhow!("sink \"\": expected a directory"));
        assert_eq!(
            chain(&itself),
            "etc/cam.toml:2: sink \"\": expected a directory"
        );
    }

    #[test]
    fn a_setting_is_named_as_it_was_written() {
        let text = "# comment\nsource = \"-\"\n\nthreshold = 1.5\nsmooth = 3\n";
        let keys = ["threshold", "source"].map(str::to_owned).to_vec();
        let origin = Origin::new("etc/cam.toml".into(), text, keys);
        let explain = |option| {
            origin
                .explain(Invalid::new(option, 1.5, "0 to 1"))
                .to_string()
        };
        assert_eq!(
            explain("threshold"),
            "etc/cam.toml:4: threshold = 1.5: expected 0 to 1"
        );
        assert_eq!(
            explain("source"),
            "etc/cam.toml:2: source = 1.5: expected 0 to 1"
        );
        assert_eq!(
            explain("smooth"),
            "--smooth 1.5: expected 0 to 1",
            "the command line's"
        );
        assert_eq!(
            Origin::default()
                .explain(Invalid::new("top-k", 0, "1"))
                .to_string(),
            "--top-k 0: expected 1"
        );
    }
}
