//! File names in JSON, which holds Unicode only, while a file may be called anything.

use std::ffi::OsString;
use std::path::Path;

use anyhow::anyhow;
use serde::Serializer;

use crate::failure::{Blame as _, Failure};

/// A name that was found in a folder: what is no Unicode becomes U+FFFD, so that one such file does not cost the
/// report on all others.
pub(crate) fn lossy<S: Serializer>(path: impl AsRef<Path>, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&path.as_ref().to_string_lossy())
}

/// Refuses a command line whose names a report could not give as they are.
///
/// # Errors
/// `--json` beside an argument that is no Unicode: the command line is wrong.
pub(crate) fn check_names(arguments: impl IntoIterator<Item = OsString>) -> Result<(), Failure> {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let json = arguments.iter().any(|argument| argument == "--json");
    match arguments
        .iter()
        .find(|argument| argument.to_str().is_none())
    {
        Some(name) if json => Err(anyhow!(
            "{}: is not UTF-8, which JSON has to be; rename it, or leave --json out",
            name.display()
        ))
        .misused(),
        _ => Ok(()),
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::ffi::OsStringExt as _;

    use super::*;

    #[test]
    fn names_that_json_cannot_hold_are_refused_before_the_work() {
        let name = || OsString::from_vec(vec![b'a', 0xff]);
        check_names([name()]).unwrap();
        let refused = check_names(["--json".into(), name()]).unwrap_err();
        assert!(refused.to_string().contains("not UTF-8"), "{refused}");
    }
}
