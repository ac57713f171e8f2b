//! What the hub means by a status that is no success, and what to do about it: its error headers first, which are
//! what Python's library goes by, then the status.

use anyhow::anyhow;
use ureq::http::{HeaderMap, Response};

use super::client::{Client, HubError};
use super::token::{Credentials, KEEPS_BACK};

/// Why, as the hub says by its headers or, if it has none, by its status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    Gated,
    NoRepository,
    NoRevision,
    NoFile,
    Disabled,
    BadToken,
    Forbidden,
    NotFound,
}

impl Reason {
    pub(super) fn of(status: u16, headers: &HeaderMap) -> Option<Self> {
        let message = text(headers, "x-error-message").unwrap_or_default();
        let code = text(headers, "x-error-code").unwrap_or_default();
        Some(match (code.as_str(), message.as_str(), status) {
            ("GatedRepo", ..) => Self::Gated,
            ("RepoNotFound", ..) => Self::NoRepository,
            ("RevisionNotFound", ..) => Self::NoRevision,
            ("EntryNotFound", ..) => Self::NoFile,
            ("DisabledRepo", ..) | (_, "Access to this resource is disabled.", _) => Self::Disabled,
            (_, "Invalid credentials in Authorization header", _) => Self::BadToken,
            // To those whom it does not know the hub says 401 of what does not exist, too.
            (_, _, 401) => Self::NoRepository,
            (_, _, 403) => Self::Forbidden,
            (_, _, 404) => Self::NotFound,
            _ => return None,
        })
    }
}

impl Client {
    /// Turns a status other than success into what it means.
    pub(super) fn accept<T>(&self, url: &str, response: &Response<T>) -> Result<(), HubError> {
        let status = response.status();
        if status.is_success() {
            return Ok(());
        }
        let says = match text(response.headers(), "x-error-message") {
            Some(message) => format!("; the hub says: {message}"),
            None => String::new(),
        };
        if let Some(reason) = Reason::of(status.as_u16(), response.headers()) {
            let why = self.explain(reason);
            return Err(HubError::Refused(anyhow!("{url}: {status}: {why}{says}")));
        }
        Err(match status.as_u16() {
            429 => {
                let wait = wait(response.headers());
                let more = match self.credentials() {
                    Credentials::None => ", or set HF_TOKEN, which allows more requests",
                    _ => "",
                };
                HubError::Unavailable(anyhow!("{url}: {status}: wait {wait}{more}{says}"))
            }
            500.. => HubError::Unavailable(anyhow!("{url}: {status}{says}")),
            _ => HubError::Nonsense(anyhow!("{url}: {status}{says}")),
        })
    }

    fn explain(&self, reason: Reason) -> String {
        let (name, revision) = (&self.name().repo, &self.name().revision);
        let endpoint = self.endpoint();
        let page = format!("{endpoint}/{name}");
        let token = self.how_to_show_a_token();
        match (reason, self.credentials()) {
            (Reason::Gated, Credentials::Token(token)) => format!(
                "{name} is gated, and the account of the token in {} has no access: accept its terms at {page} with \
                 that account, wait if its owners approve each request, and let a fine-grained token read gated \
                 repositories",
                token.from
            ),
            (Reason::Gated, _) => {
                format!("{name} is gated: accept its terms at {page}, then {token}")
            }
            (Reason::NoRepository, Credentials::Token(token)) => format!(
                "the hub has no model {name}, or does not show it to the token in {}: check the name, and that the \
                 token's account may read it",
                token.from
            ),
            (Reason::NoRepository, _) => format!(
                "the hub has no model {name}, or it is private: check the name; if it is private, {token}"
            ),
            (Reason::NoRevision, _) => format!(
                "{name} has no branch, tag or commit `{revision}`: {page}/tree/main lists them, and without \
                 @REVISION it is main"
            ),
            (Reason::NoFile, _) => format!(
                "{name} has no such file at `{revision}`: {page}/tree/{revision} lists what it has"
            ),
            (Reason::Disabled, _) => format!("the hub has disabled {name}: {page} may say why"),
            (Reason::BadToken, Credentials::Token(token)) => format!(
                "the hub does not know the token in {}, or it has expired: make one at {endpoint}/settings/tokens, \
                 or run `hf auth login` once more",
                token.from
            ),
            (Reason::Forbidden, Credentials::Token(token)) => format!(
                "the hub does not allow this to the token in {}: see {page} and what the token may do at \
                 {endpoint}/settings/tokens",
                token.from
            ),
            (Reason::BadToken | Reason::Forbidden, _) => {
                format!("the hub does not allow this: see {page}, then {token}")
            }
            (Reason::NotFound, _) => {
                format!("the hub does not have this model, revision or file: see {page}")
            }
        }
    }

    /// The next step of somebody without one.
    fn how_to_show_a_token(&self) -> String {
        match self.credentials() {
            Credentials::KeptBack => format!("unset {KEEPS_BACK}, which keeps your token back"),
            _ => format!(
                "set HF_TOKEN to a token of your account ({}/settings/tokens) or run `hf auth login`",
                self.endpoint()
            ),
        }
    }
}

/// How long one should wait before asking again, in words: as Retry-After says, or `t` of RateLimit, which the hub
/// sends (`"api";r=0;t=133`, the seconds until the window begins anew).
fn wait(headers: &HeaderMap) -> String {
    if let Some(after) = text(headers, "retry-after") {
        return match after.bytes().all(|byte| byte.is_ascii_digit()) {
            true => format!("{after} s"),
            false => format!("until {after}"),
        };
    }
    let limit = text(headers, "ratelimit").unwrap_or_default();
    let seconds = limit
        .split(';')
        .filter_map(|part| part.trim().strip_prefix("t=")?.parse::<u32>().ok())
        .next();
    seconds.map_or("a while".to_owned(), |seconds| format!("{seconds} s"))
}

/// A header for a person to read: on one line, and not without end.
fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    let bytes = headers.get(name)?.as_bytes();
    let text = String::from_utf8_lossy(bytes);
    let letters = text.chars().map(|letter| match letter.is_control() {
        true => ' ',
        false => letter,
    });
    let text: String = letters.take(500).collect();
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}
