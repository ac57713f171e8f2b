//! The hub's HTTP: what a model consists of, and what the hub says of a file before it is fetched.

use std::time::Duration;

use anyhow::{Context, anyhow, bail, ensure};
use serde::Deserialize;
use ureq::config::RedirectAuthHeaders;
use ureq::http::{HeaderMap, Response, StatusCode};
use ureq::{Agent, Body};

use super::cache;
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

/// A commit of a model.
#[derive(Debug)]
pub(super) struct Listing {
    /// 40 hexadecimal digits.
    pub(super) commit: String,
    /// Its files, as the hub names them: not to be trusted as paths.
    pub(super) files: Vec<String>,
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

#[derive(Deserialize)]
struct Info {
    sha: String,
    siblings: Vec<Sibling>,
}

#[derive(Deserialize)]
struct Sibling {
    rfilename: String,
}

/// Redirections within the hub before one is sure that they lead nowhere.
const MAX_HOPS: usize = 5;

/// One hub.
#[derive(Debug)]
pub(super) struct Client {
    agent: Agent,
    endpoint: String,
    authorization: Option<String>,
}

impl Client {
    /// The hub at HF_ENDPOINT, with the user's token if there is one.
    pub(super) fn from_env() -> anyhow::Result<Self> {
        let endpoint = match cache::variable("HF_ENDPOINT") {
            Some(endpoint) => endpoint
                .into_string()
                .map_err(|_| anyhow!("HF_ENDPOINT: not UTF-8"))?,
            None => "https://huggingface.co".to_owned(),
        };
        // Not global timeouts: a large file takes as long as it takes. A connection that says nothing is broken.
        let config = Agent::config_builder()
            .user_agent(concat!("igpt/", env!("CARGO_PKG_VERSION")))
            .http_status_as_error(false)
            .max_redirects_will_error(false)
            .redirect_auth_headers(RedirectAuthHeaders::SameHost)
            .timeout_connect(Some(Duration::from_secs(20)))
            .timeout_per_read(Some(Duration::from_secs(60)))
            .build();
        Ok(Self {
            agent: config.into(),
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            authorization: cache::token()?.map(|token| format!("Bearer {token}")),
        })
    }

    /// The hub's address.
    pub(super) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The commit that a name stands for now, and its files.
    pub(super) fn list(&self, name: &HubName) -> Result<Listing, HubError> {
        let revision = name.encoded_revision();
        let url = format!(
            "{}/api/models/{}/revision/{revision}",
            self.endpoint, name.repo
        );
        let mut response = self.get(&url, None)?;
        accept(&url, response.status(), self.authorization.is_some())?;
        let text = response
            .body_mut()
            .read_to_string()
            .with_context(|| url.clone())
            .map_err(HubError::Transport)?;
        let read = || {
            let info: Info = serde_json::from_str(&text).context("not a model's description")?;
            ensure!(
                is_hash(&info.sha, 40),
                "sha is {:?}, expected a commit",
                info.sha
            );
            let files = info.siblings.into_iter().map(|sibling| sibling.rfilename);
            Ok(Listing {
                commit: info.sha,
                files: files.collect(),
            })
        };
        read().context(url.clone()).map_err(HubError::Nonsense)
    }

    /// What the hub says of a file. `file` is a plain name.
    pub(super) fn describe(
        &self,
        name: &HubName,
        commit: &str,
        file: &str,
    ) -> Result<Remote, HubError> {
        let url = format!("{}/{}/resolve/{commit}/{file}", self.endpoint, name.repo);
        let mut at = url.clone();
        for _ in 0..MAX_HOPS {
            let mut request = self.agent.head(&at).config().max_redirects(0).build();
            if let Some(authorization) = &self.authorization {
                request = request.header("Authorization", authorization);
            }
            let response = request
                .call()
                .with_context(|| at.clone())
                .map_err(HubError::Transport)?;
            // Within the hub to another name of the same thing. A large file's redirection to its storage is absolute,
            // and all that is needed is in the redirection itself.
            let location = header(response.headers(), "location");
            if let Some(path) = location.filter(|to| to.starts_with('/') && !to.starts_with("//")) {
                at = format!("{}{path}", origin(&self.endpoint));
                continue;
            }
            if !response.status().is_redirection() {
                accept(&at, response.status(), self.authorization.is_some())?;
            }
            return remote(url, &response).map_err(|error| HubError::Nonsense(error.context(at)));
        }
        let error = anyhow!("{url}: more than {MAX_HOPS} redirections");
        Err(HubError::Nonsense(error))
    }

    /// Asks for a file from its `start`th byte. The caller looks at the status.
    pub(super) fn get(&self, url: &str, start: Option<u64>) -> Result<Response<Body>, HubError> {
        let mut request = self.agent.get(url);
        // Dropped where a redirection leads to the storage on another host.
        if let Some(authorization) = &self.authorization {
            request = request.header("Authorization", authorization);
        }
        if let Some(start) = start {
            request = request.header("Range", format!("bytes={start}-"));
        }
        request
            .call()
            .with_context(|| url.to_owned())
            .map_err(HubError::Transport)
    }

    /// Turns a status other than success into what it means.
    pub(super) fn accept(&self, url: &str, status: StatusCode) -> Result<(), HubError> {
        accept(url, status, self.authorization.is_some())
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
        None => header(headers, "content-length"),
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

fn accept(url: &str, status: StatusCode, with_token: bool) -> Result<(), HubError> {
    if status.is_success() {
        return Ok(());
    }
    let why = match status.as_u16() {
        401 if with_token => "the hub does not know this model, or not with this token",
        401 => "the hub does not know this model; if it is private, set HF_TOKEN",
        403 => "the hub does not allow this; a model may want its terms accepted on its page",
        404 => "the hub does not have this model, revision or file",
        _ => {
            let error = anyhow!("{url}: {status}");
            return Err(
                if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
                    HubError::Transport(error)
                } else {
                    HubError::Nonsense(error)
                },
            );
        }
    };
    Err(HubError::Refused(anyhow!("{url}: {status}: {why}")))
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
