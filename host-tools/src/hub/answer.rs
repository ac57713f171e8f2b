//! One answer of a hub, read in every way that any of its answers is read: for the fuzzer, which has no hub.

use ureq::http::{HeaderName, HeaderValue, Response};

use super::address::Address;
use super::client::{listing, redirection, remote};
use super::name::is_plain;
use super::refusal::Reason;

/// Reads `status`, headers and `body` as a listing, as a redirection, as a file's description and as a refusal.
/// Returns the plain file names that it lists.
///
/// # Errors
/// The first thing in it that makes no sense.
pub fn read(status: u16, headers: &[(&[u8], &[u8])], body: &str) -> anyhow::Result<Vec<String>> {
    let mut response = Response::builder().status(status).body(())?;
    for (name, value) in headers {
        let (name, value) = (
            HeaderName::from_bytes(name)?,
            HeaderValue::from_bytes(value)?,
        );
        response.headers_mut().append(name, value);
    }
    let url = "http://127.0.0.1:8080/o/n/resolve/main/config.json";
    if let Some(from) = Address::parse(url)
        && let Some(to) = redirection(&from, &response)?
    {
        // Where it leads is an address again, and leads to itself.
        let again = to
            .join(to.as_str())
            .map(|again| again.origin() == to.origin());
        anyhow::ensure!(again == Some(true), "{to} is no address of itself");
    }
    let _ = Reason::of(status, response.headers());
    let files = listing(body)?
        .siblings
        .into_iter()
        .map(|file| file.rfilename);
    let files = files.filter(|file| is_plain(file)).collect();
    remote(url.to_owned(), &response)?;
    Ok(files)
}
