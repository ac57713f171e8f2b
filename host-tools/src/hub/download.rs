//! One file into the cache: resumed where it broke off, checked, and there only when it is whole.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use indicatif::ProgressBar;
use sha1::Sha1;
use sha2::{Digest, Sha256};
use ureq::http::StatusCode;

use super::client::{Client, HubError, Remote, header};

/// Before another attempt after one that brought nothing; as many as Python's library makes.
const PAUSES: [u64; 5] = [100, 200, 400, 800, 1600];

/// Fetches `remote` as `blob`, unless it is there. What has arrived waits in `blob.incomplete` for the next
/// attempt, of this process (which makes a few in a row that bring nothing) or of another, Python's library
/// included.
///
/// # Errors
/// The hub out of reach or talking nonsense, a file that is not what its hash says, a cache that cannot be
/// written.
pub(super) fn fetch(
    client: &Client,
    remote: &Remote,
    blob: &Path,
    bar: &ProgressBar,
) -> Result<(), HubError> {
    if blob.exists() {
        return Ok(());
    }
    let part = blob.with_extension("incomplete");
    let local = |error: io::Error, path: &Path| {
        HubError::Nonsense(anyhow::Error::new(error).context(path.display().to_string()))
    };
    fs::create_dir_all(blob.parent().unwrap_or(blob)).map_err(|error| local(error, blob))?;
    let mut file = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .open(&part)
        .map_err(|error| local(error, &part))?;
    // Another process may be fetching the same file: it is then there when our turn comes.
    file.lock().map_err(|error| local(error, &part))?;
    if blob.exists() {
        return Ok(());
    }
    let mut have = file.metadata().map_err(|error| local(error, &part))?.len();
    let mut pauses = PAUSES.iter();
    loop {
        let error = match more(client, remote, &mut file, have, bar) {
            Ok(()) => break,
            Err(HubError::Transport(error) | HubError::Unavailable(error)) => error,
            Err(error) => return Err(error),
        };
        let now = file.metadata().map_err(|error| local(error, &part))?.len();
        if now > have {
            pauses = PAUSES.iter();
        }
        have = now;
        match pauses.next() {
            Some(milliseconds) => thread::sleep(Duration::from_millis(*milliseconds)),
            None => return Err(HubError::Transport(error)),
        }
    }
    if let Err(error) = check(&mut file, remote) {
        // Resuming could only make a longer wrong file.
        fs::remove_file(&part).map_err(|error| local(error, &part))?;
        return Err(HubError::Nonsense(error));
    }
    fs::rename(&part, blob).map_err(|error| local(error, blob))
}

/// Appends what the hub has beyond the first `have` bytes.
fn more(
    client: &Client,
    remote: &Remote,
    file: &mut File,
    have: u64,
    bar: &ProgressBar,
) -> Result<(), HubError> {
    let url = &remote.url;
    if remote.size == Some(have) {
        return Ok(());
    }
    // More than the whole is no beginning of it.
    let start = if remote.size.is_none_or(|size| have < size) {
        have
    } else {
        0
    };
    let mut response = client.get(url, start)?;
    let status = response.status();
    let resumed = status == StatusCode::PARTIAL_CONTENT && start > 0;
    let local =
        |error: io::Error| HubError::Nonsense(anyhow::Error::new(error).context("the cache"));
    if resumed {
        let range = header(response.headers(), "content-range").unwrap_or_default();
        if !range.starts_with(&format!("bytes {have}-")) {
            let error = anyhow!("{url}: Content-Range is {range:?}, expected bytes from {have}");
            return Err(HubError::Nonsense(error));
        }
        bar.set_position(have);
    } else if status == StatusCode::RANGE_NOT_SATISFIABLE && start > 0 {
        // What is there is no beginning of this file.
        file.set_len(0).map_err(local)?;
        return more(client, remote, file, 0, bar);
    } else {
        client.accept(url, &response)?;
        // From the start, whatever was asked for.
        file.set_len(0).map_err(local)?;
        bar.set_position(0);
    }
    let mut body = response.body_mut().as_reader();
    let mut buffer = vec![0; 1 << 16];
    let mut total = if resumed { have } else { 0 };
    loop {
        let count = body
            .read(&mut buffer)
            .with_context(|| url.clone())
            .map_err(HubError::Transport)?;
        let Some(bytes) = buffer.get(..count).filter(|bytes| !bytes.is_empty()) else {
            return Ok(());
        };
        total += count as u64;
        if let Some(size) = remote.size.filter(|size| total > *size) {
            let error = anyhow!("{url}: more than the {size} bytes that it was said to have");
            return Err(HubError::Nonsense(error));
        }
        file.write_all(bytes).map_err(local)?;
        bar.inc(count as u64);
    }
}

/// Whether a file is what the hub said that it would be.
fn check(file: &mut File, remote: &Remote) -> anyhow::Result<()> {
    let (url, expected) = (&remote.url, &remote.hash);
    let size = file.metadata()?.len();
    if let Some(expected) = remote.size.filter(|expected| *expected != size) {
        bail!("{url}: {size} bytes arrived, expected {expected}");
    }
    file.rewind()?;
    let (kind, found) = match expected.len() {
        64 => ("SHA-256", digest(Sha256::new(), file)?),
        // A small file's is git's, of the file after a header.
        _ => {
            let header = format!("blob {size}\0");
            ("git's SHA-1", digest(Sha1::new_with_prefix(header), file)?)
        }
    };
    if found != *expected {
        bail!("{url}: {kind} is {found}, expected {expected}: fetch it again");
    }
    Ok(())
}

/// The digest of the rest of a file, after what the hasher has seen, in hexadecimal digits.
fn digest<D: Digest>(mut hasher: D, file: &mut File) -> io::Result<String> {
    let mut buffer = vec![0; 1 << 16];
    loop {
        let count = file.read(&mut buffer)?;
        let Some(bytes) = buffer.get(..count).filter(|bytes| !bytes.is_empty()) else {
            break;
        };
        hasher.update(bytes);
    }
    let digest = hasher.finalize();
    Ok(digest.iter().map(|byte| format!("{byte:02x}")).collect())
}
