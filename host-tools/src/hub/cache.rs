//! Where the hub's Python library keeps models, so that both find what the other has fetched:
//! `models--OWNER--NAME/{blobs/HASH, refs/REVISION, snapshots/COMMIT/FILE}`, a file being a link to a blob.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use hf_hub::{Cache, CacheRepo};

use super::name::{HubName, is_hash};

/// A variable of the environment; an empty one counts as not set.
pub(super) fn variable(name: &str) -> Option<OsString> {
    env::var_os(name).filter(|value| !value.is_empty())
}

fn home() -> anyhow::Result<PathBuf> {
    if let Some(home) = variable("HF_HOME") {
        return Ok(home.into());
    }
    let user = env::home_dir().filter(|home| !home.as_os_str().is_empty());
    let user =
        user.ok_or_else(|| anyhow!("no place for a cache: neither HF_HOME nor HOME is set"))?;
    Ok(user.join(".cache/huggingface"))
}

/// The secret that private models want: from HF_TOKEN, or where `hf auth login` left it.
///
/// # Errors
/// A token file that is there but cannot be read, a token that is not UTF-8.
pub(super) fn token() -> anyhow::Result<Option<String>> {
    let text = if let Some(token) = variable("HF_TOKEN") {
        token
            .into_string()
            .map_err(|_| anyhow!("HF_TOKEN: not UTF-8"))?
    } else {
        let path = match variable("HF_TOKEN_PATH") {
            Some(path) => path.into(),
            None => home()?.join("token"),
        };
        match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| path.display().to_string()),
        }
    };
    let token = text.trim();
    Ok((!token.is_empty()).then(|| token.to_owned()))
}

/// One model in the cache.
#[derive(Debug)]
pub(super) struct ModelCache {
    hub: Cache,
    name: HubName,
}

impl ModelCache {
    /// In HF_HUB_CACHE, or HF_HOME/hub, or ~/.cache/huggingface/hub.
    pub(super) fn of(name: &HubName) -> anyhow::Result<Self> {
        let root = match variable("HF_HUB_CACHE") {
            Some(root) => root.into(),
            None => home()?.join("hub"),
        };
        // Links go from one folder of the cache to another: where the cache is must not depend on where we
        // are.
        let root = std::path::absolute(root).context("the cache's folder")?;
        Ok(Self {
            hub: Cache::new(root),
            name: name.clone(),
        })
    }

    /// All of the cache.
    pub(super) fn hub(&self) -> Cache {
        self.hub.clone()
    }

    fn at(&self, revision: &str) -> CacheRepo {
        self.hub.repo(self.name.at(revision))
    }

    /// Where a file of this hash is kept, which must be a hash: it is joined to a path.
    pub(super) fn blob(&self, hash: &str) -> PathBuf {
        self.at(&self.name.revision).blob_path(hash)
    }

    /// The folder of a commit.
    pub(super) fn snapshot(&self, commit: &str) -> PathBuf {
        self.at(commit).pointer_path(commit)
    }

    /// The folder of the commit that the name was when it was last asked for, or that it is.
    pub(super) fn newest(&self) -> Option<PathBuf> {
        let revision = &self.name.revision;
        if is_hash(revision, 40) {
            return Some(self.snapshot(revision));
        }
        let config = self.at(revision).get("config.json")?;
        config.parent().map(Path::to_owned)
    }

    /// Notes what commit the name is now.
    pub(super) fn set_commit(&self, commit: &str) -> io::Result<()> {
        let revision = &self.name.revision;
        if is_hash(revision, 40) {
            return Ok(());
        }
        self.at(revision).create_ref(commit)
    }

    /// Makes `file` of a commit the blob `hash`, by a relative link as Python's library does.
    pub(super) fn link(&self, commit: &str, file: &str, hash: &str) -> io::Result<()> {
        let snapshot = self.snapshot(commit);
        fs::create_dir_all(&snapshot)?;
        let target = Path::new("../../blobs").join(hash);
        let link = snapshot.join(file);
        if fs::read_link(&link).is_ok_and(|old| old == target) {
            return Ok(());
        }
        match fs::remove_file(&link) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        std::os::unix::fs::symlink(target, link)
    }
}
