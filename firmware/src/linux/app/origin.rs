//! Where a setting came from, so that a wrong one is named as its author wrote it: an option of the command
//! line, or a key and a line of the configuration file.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::anyhow;
use toml::Spanned;

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

    /// The error as the author of the setting reads it.
    pub(super) fn explain(&self, invalid: Invalid) -> anyhow::Error {
        let Invalid {
            option,
            found,
            expected,
        } = &invalid;
        match self.lines.get(*option) {
            Some(line) => anyhow!(
                "{}:{line}: {option} = {found}: expected {expected}",
                self.file.display()
            ),
            None => invalid.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Invalid, Origin};

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
