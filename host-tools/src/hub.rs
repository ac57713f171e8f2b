//! Checkpoints by their name on the Hugging Face hub: `openai/imagegpt-small`, or with a branch, tag or
//! commit `openai/imagegpt-small@main`. The variables of Python's library mean what they mean there, and the cache
//! is the same.
//!
//! Addresses, the listing and the cache's layout are hf-hub's. It is asked and its files are fetched by `client` and
//! `download`, over ureq, because hf-hub 0.5.0 trusts the hub too far, as tests/hf_hub_gaps.rs shows: it
//! sends the token on to whatever host stores the file, joins an ETag and a commit of any form (`../..`
//! included) to a path, follows redirections in circles for ever, ends the process at one that leads nowhere,
//! appends a whole file to half of one where the hub ignores a range, and checks no hash. It knows HF_HOME,
//! HF_ENDPOINT and HF_HUB_OFFLINE of a dozen variables: `environment`, `expand` and `token` know them all.
//!
//! 1.0.0 checks neither ETag nor hash either, begins a broken download anew unless the hub serves it by its
//! own protocol, and brings 280 crates for that protocol and an asynchronous runtime.

mod address;
pub mod answer;
mod cache;
mod client;
mod download;
mod environment;
mod expand;
mod name;
mod refusal;
pub mod token;

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, anyhow};
use hf_hub::api::RepoInfo;
use indicatif::{ProgressBar, ProgressStyle};

use crate::checkpoint;
use crate::failure::{Blame, Failure, say};
use cache::ModelCache;
use client::{Client, HubError};
pub use environment::Environment;
pub use expand::Variables;
pub use name::HubName;

/// The folder or file that `path` is, or if there is none and it is a name on the hub, the folder in the
/// cache where that checkpoint is now. Any other path comes back as it is, for the caller to complain about.
///
/// # Errors
/// A word that is neither (bad input); a model that the hub does not have or does not give us (bad input), a hub out of reach and nothing in the
/// cache, a file that is not what the hub said, a cache that cannot be written.
pub fn resolve(path: &Path) -> Result<PathBuf, Failure> {
    match path.to_str().and_then(HubName::parse) {
        Some(name) if !path.exists() => fetch(&name),
        None if is_bare_name(path) => Err(missing(path)).bad_input(),
        None if !path.exists() && is_nearly_a_name(path) => Err(missing(path)).bad_input(),
        _ => Ok(path.to_owned()),
    }
}

/// Whether nothing of this name is here, and it may have been meant as a model's name on the hub: one word, and no
/// model file's.
fn is_bare_name(path: &Path) -> bool {
    let file = path
        .extension()
        .is_some_and(|extension| extension == "onnx");
    let mut parts = path.components();
    let word = matches!(
        (parts.next(), parts.next()),
        (Some(Component::Normal(_)), None)
    );
    word && !file && !path.exists()
}

/// Whether it may have been meant as a model on the hub and is not written as one: an address, or a name with an
/// `@` and no revision after it that could be one.
fn is_nearly_a_name(path: &Path) -> bool {
    let text = path.to_string_lossy();
    let revised = text
        .split_once('@')
        .is_some_and(|(repo, _)| HubName::parse(repo).is_some());
    text.contains("://") || text.starts_with("huggingface.co/") || revised
}

fn missing(path: &Path) -> anyhow::Error {
    let text = path.to_string_lossy();
    let hint = match meant(&text) {
        Some(name) => format!(", here {name}"),
        None => ", such as openai/imagegpt-small".to_owned(),
    };
    let revision = match text.contains('@') {
        true => ", or OWNER/NAME@REVISION with a branch, tag or commit",
        false => "",
    };
    anyhow!(
        "{text}: no such file or folder; a model on the hub is called OWNER/NAME{revision}{hint}"
    )
}

/// The name in an address of the hub (`https://huggingface.co/OWNER/NAME/tree/main`, `hf://OWNER/NAME`), or before
/// an `@`.
fn meant(text: &str) -> Option<String> {
    let rest = match text.split_once("://") {
        Some(("hf", rest)) => rest,
        Some((_, rest)) => rest.split_once('/')?.1,
        None => text.strip_prefix("huggingface.co/").unwrap_or(text),
    };
    let rest = rest.split(['@', '?', '#']).next().unwrap_or(rest);
    let rest = rest.strip_prefix("models/").unwrap_or(rest);
    let mut parts = rest.split('/');
    let name = format!("{}/{}", parts.next()?, parts.next()?);
    HubName::parse(&name).map(|name| name.repo)
}

fn fetch(name: &HubName) -> Result<PathBuf, Failure> {
    let environment = Environment::read().failed()?;
    let cache = ModelCache::of(name, &environment.cache).failed()?;
    if let Some(variable) = environment.offline {
        let why = anyhow!("{variable} is set, so that the hub is not asked: unset it");
        return cached(&cache).ok_or_else(|| not_cached(name, why));
    }
    let client = Client::new(name, &environment).failed()?;
    match client.list() {
        Ok(listing) => {
            let hidden = environment.no_progress_bars;
            let files = download(&client, &cache, &listing, hidden);
            files.map_err(|error| failure(name, error))
        }
        Err(HubError::Transport(error)) => match cached(&cache) {
            Some(folder) => {
                say(&format!(
                    "{} is out of reach: {name} as it was fetched last",
                    client.endpoint()
                ));
                Ok(folder)
            }
            None => Err(not_cached(name, error)),
        },
        Err(HubError::Unavailable(error)) => match cached(&cache) {
            Some(folder) => {
                say(&format!("{error:#}; {name} as it was fetched last"));
                Ok(folder)
            }
            None => Err(not_cached(name, error)),
        },
        Err(error) => Err(failure(name, error)),
    }
}

/// Everything that a conversion reads. The revision is noted last: what it names is then whole.
fn download(
    client: &Client,
    cache: &ModelCache,
    listing: &RepoInfo,
    no_bars: bool,
) -> Result<PathBuf, HubError> {
    let has = |file: &str| listing.siblings.iter().any(|there| there.rfilename == file);
    let weights = checkpoint::WEIGHTS.iter().find(|(file, _)| has(file));
    let Some((weights, is_index)) = weights else {
        return Err(HubError::Refused(anyhow!(
            "no weights in {:?}",
            listing.siblings
        )));
    };
    let folder = cache.snapshot(&listing.sha);
    let get = |file: &str| {
        let remote = client.describe(&listing.sha, file)?;
        let bar = match no_bars {
            true => ProgressBar::hidden(),
            false => ProgressBar::new(remote.size.unwrap_or(0)),
        };
        // indicatif draws on standard error, and only if that is a terminal.
        let style = ProgressStyle::with_template("{msg} {wide_bar} {bytes}/{total_bytes} {eta}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_message(file.to_owned());
        download::fetch(client, &remote, &cache.blob(&remote.hash), &bar)?;
        bar.finish_and_clear();
        cache
            .link(&listing.sha, file, &remote.hash)
            .with_context(|| folder.join(file).display().to_string())
            .map_err(HubError::Nonsense)
    };
    get("config.json")?;
    if has("preprocessor_config.json") {
        get("preprocessor_config.json")?;
    }
    get(weights)?;
    if *is_index {
        for shard in shards(&folder.join(weights)).map_err(HubError::Nonsense)? {
            get(&shard)?;
        }
    }
    cache
        .set_commit(&listing.sha)
        .context("the cache")
        .map_err(HubError::Nonsense)?;
    Ok(folder)
}

/// The shards of an index: plain names, or it is refused.
fn shards(index: &Path) -> anyhow::Result<BTreeSet<String>> {
    let shards: BTreeSet<String> = checkpoint::read_index(index)?.into_values().collect();
    match shards.iter().find(|shard| !name::is_plain(shard)) {
        Some(shard) => Err(anyhow!(
            "{}: `{shard}` is no plain file name",
            index.display()
        )),
        None => Ok(shards),
    }
}

/// A whole checkpoint in the cache.
fn cached(cache: &ModelCache) -> Option<PathBuf> {
    let folder = cache.newest()?;
    let there = |file: &str| folder.join(file).is_file();
    let (weights, is_index) = checkpoint::WEIGHTS.iter().find(|(file, _)| there(file))?;
    let shards = match is_index {
        true => shards(&folder.join(weights)).ok()?,
        false => BTreeSet::new(),
    };
    (there("config.json") && shards.iter().all(|shard| there(shard))).then_some(folder)
}

fn not_cached(name: &HubName, why: anyhow::Error) -> Failure {
    Failure::Failed(why.context(format!("{name} is neither a path here nor in the cache")))
}

fn failure(name: &HubName, error: HubError) -> Failure {
    let context = format!("{name}, which is no path here, as a model on the hub");
    match error {
        HubError::Refused(error) => Failure::BadInput(error.context(context)),
        HubError::Transport(error) | HubError::Unavailable(error) | HubError::Nonsense(error) => {
            Failure::Failed(error.context(context))
        }
    }
}
