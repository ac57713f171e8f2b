//! What the environment says of the hub, by the rules of Python's huggingface_hub 2.4.0: tests/hub_environment.rs
//! holds every line of this against what that library itself makes of hundreds of environments.

use std::env;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, anyhow, bail};

use super::expand::{self, Variables};

const ENDPOINT: &str = "https://huggingface.co";
/// Where the hub's own people try things out: HUGGINGFACE_CO_STAGING.
pub(super) const STAGING_ENDPOINT: &str = "https://hub-ci.huggingface.co";
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// Everything but the token, which is looked for when it is needed: [`super::token::find`].
#[derive(Clone, Debug)]
pub struct Environment {
    /// The folder of all models: HF_HUB_CACHE, HUGGINGFACE_HUB_CACHE, `hub` in HF_HOME or in
    /// XDG_CACHE_HOME/huggingface, ~/.cache/huggingface/hub. It may be relative.
    pub cache: PathBuf,
    /// The variable that forbids to ask the hub: HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE.
    pub offline: Option<&'static str>,
    /// HF_ENDPOINT without slashes at its end.
    pub endpoint: String,
    /// How long the hub may say nothing when it is asked what there is: HF_HUB_ETAG_TIMEOUT.
    pub etag_timeout: Duration,
    /// And how long in the middle of a file: HF_HUB_DOWNLOAD_TIMEOUT.
    pub download_timeout: Duration,
    /// HF_HUB_DISABLE_PROGRESS_BARS.
    pub no_progress_bars: bool,
}

impl Environment {
    /// That of this process.
    ///
    /// # Errors
    /// As [`Environment::from_variables`].
    pub fn read() -> anyhow::Result<Self> {
        Self::from_variables(&|name| env::var_os(name))
    }

    /// The environment that these variables are.
    ///
    /// # Errors
    /// A cache below the home of a user that nobody knows, a timeout that is no number: Python refuses both.
    pub fn from_variables(variables: Variables<'_>) -> anyhow::Result<Self> {
        let staging = is_true(variables("HUGGINGFACE_CO_STAGING").as_deref());
        let endpoint = match variables("HF_ENDPOINT") {
            _ if staging => STAGING_ENDPOINT.to_owned(),
            Some(endpoint) => endpoint
                .into_string()
                .map_err(|bytes| anyhow!("HF_ENDPOINT is {bytes:?}, expected UTF-8"))?,
            None => ENDPOINT.to_owned(),
        };
        Ok(Self {
            cache: cache(variables)?,
            offline: offline(variables),
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            etag_timeout: timeout("HF_HUB_ETAG_TIMEOUT", variables)?,
            download_timeout: timeout("HF_HUB_DOWNLOAD_TIMEOUT", variables)?,
            no_progress_bars: is_true(variables("HF_HUB_DISABLE_PROGRESS_BARS").as_deref()),
        })
    }
}

/// 1, ON, YES or TRUE, in whatever case, and without a space around it; everything else is false.
pub(super) fn is_true(value: Option<&OsStr>) -> bool {
    let value = value.unwrap_or_default().to_string_lossy().to_uppercase();
    matches!(value.as_str(), "1" | "ON" | "YES" | "TRUE")
}

/// The second counts where the first is empty or not set, and not where the first says no.
fn offline(variables: Variables<'_>) -> Option<&'static str> {
    let names = ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"];
    let said = names
        .into_iter()
        .filter_map(|name| Some((name, variables(name)?)));
    let (name, value) = said.into_iter().find(|(_, value)| !value.is_empty())?;
    is_true(Some(&value)).then_some(name)
}

/// HF_HOME, or `huggingface` in the user's cache. An empty variable is a path as well: the working folder.
pub(super) fn home(variables: Variables<'_>) -> OsString {
    let home = variables("HF_HOME").unwrap_or_else(|| {
        let caches = variables("XDG_CACHE_HOME").unwrap_or_else(|| user_cache(variables));
        Path::new(&caches).join("huggingface").into_os_string()
    });
    expand::expand(&home, variables)
}

/// `~/.cache`.
pub(super) fn user_cache(variables: Variables<'_>) -> OsString {
    let home = expand::expand_user(OsStr::new("~"), variables);
    Path::new(&home).join(".cache").into_os_string()
}

fn cache(variables: Variables<'_>) -> anyhow::Result<PathBuf> {
    let named = variables("HF_HUB_CACHE").or_else(|| variables("HUGGINGFACE_HUB_CACHE"));
    let path = named.unwrap_or_else(|| Path::new(&home(variables)).join("hub").into_os_string());
    let path = expand::expand(&path, variables);
    expand::as_path(&path, variables).with_context(|| {
        let names = [
            "HF_HUB_CACHE",
            "HUGGINGFACE_HUB_CACHE",
            "HF_HOME",
            "XDG_CACHE_HOME",
        ];
        let source = names.into_iter().find(|name| variables(name).is_some());
        format!(
            "{}: the cache would be {}, and there is no such home: set HF_HUB_CACHE to a folder",
            source.unwrap_or("HOME"),
            Path::new(&path).display()
        )
    })
}

/// Whole seconds; 0 is as good as not set.
fn timeout(name: &str, variables: Variables<'_>) -> anyhow::Result<Duration> {
    let Some(value) = variables(name) else {
        return Ok(DEFAULT_TIMEOUT);
    };
    match value.to_str().and_then(integer) {
        Some(0) => Ok(DEFAULT_TIMEOUT),
        Some(seconds) => Ok(Duration::from_secs(seconds)),
        None => bail!("{name} is {value:?}, expected whole seconds, or nothing at all: unset it"),
    }
}

/// What Python's `int` makes of a text, if that is not negative: spaces around, a plus, single underscores between
/// digits.
fn integer(text: &str) -> Option<u64> {
    let text = text.trim_matches(is_space);
    let digits = text.strip_prefix('+').unwrap_or(text);
    let grouped = digits
        .split('_')
        .all(|group| !group.is_empty() && group.bytes().all(|byte| byte.is_ascii_digit()));
    grouped
        .then(|| digits.replace('_', "").parse().ok())
        .flatten()
}

/// What Python's `strip` takes off: Unicode's white space and ASCII's four separators.
pub(super) fn is_space(letter: char) -> bool {
    letter.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&letter)
}
