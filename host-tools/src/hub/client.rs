//! The hub, asked: what a model consists of, what is known of a file before it is fetched, and its bytes. Nothing
//! that the hub says becomes part of a path before it is checked here, and the token goes to hubs alone.

use std::time::Duration;

use anyhow::{Context, anyhow, bail, ensure};
use hf_hub::api::RepoInfo;
use ureq::http::header::{ACCEPT_ENCODING, AUTHORIZATION, LOCATION, RANGE};
use ureq::http::{HeaderMap, HeaderValue, Response, StatusCode};
use ureq::{Agent, Body};

use super::address::{Address, Origin};
use super::environment::{Environment, STAGING_ENDPOINT};
use super::name::{HubName, is_hash};
use super::token::{self, Credentials};

/// Why the hub gave nothing.
#[derive(Debug)]
pub(super) enum HubError {
    /// It could not be reached, or the connection broke.
    Transport(anyhow::Error),
    /// It was reached and has no answer for now: it is broken, or we ask too often.
    Unavailable(anyhow::Error),
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

/// Redirections before one is sure that they lead nowhere; as many as Python's library follows.
const MAX_HOPS: usize = 20;

/// Until where redirections are followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Follow {
    /// To the thing itself, wherever that is.
    ToTheEnd,
    /// While they stay on a hub, or say nothing themselves of the file: one to a large file's storage has the file's
    /// hash and size with it, which the storage does not know.
    UntilTheFileIsKnown,
}

/// One model on one hub.
#[derive(Debug)]
pub(super) struct Client {
    agent: Agent,
    name: HubName,
    endpoint: String,
    /// Who may see the token: the hub that was asked for, and those of Hugging Face, which mirrors lead to.
    hubs: Vec<Origin>,
    credentials: Credentials,
    authorization: Option<HeaderValue>,
    etag_timeout: Duration,
    download_timeout: Duration,
}

impl Client {
    /// The model on the environment's hub, with the user's token if there is one.
    pub(super) fn new(name: &HubName, environment: &Environment) -> anyhow::Result<Self> {
        let endpoint = &environment.endpoint;
        let root = hub(endpoint)?;
        let credentials = token::of_process()?;
        let authorization = match &credentials {
            Credentials::Token(token) => Some(token.header()?),
            Credentials::None | Credentials::KeptBack => None,
        };
        let public = ["https://huggingface.co", "https://hf.co", STAGING_ENDPOINT];
        let public = public.into_iter().filter_map(Address::parse);
        let config = Agent::config_builder()
            .user_agent(concat!("igpt/", env!("CARGO_PKG_VERSION")))
            .http_status_as_error(false)
            // Redirections are followed here, where it is known who may see the token.
            .max_redirects(0)
            .max_redirects_will_error(false);
        Ok(Self {
            agent: config.build().new_agent(),
            name: name.clone(),
            endpoint: endpoint.clone(),
            hubs: public
                .chain([root])
                .map(|hub| hub.origin().clone())
                .collect(),
            credentials,
            authorization,
            etag_timeout: environment.etag_timeout,
            download_timeout: environment.download_timeout,
        })
    }

    /// The hub's address.
    pub(super) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The model.
    pub(super) fn name(&self) -> &HubName {
        &self.name
    }

    /// Whether we have a token.
    pub(super) fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// The commit that the name stands for now, and its files: as the hub names them, not to be trusted as
    /// paths.
    pub(super) fn list(&self) -> Result<RepoInfo, HubError> {
        let model = self.name.at(&self.name.revision);
        let url = format!("{}/api/{}", self.endpoint, model.api_url());
        let (mut response, at) = self.ask(&url, None, self.etag_timeout, Follow::ToTheEnd)?;
        self.accept(at.as_str(), &response)?;
        let text = response
            .body_mut()
            .read_to_string()
            .with_context(|| url.clone())
            .map_err(HubError::Transport)?;
        listing(&text).context(url).map_err(HubError::Nonsense)
    }

    /// What the hub says of a file of a commit. `file` is a plain name.
    pub(super) fn describe(&self, commit: &str, file: &str) -> Result<Remote, HubError> {
        let model = self.name.at(commit);
        let (name, revision) = (model.url(), model.url_revision());
        let url = format!("{}/{name}/resolve/{revision}/{file}", self.endpoint);
        // One byte: some mirrors do not know HEAD.
        let range = Some("bytes=0-0".to_owned());
        let (response, at) =
            self.ask(&url, range, self.etag_timeout, Follow::UntilTheFileIsKnown)?;
        // An empty file has no first byte.
        let known = response.status().is_redirection()
            || response.status() == StatusCode::RANGE_NOT_SATISFIABLE;
        if !known {
            self.accept(at.as_str(), &response)?;
        }
        remote(url, &response).map_err(|error| HubError::Nonsense(error.context(at)))
    }

    /// Asks for a file from its `start`th byte. The caller looks at the status.
    pub(super) fn get(&self, url: &str, start: u64) -> Result<Response<Body>, HubError> {
        let range = (start > 0).then(|| format!("bytes={start}-"));
        let (response, _) = self.ask(url, range, self.download_timeout, Follow::ToTheEnd)?;
        Ok(response)
    }

    /// The answer, and from where it is. The token goes to hubs only, and to nobody once a redirection has left them.
    fn ask(
        &self,
        url: &str,
        range: Option<String>,
        silence: Duration,
        follow: Follow,
    ) -> Result<(Response<Body>, Address), HubError> {
        let nonsense = |error: anyhow::Error| HubError::Nonsense(error.context(url.to_owned()));
        let mut at =
            Address::parse(url).ok_or_else(|| nonsense(anyhow!("no address of the web")))?;
        let mut on_hub = true;
        for _ in 0..=MAX_HOPS {
            on_hub &= self.is_hub(&at);
            let token = self.authorization.as_ref().filter(|_| on_hub);
            let response = self.call(&at, range.as_deref(), silence, token)?;
            let Some(to) = redirection(&at, &response).map_err(nonsense)? else {
                return Ok((response, at));
            };
            let known = || tag(response.headers()).is_some();
            if follow == Follow::UntilTheFileIsKnown && !self.is_hub(&to) && known() {
                return Ok((response, at));
            }
            at = to;
        }
        let error = anyhow!("more than {MAX_HOPS} redirections, the last to {at}");
        Err(nonsense(error))
    }

    fn is_hub(&self, url: &Address) -> bool {
        self.hubs.contains(url.origin())
    }

    fn call(
        &self,
        url: &Address,
        range: Option<&str>,
        silence: Duration,
        token: Option<&HeaderValue>,
    ) -> Result<Response<Body>, HubError> {
        let mut request = self.agent.get(url.as_str());
        // A file as it is: a part of a compressed one would be no use.
        request = request.header(ACCEPT_ENCODING, "identity");
        if let Some(token) = token {
            request = request.header(AUTHORIZATION, token);
        }
        if let Some(range) = range {
            request = request.header(RANGE, range);
        }
        request
            .config()
            .timeout_connect(Some(silence))
            .timeout_per_read(Some(silence))
            .build()
            .call()
            .with_context(|| url.to_string())
            .map_err(HubError::Transport)
    }
}

/// HF_ENDPOINT as an address.
fn hub(endpoint: &str) -> anyhow::Result<Address> {
    let expected = "expected an address such as https://huggingface.co; unset, it is that";
    Address::parse(endpoint).ok_or_else(|| anyhow!("HF_ENDPOINT is {endpoint:?}, {expected}"))
}

/// A model's commit and files, from the hub's description of it.
pub(super) fn listing(text: &str) -> anyhow::Result<RepoInfo> {
    let info: RepoInfo = serde_json::from_str(text).context("not a model's description")?;
    let sha = &info.sha;
    ensure!(is_hash(sha, 40), "sha is {sha:?}, expected a commit");
    Ok(info)
}

/// Where a response says to look, an address of any form joined to that of the response.
pub(super) fn redirection<T>(
    at: &Address,
    response: &Response<T>,
) -> anyhow::Result<Option<Address>> {
    if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let Some(location) = response.headers().get(LOCATION) else {
        return Ok(None);
    };
    let location = String::from_utf8_lossy(location.as_bytes());
    let to = at.join(&location).ok_or_else(|| {
        anyhow!("a redirection to {location:?}, expected an address of http or https")
    })?;
    Ok(Some(to))
}

/// The file's ETag: a redirection's own is not it.
fn tag(headers: &HeaderMap) -> Option<&str> {
    header(headers, "x-linked-etag").or_else(|| header(headers, "etag"))
}

pub(super) fn remote<T>(url: String, response: &Response<T>) -> anyhow::Result<Remote> {
    let headers = response.headers();
    let tag = tag(headers).ok_or_else(|| {
        let status = response.status();
        anyhow!("{status}, no ETag, so that it is no hub: check HF_ENDPOINT and the proxy")
    })?;
    let hash = tag.trim_start_matches("W/").trim_matches('"');
    // It becomes a file's name.
    if !is_hash(hash, 40) && !is_hash(hash, 64) {
        bail!("the ETag is {tag:?}, expected 40 or 64 hexadecimal digits");
    }
    let size = match header(headers, "x-linked-size") {
        // That of a redirection is its own.
        None if response.status().is_redirection() => None,
        // That of an error is its text's.
        None if !response.status().is_success() && header(headers, "content-range").is_none() => {
            None
        }
        // A hub that gives the one byte says of how many; another gives the whole.
        None => match header(headers, "content-range") {
            Some(range) => range.split_once('/').map(|(_, size)| size),
            None => header(headers, "content-length"),
        },
        linked => linked,
    };
    let size = size
        // An answer of unknown length in parts.
        .filter(|size| *size != "*")
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
