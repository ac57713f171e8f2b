//! The hub, asked through hf-hub: what a model consists of, what is known of a file before it is fetched, and
//! its bytes. Nothing that the hub says becomes part of a path before it is checked here.

use std::time::Duration;

use anyhow::{Context, anyhow, bail, ensure};
use hf_hub::api::RepoInfo;
use hf_hub::api::sync::{Api, ApiBuilder, ApiRepo};
use ureq::http::{HeaderMap, Response, StatusCode};
use ureq::typestate::WithoutBody;
use ureq::{Body, RequestBuilder};

use super::cache::{self, ModelCache};
use super::name::{HubName, is_hash};

/// Why the hub gave nothing.
#[derive(Debug)]
pub(super) enum HubError {
    /// It could not be reached, or the connection broke.
    Transport(anyhow::Error),
    /// It says that there is no such thing, or not for us.
    Refused(anyhow::Error),
    /// It said something that makes no sense.
    Nonsense(anyhow::Error),
}

/// What is known of a file before it is there.
#[derive(Debug)]
pub(super) struct Remote {
    /// Where it is.
    pub(super) url: String,
    /// Its name as a blob: SHA-256 of a large file, git's SHA-1 of a small one.
    pub(super) hash: String,
    /// In bytes.
    pub(super) size: Option<u64>,
}

/// Redirections within the hub before one is sure that they lead nowhere.
const MAX_HOPS: usize = 5;
/// A hub that says nothing for so long is out of reach. Not a limit on the whole: a large file takes as long
/// as it takes.
const SILENCE: Duration = Duration::from_secs(60);

/// One model on one hub.
#[derive(Debug)]
pub(super) struct Client {
    api: Api,
    model: ApiRepo,
    name: HubName,
    endpoint: String,
    with_token: bool,
}

impl Client {
    /// The model at HF_ENDPOINT, with the user's token if there is one.
    pub(super) fn from_env(name: &HubName, cache: &ModelCache) -> anyhow::Result<Self> {
        let endpoint = match cache::variable("HF_ENDPOINT") {
            Some(endpoint) => endpoint
                .into_string()
                .map_err(|_| anyhow!("HF_ENDPOINT: not UTF-8"))?,
            None => "https://huggingface.co".to_owned(),
        };
        let endpoint = endpoint.trim_end_matches('/').to_owned();
        let token = cache::token()?;
        let with_token = token.is_some();
        // Not ApiBuilder::from_env: it knows neither HF_TOKEN nor HF_HUB_CACHE, and takes an empty HF_HOME
        // for a folder.
        let api = ApiBuilder::from_cache(cache.hub())
            .with_endpoint(endpoint.clone())
            .with_token(token)
            .with_progress(false)
            .with_user_agent("igpt", env!("CARGO_PKG_VERSION"))
            .build()
            .context("a client of the hub")?;
        Ok(Self {
            model: api.repo(name.at(&name.revision)),
            api,
            name: name.clone(),
            endpoint,
            with_token,
        })
    }

    /// The hub's address.
    pub(super) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The commit that the name stands for now, and its files: as the hub names them, not to be trusted as
    /// paths.
    pub(super) fn list(&self) -> Result<RepoInfo, HubError> {
        let url = format!(
            "{}/api/{}",
            self.endpoint,
            self.name.at(&self.name.revision).api_url()
        );
        let mut response = self.call(self.model.info_request(), &url)?;
        self.accept(&url, response.status())?;
        let text = response
            .body_mut()
            .read_to_string()
            .with_context(|| url.clone())
            .map_err(HubError::Transport)?;
        let read = || {
            let info: RepoInfo =
                serde_json::from_str(&text).context("not a model's description")?;
            let sha = &info.sha;
            ensure!(is_hash(sha, 40), "sha is {sha:?}, expected a commit");
            Ok(info)
        };
        read().context(url.clone()).map_err(HubError::Nonsense)
    }

    /// What the hub says of a file of a commit. `file` is a plain name.
    pub(super) fn describe(&self, commit: &str, file: &str) -> Result<Remote, HubError> {
        let url = self.api.repo(self.name.at(commit)).url(file);
        let mut at = url.clone();
        for _ in 0..MAX_HOPS {
            // One byte, for want of HEAD in hf-hub's client.
            let request = self.model.info_request().header("Range", "bytes=0-0");
            let request = request.config().max_redirects(0).build();
            let response = self.call(request, &at)?;
            // Within the hub to another name of the same thing. A large file's redirection to its storage is
            // absolute, and all that is needed is in the redirection itself.
            let location = header(response.headers(), "location");
            if let Some(path) = location.filter(|to| to.starts_with('/') && !to.starts_with("//")) {
                at = format!("{}{path}", origin(&self.endpoint));
                continue;
            }
            if !response.status().is_redirection() {
                self.accept(&at, response.status())?;
            }
            return remote(url, &response).map_err(|error| HubError::Nonsense(error.context(at)));
        }
        let error = anyhow!("{url}: more than {MAX_HOPS} redirections");
        Err(HubError::Nonsense(error))
    }

    /// Asks for a file from its `start`th byte. The caller looks at the status.
    pub(super) fn get(&self, url: &str, start: u64) -> Result<Response<Body>, HubError> {
        let request = self.model.info_request();
        let request = match start {
            0 => request,
            _ => request.header("Range", format!("bytes={start}-")),
        };
        self.call(request, url)
    }

    /// With hf-hub's client, which has the token, and drops it where a redirection leads to another host.
    fn call(
        &self,
        request: RequestBuilder<WithoutBody>,
        url: &str,
    ) -> Result<Response<Body>, HubError> {
        request
            .uri(url)
            // A file as it is: a part of a compressed one would be no use.
            .header("Accept-Encoding", "identity")
            .config()
            .http_status_as_error(false)
            .max_redirects_will_error(false)
            .timeout_connect(Some(SILENCE))
            .timeout_per_read(Some(SILENCE))
            .build()
            .call()
            .with_context(|| url.to_owned())
            .map_err(HubError::Transport)
    }

    /// Turns a status other than success into what it means.
    pub(super) fn accept(&self, url: &str, status: StatusCode) -> Result<(), HubError> {
        if status.is_success() {
            return Ok(());
        }
        let why = match status.as_u16() {
            401 if self.with_token => "the hub does not know this model, or not with this token",
            401 => "the hub does not know this model; if it is private, set HF_TOKEN",
            403 => "the hub does not allow this; a model may want its terms accepted on its page",
            404 => "the hub does not have this model, revision or file",
            429 | 500.. => return Err(HubError::Transport(anyhow!("{url}: {status}"))),
            _ => return Err(HubError::Nonsense(anyhow!("{url}: {status}"))),
        };
        Err(HubError::Refused(anyhow!("{url}: {status}: {why}")))
    }
}

fn remote<T>(url: String, response: &Response<T>) -> anyhow::Result<Remote> {
    let headers = response.headers();
    let tag = header(headers, "x-linked-etag").or_else(|| header(headers, "etag"));
    let tag = tag.ok_or_else(|| anyhow!("no ETag"))?;
    let hash = tag.trim_start_matches("W/").trim_matches('"');
    // It becomes a file's name.
    if !is_hash(hash, 40) && !is_hash(hash, 64) {
        bail!("the ETag is {tag:?}, expected 40 or 64 hexadecimal digits");
    }
    let size = match header(headers, "x-linked-size") {
        // That of a redirection is its own.
        None if response.status().is_redirection() => None,
        // A hub that gives the one byte says of how many; another gives the whole.
        None => match header(headers, "content-range") {
            Some(range) => range.split_once('/').map(|(_, size)| size),
            None => header(headers, "content-length"),
        },
        linked => linked,
    };
    let size = size
        .map(|size| {
            size.parse()
                .with_context(|| format!("the size is {size:?}"))
        })
        .transpose()?;
    Ok(Remote {
        url,
        hash: hash.to_owned(),
        size,
    })
}

pub(super) fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// `scheme://host:port` of an address.
fn origin(url: &str) -> &str {
    let host = url.find("://").map_or(0, |at| at + 3);
    let end = url.get(host..).and_then(|rest| rest.find('/'));
    end.and_then(|end| url.get(..host + end)).unwrap_or(url)
}
