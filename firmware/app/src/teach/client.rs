//! The other end of the control socket.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;

use anyhow::{Context as _, anyhow, bail};
use serde_json::Value;

use super::request::Request;

/// Asks the program that listens at `path`, and hands each answer on.
///
/// # Errors
/// Nobody listens, or what is asked for cannot be done.
pub(crate) fn ask(
    path: &Path,
    request: &Request,
    mut told: impl FnMut(&Value) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let at = || path.display().to_string();
    let mut stream = UnixStream::connect(path).with_context(|| {
        format!(
            "{}: no igpt-cam listens there; start one with --control {}",
            at(),
            at()
        )
    })?;
    let line = serde_json::to_string(request).context("a request")?;
    stream
        .write_all(format!("{line}\n").as_bytes())
        .with_context(at)?;
    for line in BufReader::new(stream).lines() {
        let line = line.with_context(at)?;
        let answer: Value = serde_json::from_str(&line)
            .map_err(|error| anyhow!("{}: not an answer of igpt-cam's: {error}", at()))?;
        match answer["event"].as_str() {
            Some("example") => told(&answer)?,
            Some("done") => return told(&answer),
            _ => bail!("{}", answer["error"].as_str().unwrap_or(&line)),
        }
    }
    bail!("{}: it ended without an answer", at())
}
